/**
 * Everything the provider can say to us, as one closed union, whichever way it said it (`in.php`, `res.php`, or the
 * `code` of a callback). `provider/wire.ts` and `core/callback/` produce it, `core/task` decides on it.
 * Classes come from `provider-codes`; what is not listed there is `unlisted`, never permanent by guess.
 */

/** What a refusal means for the task, its key or this address (see docs/provider-codes.md). */
export type RefusalClass =
  | 'permanent' // this submission can never succeed
  | 'proxy' // the proxy is bad: permanent from in.php, retriable from res.php and callbacks
  | 'retriable' // the solver gave up; a new, paid attempt may succeed
  | 'busy' // no free thread or slot; the key backs off
  | 'blocked' // the key is blocked for a documented time (`retryAfterMs`)
  | 'accountExhausted' // the account behind the key can buy nothing until somebody acts
  | 'callbackRefused' // the pingback address is refused, not the captcha
  | 'keyRejected' // ERROR_WRONG_USER_KEY, ERROR_KEY_DOES_NOT_EXIST
  | 'addressBlocked' // IP_BANNED, ERROR: 1004: every key of this address
  | 'addressNotAllowed' // ERROR_IP_NOT_ALLOWED: this key
  | 'transient' // provider fault that said so itself
  | 'unlisted'; // a code we do not know

export interface Refusal {
  kind: 'refused';
  class: RefusalClass;
  /** The provider's own word, bounded and cleaned (`^[A-Za-z0-9_: ]{1,64}$`), safe for status and metrics tables. */
  code: string;
  /** Documented block time, where there is one. */
  retryAfterMs?: number;
}

/** Why nothing was accepted although we tried: proven to have failed before the provider could act. */
export interface Unreachable {
  kind: 'unreachable';
  cause:
    | 'connectionRefused'
    | 'dns'
    | 'tls'
    | 'http429'
    | 'http503'
    | 'http4xx'
    | 'timeout'
    | 'network'
    | 'http5xx'
    | 'unreadable';
  retryAfterMs?: number;
}

/** `in.php`. `unknown`: the request left and what came back does not prove refusal; it may have been accepted. */
export type SubmitOutcome =
  | { kind: 'accepted'; captchaID: string }
  | Refusal
  | Unreachable
  | { kind: 'unknown'; cause: UnknownCause };

/** What was seen of a submission that may have been accepted. `exception`: our own code failed around the call. */
export type UnknownCause =
  | 'connectionRefused'
  | 'dns'
  | 'tls'
  | 'timeout'
  | 'aborted'
  | 'reset'
  | 'network'
  | 'tooLarge'
  | 'http3xx'
  | 'http5xx'
  | 'empty'
  | 'unreadable'
  | 'exception';

/** What `threadsinfo` says of an account. */
export interface ThreadCounts {
  /** 0: the account has none. */
  threads: number;
  /** Those at work, for whomever; not every provider says it. */
  working?: number;
}

/** `res.php?action=get`. A poll may be repeated, so every transport fault is `unreachable`. */
export type PollOutcome = { kind: 'pending' } | SolvedAnswer | UnreadableAnswer | Refusal | Unreachable;

/** Value as section 3 of the contract stores it: text, or compact JSON for object and list results. */
export interface SolvedAnswer {
  kind: 'solved';
  value: string;
  userAgent?: string;
}

/** An answer that has not the shape of its captcha's type: no result, and kept nowhere. */
export interface UnreadableAnswer {
  kind: 'unreadable';
}
