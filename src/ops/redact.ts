/**
 * The last guard before anything is written to a log: replaces what looks like a secret, whoever let it through.
 * Callers are expected not to log secrets in the first place; this catches the URL inside an error message, the field
 * that somebody added in a hurry and the stack of a crash.
 */

import { constants } from 'node:os';

import { nameSources } from './stack.ts';

const HIDDEN = '[redacted]';
const MAX_TEXT = 2_048;
const MAX_DEPTH = 4;
const MAX_ITEMS = 32;

/** Fields whose value is never written, wherever they are. */
const SECRET_FIELDS = new Set([
  'apikey',
  'token',
  'pingback',
  'pingbackurl',
  'solution',
  'value',
  'payload',
  'body',
  'useragent',
  'cookie',
  'cookies',
  'password',
  'proxy',
  'proxyaddress',
  'secret',
  'mac',
  'authorization',
  'headers',
]);

const PATTERNS: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // A callback URL's path is a capability.
  [/(\/v1\/callback\/)[^\s"'<>?#]+/g, `$1${HIDDEN}`],
  // Parameters of provider calls and callbacks, in URLs and in form bodies.
  [/\b(key|code|pingback|proxy|token|password)=[^\s&"'<>]+/gi, `$1=${HIDDEN}`],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9+/_.~=-]+/g, `$1 ${HIDDEN}`],
  [/(\/\/)[^\s/@"'<>]+@/g, `$1${HIDDEN}@`],
  // The provider's API keys: 32 characters of hexadecimal or letters and digits, alone.
  [/(?<![\w-])(?=[A-Za-z0-9]*\d)[A-Za-z0-9]{32}(?![\w-])/g, HIDDEN],
];

/** Every pattern needs one of these: names, uids and reasons have none and need no closer look. */
const SUSPECT = /[=/\s]|[A-Za-z0-9]{32}/;

/** The text without what looks like a secret, cut to 2,048 characters. */
export function redactText(text: string): string {
  if (text.length <= MAX_TEXT && !SUSPECT.test(text)) return text;
  // Cut first: a pattern must not see an endless text, and half a secret at the cut would not be recognised.
  let clean = text.length > 2 * MAX_TEXT ? text.slice(0, 2 * MAX_TEXT) : text;
  for (const [pattern, replacement] of PATTERNS) clean = clean.replace(pattern, replacement);
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT)}…` : clean;
}

/** The fields of a log line, cleaned; a new object. Errors become `{ type, message, stack, code }`. */
export function redactFields(fields: object): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) clean[name] = redactField(name, value, 0);
  return clean;
}

function redactField(name: string, value: unknown, depth: number): unknown {
  const field = name.toLowerCase();
  if (SECRET_FIELDS.has(field) && value !== undefined) return HIDDEN;
  if (field === 'code' && typeof value === 'string') return redactCode(value);
  return redactValue(value, depth);
}

const PROVIDER_WORD = /^(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|ERROR: \d{1,6}|UNLISTED)$/;

/** A `code` may be a status, a system error or one of the provider's words; anything else may be a solution. */
function redactCode(code: string): string {
  const known = /^(?:\d{3}|<error>)$/.test(code) || code in constants.errno || PROVIDER_WORD.test(code);
  return known && code.length <= 64 ? code : HIDDEN;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH || ArrayBuffer.isView(value)) return '[…]';
  if (value instanceof Error) return redactError(value, depth);
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => redactValue(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_ITEMS)
      .map(([name, inner]) => [name, redactField(name, inner, depth + 1)]),
  );
}

/** Name, message, stack and cause; not the fields that HTTP libraries hang on their errors (requests, responses). */
function redactError(error: Error, depth: number): Record<string, unknown> {
  return {
    type: error.name,
    message: redactText(error.message),
    ...(error.stack === undefined ? {} : { stack: redactText(nameSources(error.stack)) }),
    ...('code' in error && typeof error.code === 'string' ? { code: redactCode(error.code) } : {}),
    ...(error.cause === undefined ? {} : { cause: redactValue(error.cause, depth + 1) }),
  };
}

/** The class name of anything thrown: messages and stacks may quote a request. */
export function nameOfError(error: unknown): string {
  return error instanceof Error ? error.constructor.name : typeof error;
}
