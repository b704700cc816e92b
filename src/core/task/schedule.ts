/**
 * When things are done again: backoff with jitter, the spread of overdue polls after a start, and the pacing of polls
 * per key. Values in, milliseconds out; chance is an argument in [0,1) and no timer lives here.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { Millis } from './times.ts';
import type { TaskPolicy } from './policy.ts';
import { firstPollDelayMs } from '../solution.ts';
import { SECRET_REREAD_MS, UNPINGED_POLL_INTERVAL_MS, UNREAD_RETRY_MS, WAITING_WRITE_MS } from './policy.ts';

export interface Backoff {
  baseMs: number;
  maxMs: number;
}

export const BUSY_BACKOFF: Backoff = { baseMs: 5_000, maxMs: 60_000 };
export const UNREACHABLE_BACKOFF: Backoff = { baseMs: 1_000, maxMs: 30_000 };
export const POLL_BACKOFF: Backoff = { baseMs: 10_000, maxMs: 60_000 };
export const API_BACKOFF: Backoff = { baseMs: 200, maxMs: 5_000 };

/** `ms` ± `share`, evenly. */
export function jittered(ms: number, share: number, random: number): number {
  return Math.round(ms * (1 - share + 2 * share * random));
}

/** The wait after the nth failure in a row (n counts from 1): doubling, capped, ±20 %. */
export function backoffMs(backoff: Backoff, failures: number, random: number): number {
  const doubled = backoff.baseMs * 2 ** Math.min(Math.max(failures, 1) - 1, 30);
  return jittered(Math.min(doubled, backoff.maxMs), 0.2, random);
}

/** When an accepted submission is first polled. */
export function firstPollAt(task: CaptchaTask, pingback: boolean, now: Millis): Millis {
  const delayMs = pingback ? task.spec.callbackTimeoutSeconds * 1_000 : firstPollDelayMs(task.spec.captcha.type);
  return now + delayMs;
}

/** The wait between two polls that found nothing, ±10 %. */
export function pollIntervalMs(pingback: boolean, policy: TaskPolicy, random: number): number {
  return jittered(pingback ? policy.pollIntervalMs : UNPINGED_POLL_INTERVAL_MS, 0.1, random);
}

/**
 * The wait before a Secret that a task needs is read again. `unreadForMs`: for how long the API server has answered
 * that it cannot read it; it may be able to in a moment, and for as long as nobody has been told it is asked often.
 */
export function rereadMs(unreadForMs: number | undefined): number {
  return unreadForMs === undefined || unreadForMs >= WAITING_WRITE_MS ? SECRET_REREAD_MS : UNREAD_RETRY_MS;
}

/** Hands out instants at most `perSecond` a second, with a burst of one second's worth (GCRA). */
export interface Pacer {
  /** Books the next instant; the answer is how many milliseconds from `mono` it lies ahead. */
  book(mono: number): number;
}

export function createPacer(perSecond: number): Pacer {
  const stepMs = 1_000 / perSecond;
  const burstMs = 1_000 - stepMs;
  let nextAt = -Infinity;
  return {
    book(mono) {
      nextAt = Math.max(nextAt, mono) + stepMs;
      return Math.max(0, Math.ceil(nextAt - stepMs - burstMs - mono));
    },
  };
}
