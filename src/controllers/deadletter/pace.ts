/**
 * How fast letters may be worked on, so that a storm of them leaves the API server and this process to new tasks. Each
 * letter gets a turn of its own, one `1/perSecond` after the other beyond a burst, instead of all of them asking again
 * and again. It answers how long to wait and never sleeps. Used by this controller alone.
 */
export interface Pace {
  /** 0: now, and the turn is used. Otherwise the milliseconds until this letter's turn, which is kept for it. */
  waitMs(key: string, monotonicMs: number): number;
  /** The letter is gone, and needs no turn. */
  forget(key: string): void;
}

export function createPace(options: { perSecond: number; burst: number }): Pace {
  const stepMs = 1_000 / options.perSecond;
  const turns = new Map<string, number>();
  let nextTurn = -Infinity;
  const turnOf = (key: string, monotonicMs: number): number => {
    const kept = turns.get(key);
    if (kept !== undefined) return kept;
    // An idle time saves up turns, up to the burst.
    const turn = Math.max(nextTurn, monotonicMs - (options.burst - 1) * stepMs);
    nextTurn = turn + stepMs;
    return turn;
  };
  return {
    waitMs(key, monotonicMs) {
      const turn = turnOf(key, monotonicMs);
      if (turn > monotonicMs) turns.set(key, turn);
      else turns.delete(key);
      return Math.max(0, Math.ceil(turn - monotonicMs));
    },
    forget: (key) => void turns.delete(key),
  };
}
