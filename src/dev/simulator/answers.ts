/**
 * The shapes the provider answers in: the reply envelope, JSON or plain, and a plausible result for every captcha
 * method, unique per task so that tests can tell results apart. Shapes: provider-api.md section 3.
 */
import { field, type Fields } from './form.ts';

export interface Result {
  request: unknown;
  userAgent?: string;
}

export const SIMULATED_USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Simulated/1.0';

/** A result of the right shape for what was submitted. */
export function defaultResult(fields: Fields, id: string): Result {
  const result = RESULTS[field(fields, 'method')];
  return result === undefined ? { request: `03token-${id}_AbC-dEf+gHi/jKl=` } : result(fields, id);
}

const picture = (fields: Fields, id: string): Result => ({
  request: fields.get('recaptcha') === '1' ? [1, 4, 7] : `text${id.slice(-6)}`,
});

const geeTestV3 = (fields: Fields, id: string): object => ({
  challenge: field(fields, 'challenge'),
  validate: `validate${id}`,
  seccode: `validate${id}|jordan`,
});

const geeTestV4 = (fields: Fields, id: string): object => ({
  captcha_id: field(fields, 'gt'),
  lot_number: `lot${id}`,
  pass_token: `pass${id}`,
  gen_time: '1700000000',
  captcha_output: `output-${id}==`,
});

const RESULTS: Readonly<Record<string, (fields: Fields, id: string) => Result>> = {
  base64: picture,
  post: picture,
  bls: () => ({ request: '[1, 4, 7, 8]' }),
  geetest: (fields, id) => ({
    request: fields.get('version') === '4' ? geeTestV4(fields, id) : geeTestV3(fields, id),
  }),
  cloudflare_challenge: (fields, id) => ({
    request: `clearance-${id}`,
    userAgent: fields.get('userAgent') ?? SIMULATED_USER_AGENT,
  }),
  captchafox: (_fields, id) => ({ request: `fox-token-${id}`, userAgent: SIMULATED_USER_AGENT }),
  lemin: (_fields, id) => ({ request: { answer: `0xabcx_${id}`, challenge_uuid: `uuid-${id}` } }),
};

/** `{"status":1,"request":…}` or `OK|…`. `rawRequest` is JSON text (an id may be an integer of any size). */
export function successText(json: boolean, rawRequest: string, userAgent?: string): string {
  if (json) {
    const agent = userAgent === undefined ? '' : `,"user_agent":${JSON.stringify(userAgent)}`;
    return `{"status":1,"request":${rawRequest}${agent}}`;
  }
  return `OK|${plainText(JSON.parse(rawRequest), userAgent)}`;
}

export function failureText(json: boolean, code: string): string {
  return json ? `{"status":0,"request":${JSON.stringify(code)}}` : code;
}

/** How a result looks without JSON: GeeTest as `name:value,…`, a clearance with its agent, lists as JSON text. */
function plainText(request: unknown, userAgent: string | undefined): string {
  if (typeof request === 'object' && request !== null && !Array.isArray(request)) {
    return Object.entries(request)
      .map(([name, value]) => `${name}:${String(value)}`)
      .join(',');
  }
  const text = typeof request === 'string' ? request : JSON.stringify(request);
  return userAgent === undefined ? text : `cf_clearance=${text};user_agent=${userAgent}`;
}
