/**
 * Backoff as a value: the n-th failure in a row becomes a delay. It holds no timer and no state, so callers keep the
 * count, and chance is an argument in [0,1).
 */

export interface BackoffSteps {
  /** Delay after the first failure. */
  baseMs: number;
  maxMs: number;
}

export interface BackoffOptions extends BackoffSteps {
  /** Share by which a delay may differ from its step, both ways; a fifth. */
  jitter?: number;
  random: () => number;
}

/** More doublings than this leave every sensible maximum behind. */
const MAX_DOUBLINGS = 30;

/** The step after the n-th failure, n from 1: doubled from `baseMs` up to `maxMs`. */
export function doubled({ baseMs, maxMs }: BackoffSteps, failures: number): number {
  return Math.min(baseMs * 2 ** Math.min(Math.max(failures, 1) - 1, MAX_DOUBLINGS), maxMs);
}

/** `ms` more or less `share`, evenly. */
export function jittered(ms: number, share: number, random: number): number {
  return ms * (1 - share + 2 * share * random);
}

/** Doubled steps, each jittered; no delay is longer than `maxMs`, jitter included. `failures` counts from 1. */
export function exponentialBackoff(options: BackoffOptions): (failures: number) => number {
  const { jitter = 0.2, random, maxMs } = options;
  return (failures) => Math.min(maxMs, jittered(doubled(options, failures), jitter, random()));
}
