/**
 * A captcha as form fields of `in.php`: the wire names of all types, the proxy and the pingback URL. Pure, one call per
 * submission.
 *
 * It refuses to repair a task: a captcha whose union member or image is missing has no encoding (the schema prevents
 * the first, reading the image the second). It sends no developer id and nothing of its own beyond `json=1`. Names:
 * provider-api.md section 2 (docs.captchaai.com).
 */
import type { Captcha } from '../api/captchatask.ts';

export interface SubmitRequest {
  apiKey: string;
  /** `spec.captcha` of the task. */
  spec: Captcha;
  /** What `bodyFrom` of an Image or Grid resolved to: raw bytes, or base64 text. */
  image?: Uint8Array | string;
  proxy?: { type: string; address: string };
  /** This attempt's callback URL; absent where the task is polled only. */
  pingback?: string;
}

/** A field's value; undefined, `false` and empty text are left out, `true` is sent as `1`. */
type Fields = Record<string, string | number | boolean | undefined>;

/** Field names that belong to the operator: `Custom` parameters never set them, in any case. */
const RESERVED = new Set(['key', 'json', 'pingback', 'method', 'proxy', 'proxytype']);

/** The request body (application/x-www-form-urlencoded), or undefined where the task cannot be encoded. */
export function encodeSubmission(request: SubmitRequest): string | undefined {
  const captcha = ENCODERS[request.spec.type]?.(request.spec, request.image);
  if (captcha === undefined) return undefined;
  return encodeForm({
    key: request.apiKey,
    json: 1,
    ...captcha,
    proxy: request.proxy?.address,
    proxytype: request.proxy?.type,
    pingback: request.pingback,
  });
}

/** `name=value&…`, without the fields that are not set. */
export function encodeForm(fields: Fields): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === false || value === '') continue;
    form.append(name, value === true ? '1' : String(value));
  }
  return form.toString();
}

type Encoder = (captcha: Captcha, image: SubmitRequest['image']) => Fields | undefined;

const ENCODERS: Readonly<Record<Captcha['type'], Encoder>> = {
  RecaptchaV2: ({ recaptchaV2: it }) =>
    it && {
      method: 'userrecaptcha',
      googlekey: it.siteKey,
      pageurl: it.pageURL,
      invisible: it.invisible,
      enterprise: it.enterprise,
      action: it.action,
      'data-s': it.dataS,
      domain: it.domain,
      cookies: it.cookies,
      userAgent: it.userAgent,
    },
  RecaptchaV3: ({ recaptchaV3: it }) =>
    it && {
      method: 'userrecaptcha',
      version: 'v3',
      googlekey: it.siteKey,
      pageurl: it.pageURL,
      action: it.action,
      min_score: it.minScore,
      enterprise: it.enterprise,
      cookies: it.cookies,
      userAgent: it.userAgent,
    },
  Turnstile: ({ turnstile: it }) =>
    it && {
      method: 'turnstile',
      sitekey: it.siteKey,
      pageurl: it.pageURL,
      action: it.action,
      data: it.data,
      pagedata: it.pageData,
      cookies: it.cookies,
      userAgent: it.userAgent,
    },
  CloudflareChallenge: ({ cloudflareChallenge: it }) =>
    it && { method: 'cloudflare_challenge', pageurl: it.pageURL, cookies: it.cookies, userAgent: it.userAgent },
  GeeTestV3: ({ geeTestV3: it }) =>
    it && {
      method: 'geetest',
      gt: it.gt,
      challenge: it.challenge,
      pageurl: it.pageURL,
      api_server: it.apiServer,
      cookies: it.cookies,
      userAgent: it.userAgent,
    },
  GeeTestV4: ({ geeTestV4: it }) => it && { method: 'geetest', version: 4, gt: it.captchaID, pageurl: it.pageURL },
  Image: ({ image: it }, bytes) => {
    const body = imageBody(it?.body, bytes);
    return it === undefined || body === undefined
      ? undefined
      : {
          method: 'base64',
          body,
          numeric: it.numeric,
          min_len: it.minLength,
          max_len: it.maxLength,
          phrase: it.phrase,
          regsense: it.caseSensitive,
          calc: it.math,
          lang: it.language,
          textinstructions: it.instructions,
        };
  },
  Grid: ({ grid: it }, bytes) => {
    const body = imageBody(it?.body, bytes);
    return it === undefined || body === undefined
      ? undefined
      : {
          method: 'base64',
          body,
          img_type: 'recaptcha',
          grid_size: gridSize(it),
          instructions: it.instructions,
          // The same under the names of the protocol family, which the provider's own examples use as well.
          recaptcha: 1,
          recaptcharows: it.rows,
          recaptchacols: it.columns,
          textinstructions: it.instructions,
          previousID: it.previousID,
        };
  },
  BLS: ({ bls: it }) => {
    if (it === undefined) return undefined;
    const images = it.images.map((image, index) => [`image_base64_${index + 1}`, dataUri(image)]);
    return { method: 'bls', instructions: it.instructions, ...Object.fromEntries(images) };
  },
  CaptchaFox: ({ captchaFox: it }) =>
    it && {
      method: 'captchafox',
      sitekey: it.siteKey,
      pageurl: it.pageURL,
      cookies: it.cookies,
      userAgent: it.userAgent,
    },
  FriendlyCaptcha: ({ friendlyCaptcha: it }) =>
    it && { method: 'friendly_captcha', sitekey: it.siteKey, pageurl: it.pageURL, version: it.version },
  Lemin: ({ lemin: it }) =>
    it && {
      method: 'lemin',
      captcha_id: it.captchaID,
      div_id: it.divID,
      pageurl: it.pageURL,
      apiServer: it.apiServer,
    },
  Custom: ({ custom: it }) => {
    if (it === undefined) return undefined;
    const own = Object.entries(it.parameters ?? {}).filter(([name]) => !RESERVED.has(name.toLowerCase()));
    return { ...Object.fromEntries(own), method: it.method };
  },
};

function gridSize({ rows, columns }: NonNullable<Captcha['grid']>): string | undefined {
  return rows === undefined || columns === undefined ? undefined : `${rows}x${columns}`;
}

/** Bare base64, which every image method takes: bytes are encoded, a data URI loses its head. */
function imageBody(inline: string | undefined, bytes: Uint8Array | string | undefined): string | undefined {
  const found = bytes ?? inline;
  if (found === undefined || found.length === 0) return undefined;
  return typeof found === 'string'
    ? found.replace(/^data:[^,]{0,100},/, '').replaceAll(/\s+/g, '')
    : Buffer.from(found.buffer, found.byteOffset, found.byteLength).toString('base64');
}

/** BLS tiles go as data URIs; the media type is read from the first base64 characters (PNG where unsure). */
function dataUri(image: string): string {
  if (image.startsWith('data:')) return image;
  const type = image.startsWith('/9j/') ? 'jpeg' : image.startsWith('R0lG') ? 'gif' : 'png';
  return `data:image/${type};base64,${image}`;
}
