/**
 * The table of every word the provider may answer instead of a result, and what each means for us. It is the only
 * place where a code gets its class: `provider/wire` asks it about `in.php` and `res.php` replies, `core/callback`
 * about the `code` of a callback, and docs/provider-codes.md is generated from it.
 *
 * It refuses to guess: a word that is not listed is `unlisted`, never permanent. It decides no backoff; where the
 * provider documents how long a block lasts, the row says so. Report words (`REPORT_NOT_RECORDED`, …) are missing on
 * purpose: nothing here ever reports an answer.
 */
import type { Refusal, RefusalClass } from './outcome.ts';

/** Where a word was read: the reply of `in.php`, the reply of `res.php`, or the `code` of a callback. */
export type CodeEndpoint = 'in' | 'res' | 'callback';

export interface ProviderCode {
  /** As the provider spells it. */
  code: string;
  class: RefusalClass;
  /** Where it differs: what the word means for a task that has an id already (`res.php`, callbacks). */
  classOfResult?: RefusalClass;
  /** Where the provider is known to send it. It is understood everywhere; a key can lapse between submit and poll. */
  seenOn: readonly ('in' | 'res')[];
  /** Documented length of a block. */
  blockMs?: number;
  meaning: string;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** The provider's pending word, spelled as the live service does; the second spelling is tolerated. */
export const PENDING_WORDS: ReadonlySet<string> = new Set(['CAPCHA_NOT_READY', 'CAPTCHA_NOT_READY']);

/** The code that stands for a refusal whose own word is not fit to be shown. */
const UNREADABLE_CODE = 'UNLISTED';

/** A full pool, or an account that can buy nothing: only the account's threads tell which (`core/task/pool`). */
export const ZERO_BALANCE = 'ERROR_ZERO_BALANCE';

/** Our own code for an attempt whose answers had not the shape of the task's type. */
export const UNREADABLE_ANSWER = 'UNREADABLE_ANSWER';

/** Our own code for a submission that was answered with HTTP status 413: its body is too large at every try. */
export const HTTP_413 = 'HTTP_413';

type Row = readonly [code: string, seenOn: string, meaning: string, blockMs?: number];

const rows = (refusalClass: RefusalClass, list: readonly Row[]): ProviderCode[] =>
  list.map(([code, seenOn, meaning, blockMs]) => ({
    code,
    class: refusalClass,
    seenOn: seenOn.split(' ') as ('in' | 'res')[],
    meaning,
    ...(blockMs === undefined ? {} : { blockMs }),
  }));

/** Every listed code, grouped by class. Sources: docs.captchaai.com/pages/err_handling, 2captcha.com/api-docs/limits. */
export const PROVIDER_CODES: readonly ProviderCode[] = [
  ...rows('keyRejected', [
    ['ERROR_WRONG_USER_KEY', 'in res', 'the API key is not 32 characters long'],
    [
      'ERROR_KEY_DOES_NOT_EXIST',
      'in res',
      'the API key is unknown, or its account has no threads at all (lapsed plan)',
    ],
  ]),
  ...rows('busy', [
    [
      ZERO_BALANCE,
      'in',
      'no free thread right now; or, where the account has free threads or none at all, its plan has ended: then *accountExhausted*',
    ],
    ['ERROR_NO_SLOT_AVAILABLE', 'in', 'all threads or workers are busy; the submission was not queued'],
    ['ERROR_TOO_MUCH_REQUESTS', 'in res', 'the request rate of the account is too high'],
  ]),
  ...rows('blocked', [
    ['MAX_USER_TURN', 'in', 'more than 60 submissions within 3 s', 10 * SECOND],
    ['ERROR: 1001', 'in', '120 answers of "no slot" within a minute', 10 * MINUTE],
    ['ERROR: 1002', 'in', '120 answers of "zero balance" within a minute', 5 * MINUTE],
    ['ERROR: 1003', 'in', 'three times more "no slot" answers than submissions', 30 * SECOND],
    ['ERROR: 1005', 'res', 'too many calls of res.php', 5 * MINUTE],
  ]),
  ...rows('accountExhausted', [['ERROR_ACCOUNT_SUSPENDED', 'in res', "the API key's account is suspended"]]),
  ...rows('callbackRefused', [
    ['ERROR_IP_ADDRES', 'in', 'the host of the callback URL is not registered for this account (sic)'],
  ]),
  ...rows('addressBlocked', [
    ['IP_BANNED', 'in res', 'this address was banned after many calls with a wrong key', 5 * MINUTE],
    ['ERROR_IP_BANNED', 'in res', 'another spelling of IP_BANNED', 5 * MINUTE],
    ['ERROR: 1004', 'in res', 'five requests with a wrong key from this address', 10 * MINUTE],
  ]),
  ...rows('addressNotAllowed', [['ERROR_IP_NOT_ALLOWED', 'in res', "this address is not on the account's allow-list"]]),
  ...rows('proxy', [
    ['ERROR_BAD_PROXY', 'in res', 'the proxy is marked bad'],
    ['ERROR_PROXY_CONNECTION_FAILED', 'in res', 'the solver could not use the proxy'],
  ]),
  ...rows('retriable', [
    ['ERROR_CAPTCHA_UNSOLVABLE', 'res', 'the solvers gave up; not charged'],
    ['ERROR_BAD_DUPLICATES', 'res', 'the solvers did not agree within the allowed tries'],
  ]),
  ...rows('permanent', [
    ['ERROR_PAGEURL', 'in', 'the page URL is missing or malformed'],
    ['ERROR_GOOGLEKEY', 'in', 'the site key is blank or malformed'],
    ['ERROR_WRONG_GOOGLEKEY', 'in', 'the site key is missing or wrong'],
    ['ERROR_SITEKEY', 'in', 'the site key is missing or wrong'],
    ['ERROR_BAD_TOKEN_OR_PAGEURL', 'in', 'the site key does not belong to the page URL (often an iframe)'],
    ['ERROR_BAD_PARAMETERS', 'in', 'a required field is missing or has the wrong type'],
    ['ERROR_DOMAIN_NOT_ALLOWED', 'in', "the page's domain is refused"],
    ['ERROR_ZERO_CAPTCHA_FILESIZE', 'in', 'the image is too small'],
    ['ERROR_TOO_BIG_CAPTCHA_FILESIZE', 'in', 'the image is too big'],
    ['ERROR_IMAGE_DIMENSIONS_TOO_LARGE', 'in', 'a side of the image is longer than 1,000 pixels'],
    ['ERROR_WRONG_FILE_EXTENSION', 'in', 'the image is not jpg, jpeg, png or gif'],
    ['ERROR_IMAGE_TYPE_NOT_SUPPORTED', 'in', 'the content is not recognised as an image'],
    ['ERROR_UPLOAD', 'in', 'the body is unreadable or its base64 broken'],
    ['ERROR_EMPTY_CAPTCHA', 'in', 'the image is empty'],
    ['ERROR_CAPTCHAIMAGE_BLOCKED', 'in', 'the image is known to be unrecognisable'],
    ['ERROR_WRONG_ID_FORMAT', 'res', 'the id is not made of digits'],
    ['ERROR_WRONG_CAPTCHA_ID', 'res', 'the id is unknown or too old'],
    ['ERROR_TOKEN_EXPIRED', 'res', 'the GeeTest challenge was stale'],
  ]),
  // About the call and not about the task: a poll that is refused as a call proves nothing about the result.
  ...rows('permanent', [
    ['ERROR_EMPTY_ACTION', 'res', 'the action is missing'],
    ['ERROR_METHOD_CALL', 'in res', 'the method is unknown, or the call was made in a wrong way'],
  ]).map((row) => ({ ...row, classOfResult: 'transient' as const })),
  ...rows('transient', [
    ['ERROR_SERVER_ERROR', 'in res', 'server fault'],
    ['ERROR_INTERNAL_SERVER_ERROR', 'in res', 'server fault'],
  ]),
];

const BY_CODE: ReadonlyMap<string, ProviderCode> = new Map(PROVIDER_CODES.map((row) => [row.code, row]));

const NUMBERED_BLOCK = /^ERROR ?:[ +]?(\d{1,6})$/;
const CODE_SHAPE = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/;
const ERROR_SHAPE = /^ERROR_[A-Z0-9_]+$/;
const MAX_CODE_LENGTH = 64;

/** One spelling per code: trimmed, and `ERROR:1001` (a raw query may make it `ERROR:+1001`) as `ERROR: 1001`. */
function spelled(word: string): string {
  const trimmed = word.trim();
  const block = NUMBERED_BLOCK.exec(trimmed);
  return block === null ? trimmed : `ERROR: ${block[1]}`;
}

/** Whether this reads as a word of the provider: in the table, or of that shape (`ERROR_SOMETHING`, `MAX_USER_TURN`). */
export function looksLikeCode(word: string): boolean {
  const code = spelled(word);
  if (BY_CODE.has(code) || PENDING_WORDS.has(code)) return true;
  return code.length <= MAX_CODE_LENGTH && (CODE_SHAPE.test(code) || NUMBERED_BLOCK.test(code));
}

/** The row of a listed code. */
export function listedCode(word: string): ProviderCode | undefined {
  return BY_CODE.get(spelled(word));
}

/**
 * What a word means. From `in` and `res` the caller already knows that it is no result, so the answer is `pending` or
 * a refusal; a word we do not know is class `unlisted`, and its own text is kept only where it has the shape of a code
 * (free text may quote the key). From `callback` a word may be the solution itself: `undefined` then. There an unknown
 * word counts as an error only if it begins with `ERROR_` (or is `ERROR: n`), and empty text means "not ready".
 */
export function classifyCode(word: string, endpoint: 'in' | 'res'): Refusal | { kind: 'pending' };
export function classifyCode(word: string, endpoint: CodeEndpoint): Refusal | { kind: 'pending' } | undefined;
export function classifyCode(word: string, endpoint: CodeEndpoint): Refusal | { kind: 'pending' } | undefined {
  const code = spelled(word);
  if (PENDING_WORDS.has(code)) return { kind: 'pending' };
  if (endpoint === 'callback' && code === '') return { kind: 'pending' };
  const row = BY_CODE.get(code);
  if (row !== undefined) return refusal(classAt(row, endpoint), code, row.blockMs);
  if (endpoint === 'callback' && !isErrorWord(code)) return undefined;
  return refusal('unlisted', looksLikeCode(code) ? code : UNREADABLE_CODE);
}

function classAt(row: ProviderCode, endpoint: CodeEndpoint): RefusalClass {
  return endpoint === 'in' ? row.class : (row.classOfResult ?? row.class);
}

function isErrorWord(code: string): boolean {
  return code.length <= MAX_CODE_LENGTH && (ERROR_SHAPE.test(code) || NUMBERED_BLOCK.test(code));
}

function refusal(refusalClass: RefusalClass, code: string, retryAfterMs?: number): Refusal {
  return { kind: 'refused', class: refusalClass, code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
