/** How long a Lease is held, renewed and retried, and which of that would break it. Pure; used by `lease.ts`. */

export interface LeaseDurations {
  /** A Lease that did not change for so long may be taken. */
  leaseDurationMs: number;
  /** A holder that could not renew for so long is no leader any more. */
  renewDeadlineMs: number;
  retryPeriodMs: number;
}

export const DEFAULT_DURATIONS: LeaseDurations = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2_000,
};

/** client-go's factor: a round may come that much later. */
const RETRY_MARGIN = 1.2;

/** @throws Error for durations with which there could be two leaders, or a leader could not keep the Lease */
export function refuseUnsafe({ leaseDurationMs, renewDeadlineMs, retryPeriodMs }: LeaseDurations): void {
  if (!(retryPeriodMs > 0)) throw new Error('lease: the retry period must be longer than nothing');
  if (!(renewDeadlineMs > retryPeriodMs * RETRY_MARGIN)) {
    throw new Error('lease: the renew deadline must leave time for a second try');
  }
  if (!(leaseDurationMs > renewDeadlineMs)) {
    throw new Error('lease: the renew deadline must be shorter than the lease duration, or two could lead');
  }
}
