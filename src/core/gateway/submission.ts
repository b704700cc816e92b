/**
 * What a client of the protocol family submits, as a task: the inverse of what the operator sends, by the same table
 * (`core/methods`). A method that the table does not have becomes `Custom`, and so does an image with parameters of one
 * of the many types that the family asks for by its image method.
 *
 * It drops nothing silently: a parameter that the task cannot express is refused by its name. It repairs nothing and
 * judges no value that the schema judges. The answer to bad input is a word of the family; what was wrong with it goes
 * beside the word, and never holds a value.
 */
import type { Captcha, CaptchaTaskSpec } from '../../api/captchatask.ts';
import { METHODS, RESERVED, bareBase64, type Method, type Parameter } from '../methods.ts';

/** The fields of one call, each at most once. */
export type FormFields = ReadonlyMap<string, string>;

export type Proxy = NonNullable<CaptchaTaskSpec['proxy']>;

/** A word of the family, and a text for people that holds no value of the call. */
export interface Refusal {
  ok: false;
  word: string;
  text: string;
}

export type Submission = { ok: true; captcha: Captcha; proxy?: Proxy } | Refusal;

/** What is about the call and not about the captcha; docs/gateway.md says what becomes of each. */
export const CALL_PARAMETERS: readonly string[] = ['key', 'method', 'json', 'header_acao', 'soft_id'];

const PROXY_PARAMETERS = ['proxy', 'proxytype'];

/** The task that these fields of `in.php` ask for. */
export function readSubmission(fields: FormFields): Submission {
  const set = new Map([...fields].filter(([, value]) => value !== ''));
  // A question in words is all there is of it.
  const method = set.get('method') ?? (set.has('textcaptcha') ? 'post' : undefined);
  if (method === undefined) return refusal('ERROR_BAD_PARAMETERS', 'method: missing');
  if (set.has('pingback')) {
    return refusal('ERROR_BAD_PARAMETERS', 'pingback: not supported; poll res.php, perhaps with wait=');
  }
  const proxy = readProxy(set);
  if (proxy?.ok === false) return proxy;
  const captcha = readCaptcha(method, set);
  if (!captcha.ok) return captcha;
  return { ok: true, captcha: captcha.captcha, ...(proxy === undefined ? {} : { proxy: proxy.proxy }) };
}

function refusal(word: string, text: string): Refusal {
  return { ok: false, word, text };
}

function readProxy(set: FormFields): { ok: true; proxy: Proxy } | Refusal | undefined {
  const [address, type] = PROXY_PARAMETERS.map((name) => set.get(name));
  if (address === undefined && type === undefined) return undefined;
  if (address === undefined) return refusal('ERROR_BAD_PARAMETERS', 'proxy: missing, although there is a proxytype');
  if (type === undefined) return refusal('ERROR_BAD_PARAMETERS', 'proxytype: missing, although there is a proxy');
  return { ok: true, proxy: { type: type.toUpperCase() as Proxy['type'], address } };
}

type ReadCaptcha = { ok: true; captcha: Captcha } | Refusal;

const IMAGE_METHODS: readonly string[] = ['base64', 'post'];

function readCaptcha(method: string, set: FormFields): ReadCaptcha {
  const row = METHODS.find((row) => row.methods.includes(method) && isChosen(row, set));
  if (row === undefined) return readCustom(method, set);
  const stranger = [...set.keys()].find((name) => !isKnown(row, name));
  if (stranger !== undefined) {
    if (IMAGE_METHODS.includes(method)) return readCustom(set.has('body') ? 'base64' : method, set);
    return refusal('ERROR_BAD_PARAMETERS', `${stranger}: not known for ${row.type}`);
  }
  return readMember(row, set);
}

function isChosen({ chosenBy }: Method, set: FormFields): boolean {
  if (chosenBy === undefined) return true;
  return Object.entries(chosenBy).some(([name, values]) => values.includes(set.get(name) ?? ''));
}

function isKnown({ chosenBy, accepts, parameters }: Method, name: string): boolean {
  if (isOfTheCall(name) || chosenBy?.[name] !== undefined || accepts?.[name] !== undefined) return true;
  return parameters.some(({ sent, read }) => sent.includes(name) || read?.includes(name) === true);
}

function isOfTheCall(name: string): boolean {
  return CALL_PARAMETERS.includes(name) || PROXY_PARAMETERS.includes(name);
}

function readMember(row: Method, set: FormFields): ReadCaptcha {
  const odd = oddChoice(row, set);
  if (odd !== undefined) return refusal('ERROR_BAD_PARAMETERS', `${odd}: a value that is not known for ${row.type}`);
  const member: Record<string, unknown> = {};
  for (const parameter of row.parameters) {
    const found = readParameter(parameter, set);
    if (isRefusal(found)) return found;
    for (const [field, value] of Object.entries(found)) {
      if (member[field] !== undefined && member[field] !== value) return contradiction(parameter.sent[0]);
      member[field] = value;
    }
  }
  return { ok: true, captcha: { type: row.type, [row.member]: member } };
}

function isRefusal(found: Record<string, unknown> | Refusal): found is Refusal {
  return found['ok'] === false;
}

/** The first field that chooses or repeats a type, and says something else here. */
function oddChoice({ chosenBy = {}, accepts = {} }: Method, set: FormFields): string | undefined {
  const choices = [...Object.entries(chosenBy), ...Object.entries(accepts)];
  return choices.find(([name, values]) => set.has(name) && !values.includes(set.get(name) ?? ''))?.[0];
}

/** What it adds to the member: nothing where it is not set. */
function readParameter(parameter: Parameter, set: FormFields): Record<string, unknown> | Refusal {
  if (parameter.kind === 'images') return readImages(parameter, set);
  const names = [...parameter.sent, ...(parameter.read ?? [])].filter((name) => set.has(name));
  const [name = parameter.sent[0] ?? '', ...others] = names;
  const text = set.get(name);
  if (others.some((other) => set.get(other) !== text)) return contradiction(name);
  if (text === undefined) return parameter.required === true ? missing(parameter) : {};
  const value = valueOf(parameter, text);
  return value ?? refusal('ERROR_BAD_PARAMETERS', `${name}: not of the form that it must have`);
}

function readImages({ field, sent }: Parameter, set: FormFields): Record<string, unknown> | Refusal {
  const absent = sent.find((name) => !set.has(name));
  if (absent !== undefined) return refusal('ERROR_BAD_PARAMETERS', `${absent}: missing`);
  return { [field]: sent.map((name) => base64Text(set.get(name) ?? '')) };
}

/** Undefined where the text is not of the parameter's kind. */
function valueOf({ field, kind }: Parameter, text: string): Record<string, unknown> | undefined {
  switch (kind) {
    case 'flag':
      return flagOf(field, text);
    case 'count':
      return /^\d{1,9}$/.test(text) ? { [field]: Number(text) } : undefined;
    case 'size':
      return sizeOf(text);
    case 'image':
      return { [field]: bareBase64(base64Text(text)) };
    case 'text':
    case 'images':
      return { [field]: text };
    default:
      return kind satisfies never;
  }
}

function flagOf(field: string, text: string): Record<string, unknown> | undefined {
  if (/^(?:0|false)$/i.test(text)) return {};
  return /^(?:1|true)$/i.test(text) ? { [field]: true } : undefined;
}

function sizeOf(text: string): Record<string, unknown> | undefined {
  const [, rows, columns] = /^(\d{1,2})x(\d{1,2})$/i.exec(text) ?? [];
  return rows === undefined ? undefined : { rows: Number(rows), columns: Number(columns) };
}

/** Who did not encode his form sent every `+` as a space. */
function base64Text(text: string): string {
  return text.replaceAll(' ', '+');
}

const WORDS_OF_MISSING: Readonly<Record<string, string>> = {
  pageurl: 'ERROR_PAGEURL',
  googlekey: 'ERROR_GOOGLEKEY',
  sitekey: 'ERROR_SITEKEY',
  body: 'ERROR_EMPTY_CAPTCHA',
};

function missing({ sent: [name = ''] }: Parameter): Refusal {
  return refusal(WORDS_OF_MISSING[name] ?? 'ERROR_BAD_PARAMETERS', `${name}: missing`);
}

function contradiction(name = ''): Refusal {
  return refusal('ERROR_BAD_PARAMETERS', `${name}: given twice, with different values`);
}

/** The limits of `spec.captcha.custom`. */
const CUSTOM_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const MAX_PARAMETER_LENGTH = 16_384;

function readCustom(method: string, set: FormFields): ReadCaptcha {
  const own = [...set].filter(([name]) => !isOfTheCall(name));
  const unfit = own.find(([name]) => !CUSTOM_NAME.test(name) || RESERVED.has(name.toLowerCase()));
  if (unfit !== undefined) return refusal('ERROR_BAD_PARAMETERS', 'a parameter has a name that a task cannot hold');
  const long = own.find(([, value]) => value.length > MAX_PARAMETER_LENGTH);
  if (long !== undefined) {
    const word = long[0] === 'body' ? 'ERROR_TOO_BIG_CAPTCHA_FILESIZE' : 'ERROR_BAD_PARAMETERS';
    return refusal(word, `${long[0]}: longer than ${MAX_PARAMETER_LENGTH} characters, which this method may have here`);
  }
  return { ok: true, captcha: { type: 'Custom', custom: { method, parameters: Object.fromEntries(own) } } };
}

/** Which word says that the schema refused a field; the first that fits. */
const WORDS_OF_FIELDS: readonly (readonly [RegExp, string])[] = [
  [/\.pageURL\b/, 'ERROR_PAGEURL'],
  [/\brecaptchaV[23]\.siteKey\b/, 'ERROR_GOOGLEKEY'],
  [/\.siteKey\b/, 'ERROR_SITEKEY'],
  [/\.(?:body|images(?:\[\d+\])?): Too long\b/, 'ERROR_TOO_BIG_CAPTCHA_FILESIZE'],
  [/\.(?:body|images)\b/, 'ERROR_UPLOAD'],
];

/** The API server's refusal of a task, as the family says it. `message` has lost the values that it quoted. */
export function refusalOf(message: string): Refusal {
  const word = WORDS_OF_FIELDS.find(([pattern]) => pattern.test(message))?.[1];
  return refusal(word ?? 'ERROR_BAD_PARAMETERS', message);
}
