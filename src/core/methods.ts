/**
 * THE table of the provider's methods: how each captcha type is spelled as form fields of `in.php`. The operator writes
 * by it (`provider/encode`), the gateway reads by it (`core/gateway/submission`), so that a type is never known to one
 * side only. A new type is a new row here.
 *
 * It refuses to judge values: the schema does that when a task is created. Names: provider-api.md sections 0 and 2; what
 * other clients call the same things: provider-clients.md.
 */
import type { Captcha } from '../api/captchatask.ts';
import type { CaptchaType } from '../api/names.ts';

/**
 * `text` as it is; `flag`: `1`, or left out; `count`: a whole number; `image`: base64; `images`: one field for each of
 * a list; `size`: rows and columns in one field (`3x3`).
 */
export type ParameterKind = 'text' | 'flag' | 'count' | 'image' | 'images' | 'size';

export interface Parameter {
  /** The name in the member of `spec.captcha`. */
  field: string;
  kind: ParameterKind;
  /** The names it is sent under; every one of them is understood. */
  sent: readonly string[];
  /** What other clients call it. */
  read?: readonly string[];
  /** A task without it has no meaning to the provider. */
  required?: true;
}

export interface Method {
  type: CaptchaType;
  /** The member of `spec.captcha` that holds the parameters. */
  member: keyof Captcha;
  /** The first is what is sent. */
  methods: readonly [string, ...string[]];
  /** Sent with every task of this type. */
  fixed?: Readonly<Record<string, string>>;
  /** Fields that choose between the types of one method, and the values that choose this one; empty text: not sent. */
  chosenBy?: Readonly<Record<string, readonly string[]>>;
  /** Values of such fields that say nothing more than the method does. */
  accepts?: Readonly<Record<string, readonly string[]>>;
  parameters: readonly Parameter[];
}

type FieldOf<M extends keyof Captcha> = keyof NonNullable<Captcha[M]> & string;

/** The rest of a parameter beside its field and its names. */
type More = Partial<Pick<Parameter, 'kind' | 'read' | 'required'>>;

/** Spells the parameters of one member; the compiler checks the names of its fields. */
function parametersOf<M extends keyof Captcha>(
  ...list: readonly (readonly [field: FieldOf<M>, sent: string | readonly string[], more?: More])[]
): readonly Parameter[] {
  return list.map(([field, sent, more]) => ({
    field,
    kind: 'text',
    sent: typeof sent === 'string' ? [sent] : sent,
    ...more,
  }));
}

const required = { required: true } as const;
const flag = { kind: 'flag' } as const;
const count = { kind: 'count' } as const;
const agent = { read: ['useragent'] } as const;

/** In the order in which they are tried: what is chosen by a field stands before what the method alone says. */
export const METHODS: readonly Method[] = [
  {
    type: 'RecaptchaV3',
    member: 'recaptchaV3',
    methods: ['userrecaptcha'],
    fixed: { version: 'v3' },
    chosenBy: { version: ['v3'] },
    parameters: parametersOf<'recaptchaV3'>(
      ['siteKey', 'googlekey', required],
      ['pageURL', 'pageurl', required],
      ['action', 'action'],
      ['minScore', 'min_score'],
      ['enterprise', 'enterprise', flag],
      ['cookies', 'cookies'],
      ['userAgent', 'userAgent', agent],
    ),
  },
  {
    type: 'RecaptchaV2',
    member: 'recaptchaV2',
    methods: ['userrecaptcha'],
    accepts: { version: ['v2'] },
    parameters: parametersOf<'recaptchaV2'>(
      ['siteKey', 'googlekey', required],
      ['pageURL', 'pageurl', required],
      ['invisible', 'invisible', flag],
      ['enterprise', 'enterprise', flag],
      ['action', 'action'],
      ['dataS', 'data-s'],
      ['domain', 'domain'],
      ['cookies', 'cookies'],
      ['userAgent', 'userAgent', agent],
    ),
  },
  {
    type: 'Turnstile',
    member: 'turnstile',
    methods: ['turnstile'],
    parameters: parametersOf<'turnstile'>(
      ['siteKey', 'sitekey', required],
      ['pageURL', 'pageurl', required],
      ['action', 'action'],
      ['data', 'data'],
      ['pageData', 'pagedata'],
      ['cookies', 'cookies'],
      ['userAgent', 'userAgent', agent],
    ),
  },
  {
    type: 'CloudflareChallenge',
    member: 'cloudflareChallenge',
    methods: ['cloudflare_challenge'],
    parameters: parametersOf<'cloudflareChallenge'>(
      ['pageURL', 'pageurl', required],
      ['cookies', 'cookies'],
      ['userAgent', 'userAgent', agent],
    ),
  },
  {
    type: 'GeeTestV4',
    member: 'geeTestV4',
    methods: ['geetest'],
    fixed: { version: '4' },
    chosenBy: { version: ['4', 'v4'] },
    parameters: parametersOf<'geeTestV4'>(
      ['captchaID', 'gt', { ...required, read: ['captcha_id'] }],
      ['pageURL', 'pageurl', required],
    ),
  },
  {
    // The family has a method of its own for it.
    type: 'GeeTestV4',
    member: 'geeTestV4',
    methods: ['geetest_v4'],
    parameters: parametersOf<'geeTestV4'>(
      ['captchaID', 'captcha_id', { ...required, read: ['gt'] }],
      ['pageURL', 'pageurl', required],
    ),
  },
  {
    type: 'GeeTestV3',
    member: 'geeTestV3',
    methods: ['geetest'],
    accepts: { version: ['3', 'v3'] },
    parameters: parametersOf<'geeTestV3'>(
      ['gt', 'gt', required],
      ['challenge', 'challenge', required],
      ['pageURL', 'pageurl', required],
      ['apiServer', 'api_server', { read: ['apiServer'] }],
      ['cookies', 'cookies'],
      ['userAgent', 'userAgent', agent],
    ),
  },
  {
    type: 'Grid',
    member: 'grid',
    methods: ['base64', 'post'],
    // The provider's own names, and those of the protocol family, which its own examples use as well: both are sent.
    fixed: { img_type: 'recaptcha', recaptcha: '1' },
    chosenBy: { img_type: ['recaptcha'], recaptcha: ['1'] },
    parameters: parametersOf<'grid'>(
      ['body', 'body', { kind: 'image', ...required }],
      ['rows', 'grid_size', { kind: 'size' }],
      ['rows', 'recaptcharows', count],
      ['columns', 'recaptchacols', count],
      ['instructions', ['instructions', 'textinstructions']],
      ['previousID', 'previousID'],
    ),
  },
  {
    type: 'Image',
    member: 'image',
    methods: ['base64', 'post'],
    parameters: parametersOf<'image'>(
      ['body', 'body', { kind: 'image', ...required }],
      ['numeric', 'numeric', count],
      ['minLength', 'min_len', { ...count, read: ['minLen'] }],
      ['maxLength', 'max_len', { ...count, read: ['maxLen'] }],
      ['phrase', 'phrase', flag],
      ['caseSensitive', 'regsense', { ...flag, read: ['caseSensitive'] }],
      ['math', 'calc', flag],
      ['language', 'lang'],
      ['instructions', 'textinstructions', { read: ['instructions'] }],
    ),
  },
  {
    type: 'BLS',
    member: 'bls',
    methods: ['bls'],
    parameters: parametersOf<'bls'>(
      ['instructions', 'instructions', required],
      ['images', Array.from({ length: 9 }, (_, index) => `image_base64_${index + 1}`), { kind: 'images', ...required }],
    ),
  },
  {
    type: 'CaptchaFox',
    member: 'captchaFox',
    methods: ['captchafox'],
    parameters: parametersOf<'captchaFox'>(
      ['siteKey', 'sitekey', required],
      ['pageURL', 'pageurl', required],
      ['cookies', 'cookies'],
      ['userAgent', 'userAgent', agent],
    ),
  },
  {
    type: 'FriendlyCaptcha',
    member: 'friendlyCaptcha',
    methods: ['friendly_captcha'],
    parameters: parametersOf<'friendlyCaptcha'>(
      ['siteKey', 'sitekey', required],
      ['pageURL', 'pageurl', required],
      ['version', 'version'],
    ),
  },
  {
    type: 'Lemin',
    member: 'lemin',
    methods: ['lemin'],
    parameters: parametersOf<'lemin'>(
      ['captchaID', 'captcha_id', required],
      ['divID', 'div_id', required],
      ['pageURL', 'pageurl', required],
      ['apiServer', 'apiServer', { read: ['api_server'] }],
    ),
  },
];

/** Field names that belong to whoever submits: `Custom` parameters never set them, in any case. */
export const RESERVED: ReadonlySet<string> = new Set(['key', 'json', 'pingback', 'method', 'proxy', 'proxytype']);

/** A field's value; undefined, `false` and empty text are left out, `true` is sent as `1`. */
export type Fields = Record<string, string | number | boolean | undefined>;

/**
 * A captcha as form fields; undefined where it cannot be one, because its member or its image is missing. `image`: what
 * `bodyFrom` resolved to, as base64.
 */
export function fieldsOf(captcha: Captcha, image: string | undefined): Fields | undefined {
  if (captcha.type === 'Custom') return customFields(captcha.custom);
  const row = METHODS.find(({ type }) => type === captcha.type);
  const member = row && (captcha[row.member] as Member | undefined);
  if (row === undefined || member === undefined) return undefined;
  const fields: Fields = { method: row.methods[0], ...row.fixed };
  for (const parameter of row.parameters) {
    const values = valuesOf(parameter, member, image);
    if (values === undefined) return undefined;
    for (const [index, name] of parameter.sent.entries()) fields[name] = values[index % values.length];
  }
  return fields;
}

export type Member = Readonly<Record<string, unknown>>;

/** One value, or one for each name; undefined where there is no image. */
function valuesOf({ field, kind }: Parameter, member: Member, image: string | undefined): Fields[string][] | undefined {
  const value = member[field] as Fields[string];
  if (kind === 'images') return (member[field] as readonly string[]).map(dataURI);
  if (kind === 'size') return [member['columns'] === undefined || value === undefined ? '' : sizeText(member)];
  if (kind !== 'image') return [value];
  const body = bareBase64(image ?? (typeof value === 'string' ? value : ''));
  return body === '' ? undefined : [body];
}

const sizeText = (member: Member): string => `${String(member['rows'])}x${String(member['columns'])}`;

function customFields(custom: Captcha['custom']): Fields | undefined {
  if (custom === undefined) return undefined;
  const own = Object.entries(custom.parameters ?? {}).filter(([name]) => !RESERVED.has(name.toLowerCase()));
  return { ...Object.fromEntries(own), method: custom.method };
}

/** What every image method takes: without the head of a data URI, without line breaks. */
export function bareBase64(text: string): string {
  return text.replace(/^data:[^,]{0,100},/, '').replaceAll(/\s+/g, '');
}

/** BLS tiles go as data URIs; the media type is read from the first base64 characters (PNG where unsure). */
function dataURI(image: string): string {
  if (image.startsWith('data:')) return image;
  const type = image.startsWith('/9j/') ? 'jpeg' : image.startsWith('R0lG') ? 'gif' : 'png';
  return `data:image/${type};base64,${image}`;
}
