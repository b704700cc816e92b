/**
 * The closed lists of label values that no other room has. What the API, the core and its code table name, the rows of
 * the table take from there.
 *
 * A label never carries a name, uid, id, URL or free text: each of these lists multiplies the number of series.
 */
import { CAPTCHA_TASK, DEAD_LETTER, RESULT_SOURCES } from '../../api/names.ts';
import { BREAKER_REASONS } from '../../core/task/breaker.ts';

export const QUEUES = ['captchatask', 'deadletter'] as const;
/** Who writes status: the two controllers, and the sidecar. */
export const WRITERS = ['captchatask', 'deadletter', 'callback'] as const;
export const WATCHED = [CAPTCHA_TASK.plural, DEAD_LETTER.plural] as const;
export const LEASES = ['captcha-operator'] as const;

export const RECONCILE_RESULTS = ['success', 'requeue', 'requeue_after', 'error'] as const;
export const WRITE_RESULTS = ['written', 'unchanged', 'conflict', 'gone', 'invalid', 'transient'] as const;
/** `ended`: by the server, resumed without a gap. The others interrupt. */
export const WATCH_RESTART_CAUSES = ['ended', 'expired', 'silent', 'error'] as const;

export const HTTP_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
/** `<error>`, as client-go spells it: no HTTP answer came. */
export const HTTP_CODES = [
  '200',
  '201',
  '400',
  '401',
  '403',
  '404',
  '409',
  '410',
  '422',
  '429',
  '500',
  '503',
  '504',
  '<error>',
  'other',
] as const;

export const TASK_OUTCOMES = ['Solved', 'Failed'] as const;
/** `None`: the task failed. */
export const DURATION_SOURCES = [...RESULT_SOURCES, 'None'] as const;

export const SUBMISSION_OUTCOMES = ['accepted', 'refused', 'unreachable', 'unknown'] as const;
/** `late`: the answer was no result, and its attempt had ended or been replaced when it came. */
export const POLL_RESULTS = ['solved', 'pending', 'unreadable', 'refused', 'unreachable', 'late'] as const;

export const CALLBACK_RESULTS = [
  'accepted',
  'duplicate',
  'conflict',
  'late',
  'ignored',
  'spooled',
  'dead_lettered',
  'unauthorized',
  'invalid',
  'misrouted',
  'lost',
] as const;
export const SPOOL_FAULTS = ['unavailable', 'write_failed', 'full', 'damaged', 'unknown_version', 'io_error'] as const;

/** Of each thing that can be asked of the gateway, what can be answered. */
const BEFORE_ANY = ['unauthorized', 'refused', 'error'] as const;
export const RESULTS_OF_ENDPOINTS = {
  submit: ['accepted', 'no_slot', 'withdrawn', ...BEFORE_ANY],
  poll: ['solved', 'failed', 'pending', 'unknown_id', ...BEFORE_ANY],
  account: ['told', 'unsupported', ...BEFORE_ANY],
  report: ['not_recorded', 'unknown_id', ...BEFORE_ANY],
  other: ['unsupported', ...BEFORE_ANY],
} as const satisfies Record<string, readonly string[]>;
export const GATEWAY_ENDPOINTS = ['submit', 'poll', 'account', 'report', 'other'] as const;
export const GATEWAY_RESULTS = [
  'accepted',
  'no_slot',
  'withdrawn',
  'solved',
  'failed',
  'pending',
  'unknown_id',
  'told',
  'unsupported',
  'not_recorded',
  ...BEFORE_ANY,
] as const;

export const LETTER_RETRY_RESULTS = ['resolved', 'superseded', 'failed', 'abandoned'] as const;

/** As `core/task/breaker` names them, in the spelling of labels. */
export const BREAKERS = BREAKER_REASONS.map((reason) => snakeCase(reason));

/** API keys, in the order of their first acceptance. Those beyond are not reported. */
export const KEY_NUMBERS: readonly string[] = Array.from({ length: 32 }, (_, index) => String(index + 1));
export const THREAD_STATES = ['total', 'working', 'ours'] as const;

type SnakeCase<S extends string> = S extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${SnakeCase<Tail>}`
  : '';

/** `keyRejected` -> `key_rejected`: how a word of our own code becomes a label value. */
export function snakeCase<S extends string>(word: S): SnakeCase<S> {
  return word.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) as SnakeCase<S>;
}

/** The label of an HTTP status; what is not in the list counts as `other`. */
export function httpCode(code: string | number): (typeof HTTP_CODES)[number] {
  return HTTP_CODES.find((known) => known === String(code)) ?? 'other';
}

/** The label of an HTTP method. */
export function httpMethod(method: string): (typeof HTTP_METHODS)[number] {
  return HTTP_METHODS.find((known) => known === method) ?? 'GET';
}
