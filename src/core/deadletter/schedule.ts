/**
 * When a letter is retried and when its retries are used up; pure arithmetic on what its status says, so that a new
 * process goes on where the last one stopped. First 10 s after creation, then doubling with jitter up to every 300 s,
 * sooner where the content would expire before; 30 retries a budget, and a redrive starts a fresh one (defaults of
 * section 8).
 */
import type { DeadLetterStatus } from '../../api/deadletter.ts';
import type { Millis } from '../task/times.ts';
import { exponentialBackoff } from '../../waiting/backoff.ts';

/** From the configuration: `DEAD_LETTER_RETRY_MIN_SECONDS`, `…_MAX_SECONDS`, `…_MAX_ATTEMPTS`, `…_TTL_SECONDS`. */
export interface LetterPolicy {
  retryMinMs: number;
  retryMaxMs: number;
  maxAttempts: number;
  ttlMs: number;
}

export const DEFAULT_LETTER_POLICY: LetterPolicy = {
  retryMinMs: 10_000,
  retryMaxMs: 300_000,
  maxAttempts: 30,
  ttlMs: 86_400_000,
};

/** A retry this long before the content expires can still be of use. */
const EXPIRY_MARGIN_MS = 5_000;

/** Retries made since the letter was created or last redriven. */
export function triesInBudget(status: DeadLetterStatus | undefined): number {
  return (status?.attempts ?? 0) - (status?.lastRedrive?.attempts ?? 0);
}

/**
 * The instant of the next retry after `tries` of this budget. `random` in [0,1) is the jitter; 0.5 means none.
 * Content that would expire in between is tried once more shortly before that.
 */
export function nextRetryAt(
  budget: { tries: number; from: Millis; expiresAt: Millis | undefined; random: number },
  policy: LetterPolicy,
): Millis {
  const { tries, from, expiresAt, random } = budget;
  const delay = exponentialBackoff({ baseMs: policy.retryMinMs, maxMs: policy.retryMaxMs, random: () => random });
  const at = from + delay(tries + 1);
  const lastUseful = (expiresAt ?? Infinity) - EXPIRY_MARGIN_MS;
  return lastUseful > from && lastUseful < at ? lastUseful : at;
}
