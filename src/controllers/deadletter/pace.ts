/**
 * How fast letters may be worked on, so that a storm of them leaves the API server and this process to new tasks. Each
 * letter gets a turn of its own, one `1/perSecond` after the other beyond a burst, instead of all of them asking again
 * and again. It answers how long to wait and never sleeps. Used by this controller alone.
 */
import { createPacer } from '../../waiting/pace.ts';

export interface Pace {
  /** 0: now, and the turn is used. Otherwise the milliseconds until this letter's turn, which is kept for it. */
  waitMs(key: string, monotonicMs: number): number;
  /** The letter is gone, and needs no turn. */
  forget(key: string): void;
}

export function createPace(options: { perSecond: number; burst: number }): Pace {
  const pacer = createPacer(options.perSecond, options.burst);
  const turns = new Map<string, number>();
  return {
    waitMs(key, monotonicMs) {
      const turn = turns.get(key) ?? pacer.book(monotonicMs);
      if (turn > monotonicMs) turns.set(key, turn);
      else turns.delete(key);
      return Math.max(0, Math.ceil(turn - monotonicMs));
    },
    forget: (key) => void turns.delete(key),
  };
}
