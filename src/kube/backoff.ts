/**
 * Backoff as a value: the n-th failure in a row becomes a delay. Holds no timer and no state, so callers keep the
 * count. Used by the reflector, the work queue and the lease.
 */

export interface BackoffOptions {
  /** Delay after the first failure. */
  baseMs: number;
  /** No delay is longer than this, jitter included. */
  maxMs: number;
  /** Share by which a delay may differ from its step, both ways. */
  jitter?: number;
  /** In [0, 1). */
  random?: () => number;
}

/** Doubles from `baseMs` to `maxMs`, each delay jittered by ±20 % unless told otherwise. `failures` counts from 1. */
export function exponentialBackoff(options: BackoffOptions): (failures: number) => number {
  const { baseMs, maxMs, jitter = 0.2, random = Math.random } = options;
  return (failures) => {
    const stepMs = Math.min(baseMs * 2 ** Math.min(failures - 1, 30), maxMs);
    return Math.min(maxMs, stepMs * (1 - jitter + 2 * jitter * random()));
  };
}
