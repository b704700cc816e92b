/**
 * The closed lists of label values. Ops imports nothing of ours, so the words of the API, of the core and of the
 * provider's code table are repeated here; test/contract/metric-labels.test.ts fails when they part.
 *
 * A label never carries a name, uid, id, URL or free text: each of these lists multiplies the number of series.
 */

export const QUEUES = ['captchatask', 'deadletter'] as const;
/** Who writes status: the two controllers, and the sidecar. */
export const WRITERS = ['captchatask', 'deadletter', 'callback'] as const;
export const WATCHED = ['captchatasks', 'deadletters'] as const;
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

export const UNFINISHED_PHASES = ['Pending', 'Submitting', 'Submitted'] as const;
export const CAPTCHA_TYPES = [
  'RecaptchaV2',
  'RecaptchaV3',
  'Turnstile',
  'CloudflareChallenge',
  'GeeTestV3',
  'GeeTestV4',
  'Image',
  'Grid',
  'BLS',
  'CaptchaFox',
  'FriendlyCaptcha',
  'Lemin',
  'Custom',
] as const;
export const TASK_OUTCOMES = ['Solved', 'Failed'] as const;
export const RESULT_SOURCES = ['Callback', 'Poll', 'DeadLetter'] as const;
/** `None`: the task failed. */
export const DURATION_SOURCES = [...RESULT_SOURCES, 'None'] as const;
export const FAILURE_CLASSES = ['Permanent', 'Retriable', 'Deadline', 'Unknown', 'DeadLetter'] as const;

export const SUBMISSION_OUTCOMES = ['accepted', 'refused', 'unreachable', 'unknown'] as const;
/** What became of a submission whose outcome was unknown. */
export const AMBIGUOUS_RESOLUTIONS = ['adopted', 'resubmitted', 'failed'] as const;
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

export const LETTER_PHASES = ['Pending', 'Resolved', 'Superseded', 'Abandoned'] as const;
export const LETTER_STAGES = ['ApplyCallback', 'ApplyPoll', 'WriteSecret'] as const;
export const LETTER_RETRY_RESULTS = ['resolved', 'superseded', 'failed', 'abandoned'] as const;

export const PROVIDER_OPERATIONS = ['submit', 'poll', 'threads'] as const;
/** The provider's own words (core/provider-codes.ts), and how a call failed without one. */
export const PROVIDER_CODES = [
  'ok',
  'pending',
  'ERROR_WRONG_USER_KEY',
  'ERROR_KEY_DOES_NOT_EXIST',
  'ERROR_ZERO_BALANCE',
  'ERROR_NO_SLOT_AVAILABLE',
  'ERROR_TOO_MUCH_REQUESTS',
  'MAX_USER_TURN',
  'ERROR: 1001',
  'ERROR: 1002',
  'ERROR: 1003',
  'ERROR: 1005',
  'ERROR_ACCOUNT_SUSPENDED',
  'ERROR_IP_ADDRES',
  'IP_BANNED',
  'ERROR_IP_BANNED',
  'ERROR: 1004',
  'ERROR_IP_NOT_ALLOWED',
  'ERROR_BAD_PROXY',
  'ERROR_PROXY_CONNECTION_FAILED',
  'ERROR_CAPTCHA_UNSOLVABLE',
  'ERROR_BAD_DUPLICATES',
  'ERROR_PAGEURL',
  'ERROR_GOOGLEKEY',
  'ERROR_WRONG_GOOGLEKEY',
  'ERROR_SITEKEY',
  'ERROR_BAD_TOKEN_OR_PAGEURL',
  'ERROR_BAD_PARAMETERS',
  'ERROR_DOMAIN_NOT_ALLOWED',
  'ERROR_ZERO_CAPTCHA_FILESIZE',
  'ERROR_TOO_BIG_CAPTCHA_FILESIZE',
  'ERROR_IMAGE_DIMENSIONS_TOO_LARGE',
  'ERROR_WRONG_FILE_EXTENSION',
  'ERROR_IMAGE_TYPE_NOT_SUPPORTED',
  'ERROR_UPLOAD',
  'ERROR_EMPTY_CAPTCHA',
  'ERROR_CAPTCHAIMAGE_BLOCKED',
  'ERROR_WRONG_ID_FORMAT',
  'ERROR_WRONG_CAPTCHA_ID',
  'ERROR_TOKEN_EXPIRED',
  'ERROR_EMPTY_ACTION',
  'ERROR_METHOD_CALL',
  'ERROR_SERVER_ERROR',
  'ERROR_INTERNAL_SERVER_ERROR',
  'unlisted',
  'http_413',
  'connection_refused',
  'dns',
  'tls',
  'timeout',
  'aborted',
  'reset',
  'network',
  'too_large',
  'http_3xx',
  'http_429',
  'http_503',
  'http_4xx',
  'http_5xx',
  'empty',
  'unreadable',
] as const;
export const BREAKER_REASONS = [
  'busy',
  'blocked',
  'unreachable',
  'account_exhausted',
  'key_rejected',
  'address_not_allowed',
  'address_blocked',
] as const;

/** API keys, in order of their first use. Those beyond are not reported. */
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
