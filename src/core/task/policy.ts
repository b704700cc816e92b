/**
 * Every duration and limit that the rules of a task compare with. What people configure is one value that `decide` and
 * the lanes take as an argument, so that tests can shorten that and nothing else; the constants are the contract's.
 * Also how a wait grows with failures. It decides nothing: what is waited for stands with the rules.
 */
import { type BackoffSteps, doubled, jittered } from '../../waiting/backoff.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** What an operator's configuration sets (section 8). */
export interface TaskPolicy {
  maxConcurrentSubmissions: number;
  pollIntervalMs: number;
  maxPollsPerSecond: number;
  unknownSubmissionGraceMs: number;
  /** 0: no limit. */
  rejectedKeysLimit: number;
  /** Results in a row without a callback before a key's tasks are polled as if none was to come. 0: never. */
  callbackSilenceLimit: number;
  /** Seconds; undefined: finished tasks are kept. */
  defaultTtlSeconds: number | undefined;
}

export const DEFAULT_POLICY: TaskPolicy = {
  maxConcurrentSubmissions: 32,
  pollIntervalMs: 10 * SECOND,
  maxPollsPerSecond: 20,
  unknownSubmissionGraceMs: 60 * SECOND,
  rejectedKeysLimit: 4,
  callbackSilenceLimit: 5,
  defaultTtlSeconds: 86_400,
};

/** A provider call may begin only this long after its intent write was sent; later it might belong to somebody else. */
export const INTENT_FRESH_MS = 5 * SECOND;
/** The deadline of the call to `in.php`. */
export const SUBMIT_TIMEOUT_MS = 15 * SECOND;
/** Where no pingback was sent and the call was not seen ending: its deadline plus a margin. */
export const UNSEEN_CALL_GRACE_MS = 20 * SECOND;
/** An unconfirmed mark without a letter is dropped after this, counted from its first sight … */
export const UNCONFIRMED_MARK_MS = 10 * MINUTE;
/** … and after this where the id is known: a poll finds what the mark was about. */
export const POLLABLE_MARK_MS = 2 * MINUTE;
/** How long the operator must have watched, at most, before it acts on a deadline or a grace. */
export const MAX_WATCHED_MS = 15 * SECOND;
/** A task says that it waits, and why, when it has waited this long. */
export const WAITING_WRITE_MS = 2 * SECOND;
/** `Submitted` yields to other requests no longer than until so long before the first poll. */
export const LAST_RECORD_MS = 2 * SECOND;
/** Secrets are read again this often while somebody waits for them. */
export const SECRET_REREAD_MS = 10 * SECOND;
/** Those that the API server just now could not read: this often before anybody is told. */
const UNREAD_RETRY_MS = 500;
/** Poll interval of a submission that carries no pingback. */
export const UNPINGED_POLL_INTERVAL_MS = 5 * SECOND;
/** Submissions of a key whose callback URL was refused carry none for so long. */
export const URL_REFUSED_MS = 60 * MINUTE;
/** A permit returns by itself after this: the provider has ended a forgotten task by then. */
export const PERMIT_MS = 300 * SECOND;
export const THREADS_REREAD_MS = MINUTE;
/** The same while tasks wait for threads that others use. */
export const CROWDED_REREAD_MS = 10 * SECOND;
/** Key rejections are counted over this window. */
export const REJECTIONS_WINDOW_MS = 5 * MINUTE;
/** How often a code that is not in the table is tried before it counts as permanent. */
export const UNLISTED_TRIES = 5;
/** As many answers without the shape of the task's type end the attempt. */
export const UNREADABLE_ANSWERS = 3;
/** A final poll that does not get through is repeated this often before the deadline counts. */
export const FINAL_POLL_TRIES = 3;
/** And so long a key that the API server cannot read just now is waited for, to poll with before the deadline counts. */
export const UNREAD_KEY_PATIENCE_MS = 30 * SECOND;
/** Ids and results of calls already sent are read and recorded for this long after a stop. */
export const DRAIN_MS = 30 * SECOND;

export const BUSY_BACKOFF: BackoffSteps = { baseMs: 5 * SECOND, maxMs: 60 * SECOND };
export const UNREACHABLE_BACKOFF: BackoffSteps = { baseMs: SECOND, maxMs: 30 * SECOND };
export const POLL_BACKOFF: BackoffSteps = { baseMs: 10 * SECOND, maxMs: 60 * SECOND };

/** The wait after the nth failure in a row (n counts from 1): doubling, capped, then ±20 %. */
export function backoffMs(backoff: BackoffSteps, failures: number, random: number): number {
  return Math.round(jittered(doubled(backoff, failures), 0.2, random));
}

/**
 * The wait before a Secret that a task needs is read again. `unreadForMs`: for how long the API server has answered
 * that it cannot read it; it may be able to in a moment, and for as long as nobody has been told it is asked often.
 */
export function rereadMs(unreadForMs: number | undefined): number {
  return unreadForMs === undefined || unreadForMs >= WAITING_WRITE_MS ? SECRET_REREAD_MS : UNREAD_RETRY_MS;
}
