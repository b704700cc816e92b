/**
 * When things are done again: backoffs, the first poll and the polls after it, Secrets that are read anew. Values in,
 * milliseconds out; chance is an argument in [0,1) and no timer lives here.
 */
import { type BackoffSteps, doubled, jittered } from '../../waiting/backoff.ts';
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { Millis } from './times.ts';
import type { TaskPolicy } from './policy.ts';
import { firstPollDelayMs } from '../solution.ts';
import { SECRET_REREAD_MS, UNPINGED_POLL_INTERVAL_MS, UNREAD_RETRY_MS, WAITING_WRITE_MS } from './policy.ts';

export const BUSY_BACKOFF: BackoffSteps = { baseMs: 5_000, maxMs: 60_000 };
export const UNREACHABLE_BACKOFF: BackoffSteps = { baseMs: 1_000, maxMs: 30_000 };
export const POLL_BACKOFF: BackoffSteps = { baseMs: 10_000, maxMs: 60_000 };

/** The wait after the nth failure in a row (n counts from 1): doubling, capped, then ±20 %. */
export function backoffMs(backoff: BackoffSteps, failures: number, random: number): number {
  return Math.round(jittered(doubled(backoff, failures), 0.2, random));
}

/** When an accepted submission is first polled. */
export function firstPollAt(task: CaptchaTask, pingback: boolean, now: Millis): Millis {
  const delayMs = pingback ? task.spec.callbackTimeoutSeconds * 1_000 : firstPollDelayMs(task.spec.captcha.type);
  return now + delayMs;
}

/** The wait between two polls that found nothing, ±10 %. */
export function pollIntervalMs(pingback: boolean, policy: TaskPolicy, random: number): number {
  return Math.round(jittered(pingback ? policy.pollIntervalMs : UNPINGED_POLL_INTERVAL_MS, 0.1, random));
}

/**
 * The wait before a Secret that a task needs is read again. `unreadForMs`: for how long the API server has answered
 * that it cannot read it; it may be able to in a moment, and for as long as nobody has been told it is asked often.
 */
export function rereadMs(unreadForMs: number | undefined): number {
  return unreadForMs === undefined || unreadForMs >= WAITING_WRITE_MS ? SECRET_REREAD_MS : UNREAD_RETRY_MS;
}
