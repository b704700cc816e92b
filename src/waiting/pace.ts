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

/** A pace that groups share, so that the backlog of one is no delay for another. */
export interface SharedPacer {
  /** Books the next turn of this group, at its share of the pace, and returns its instant. */
  book(group: string, mono: number): number;
  /** Uses a turn of all together: a booked one whose time has come may still find none, and comes back a little later. */
  take(mono: number): boolean;
}

/** Groups share while they have turns ahead. What one booked before another came stays: so `take` has the last word. */
export function createSharedPacer(perSecond: number, burst = perSecond): SharedPacer {
  const stepMs = 1_000 / perSecond;
  const { take } = createPacer(perSecond, burst);
  /** The instant of the next turn of those that have any ahead, had nothing been saved up. */
  const nextMs = new Map<string, number>();
  return {
    take,
    book(group, mono) {
      for (const [name, at] of nextMs) if (at <= mono) nextMs.delete(name);
      const at = nextMs.get(group) ?? mono;
      nextMs.set(group, at);
      const sharers = nextMs.size;
      nextMs.set(group, at + stepMs * sharers);
      return at - ((burst - 1) * stepMs) / sharers;
    },
  };
}
