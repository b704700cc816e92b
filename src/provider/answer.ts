/**
 * Reads one body of the provider, JSON or plain, as an answer: a result, a word instead of one, or nothing. Pure and
 * total. `provider/wire` decides what an answer means; nothing here does.
 *
 * Bodies are read by their text, not by their content type: the provider answers JSON or plain text whichever was
 * asked for, numbers come in any size (ids above 2^53 keep their digits), and gateways put HTML in between.
 */
import { listedCode, looksLikeCode, PENDING_WORDS } from '../core/provider-codes.ts';

/** What a body says: a result (or id), a word instead of one, or nothing that can be understood. */
export type Answer =
  /** `request` as it stands, the only place of an id; `value`: the answer, wherever in the reply it was. */
  | { kind: 'result'; request: unknown; value: unknown; userAgent?: unknown }
  /** `explicit`: the reply said "status 0"; otherwise the bare word is all there is. */
  | { kind: 'word'; word: string; explicit: boolean }
  | { kind: 'nothing'; empty: boolean };

const UNREADABLE: Answer = { kind: 'nothing', empty: false };

/** Reads JSON and plain replies alike (`{"status":1,"request":…}`, `OK|…`, `CODE`). */
export function parseAnswer(text: string): Answer {
  const body = text.trim();
  if (body === '') return { kind: 'nothing', empty: true };
  if (body.startsWith('{')) return parseJsonAnswer(parseFields(body));
  if (body.startsWith('OK|')) return { kind: 'result', request: body.slice(3), value: body.slice(3) };
  return looksLikeCode(body) ? { kind: 'word', word: body, explicit: false } : UNREADABLE;
}

function parseJsonAnswer(fields: Record<string, unknown>): Answer {
  const value = answerIn(fields);
  switch (scalar(fields['status']) ?? '') {
    case '0':
    case 'false':
      return { kind: 'word', word: typeof value === 'string' ? value : '', explicit: true };
    case '1':
    case 'true':
      return isListedWord(value)
        ? { kind: 'word', word: value, explicit: true }
        : { kind: 'result', request: fields['request'], value, userAgent: userAgentIn(fields) };
    default:
      return UNREADABLE;
  }
}

/** reCAPTCHA Enterprise and Cloudflare Challenge answer in `result`, every other type in `request`. */
function answerIn({ request, result }: Record<string, unknown>): unknown {
  if (!isEmpty(request)) return request;
  return isEmpty(result) ? (request ?? result) : result;
}

/** As the provider writes it, and as others of its family do. */
const USER_AGENT_NAMES = ['user_agent', 'userAgent', 'useragent'];

function userAgentIn(fields: Record<string, unknown>): unknown {
  return USER_AGENT_NAMES.map((name) => fields[name]).find((agent) => !isEmpty(agent));
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'string') return value.trim() === '';
  return value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}

/** A listed word is never a result, even where the envelope says success. */
function isListedWord(value: unknown): value is string {
  return typeof value === 'string' && (PENDING_WORDS.has(value) || listedCode(value) !== undefined);
}

/** Text that may hold a number which a double would change: 16 digits, a fraction, an exponent, a negative zero. */
const DIGITS_AT_RISK = /\d{16}|\d[.eE]|-0/;

/** The members of a JSON object; none for any other text. Numbers that a double cannot hold come as text. */
export function parseFields(body: string): Record<string, unknown> {
  try {
    return recordOf(DIGITS_AT_RISK.test(body) ? JSON.parse(body, keepDigits) : JSON.parse(body));
  } catch {
    return {};
  }
}

/** The members of an object; none of any other value. */
export function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** A string, number or boolean as text. (An object might not even convert: JSON may hold a member `toString`.) */
export function scalar(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** The third argument (the number's own text) is ES2025, present in every Node this project supports. */
function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  return String(value) === context.source ? value : context.source;
}
