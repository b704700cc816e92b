/**
 * Which letter may be worked on when, so that a storm of them leaves the API server and this process to new tasks: so
 * many a second, each with a turn of its own instead of all of them asking again and again, and never two retries of one
 * task at a time. Namespaces share the pace: the storm of one is no delay for the letter of another, whose content may
 * not live long. It answers and never waits. Instants are monotonic milliseconds.
 *
 * A letter has no turn; has one that is still to come (kept, however often it asks); or uses it. A task is free, or busy
 * with the retry of one letter; those of its other letters that come meanwhile are named at the end of that retry.
 */
import { splitKey } from '../../kube/types.ts';
import { createSharedPacer } from '../../waiting/pace.ts';

export interface Turns {
  /** 0: now, and the turn is used. Otherwise the milliseconds until this letter's turn. */
  waitMs(key: string, mono: number): number;
  /** The letter is gone, and needs no turn. */
  forget(key: string): void;
  /** Whether a retry of this task is under way. */
  isBusy(taskUID: string): boolean;
  /** The letter waits for the end of it. */
  awaitTask(taskUID: string, key: string): void;
  begin(taskUID: string): void;
  /** Returns the letters that waited. */
  end(taskUID: string): Iterable<string>;
}

export function createTurns(pace: { perSecond: number; burst: number }): Turns {
  const pacer = createSharedPacer(pace.perSecond, pace.burst);
  const turns = new Map<string, number>();
  const busy = new Set<string>();
  const waiting = new Map<string, Set<string>>();
  return {
    waitMs(key, mono) {
      const turn = turns.get(key) ?? pacer.book(splitKey(key).namespace, mono);
      if (turn > mono) turns.set(key, turn);
      else turns.delete(key);
      return Math.max(0, Math.ceil(turn - mono));
    },
    forget: (key) => void turns.delete(key),
    isBusy: (uid) => busy.has(uid),
    awaitTask: (uid, key) => void waiting.set(uid, (waiting.get(uid) ?? new Set()).add(key)),
    begin: (uid) => void busy.add(uid),
    end(uid) {
      const keys = waiting.get(uid) ?? [];
      waiting.delete(uid);
      busy.delete(uid);
      return keys;
    },
  };
}
