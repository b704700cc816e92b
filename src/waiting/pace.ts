/**
 * Rate pacing: turns at most `perSecond` a second beyond a burst (the generic cell rate algorithm, which is a token
 * bucket that stores one instant). It answers when and never waits. Instants are milliseconds of one monotonic clock.
 */

export interface Pacer {
  /** Books the next turn and returns its instant; a turn that is not later than `mono` may be used now. */
  book(mono: number): number;
  /** Uses a turn where there is one now; otherwise false, and nothing is booked. */
  take(mono: number): boolean;
}

/** @param burst turns that may be used at one instant after an idle time; one second's worth unless told otherwise */
export function createPacer(perSecond: number, burst = perSecond): Pacer {
  const stepMs = 1_000 / perSecond;
  const savedMs = (burst * 1_000) / perSecond - stepMs;
  /** The instant of the next turn, had nothing been saved up. */
  let nextMs = -Infinity;
  const turnAt = (mono: number): number => Math.max(nextMs, mono);
  return {
    book(mono) {
      nextMs = turnAt(mono) + stepMs;
      return nextMs - stepMs - savedMs;
    },
    take(mono) {
      if (turnAt(mono) - savedMs > mono) return false;
      nextMs = turnAt(mono) + stepMs;
      return true;
    },
  };
}
