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
  const bookFor = createBooking(pace);
  const turns = new Map<string, number>();
  const busy = new Set<string>();
  const waiting = new Map<string, Set<string>>();
  return {
    waitMs(key, mono) {
      const turn = turns.get(key) ?? bookFor(splitKey(key).namespace, mono);
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

/**
 * The turns of each namespace by the generic cell rate algorithm (`waiting/pace.ts`), at its share of the pace among
 * those that have turns ahead. What was booked before another one came stays, so that for a while there may be more.
 */
function createBooking({ perSecond, burst }: { perSecond: number; burst: number }) {
  const stepMs = 1_000 / perSecond;
  /** The instant of the next turn, had nothing been saved up; of those that have any ahead. */
  const nextMs = new Map<string, number>();
  return (namespace: string, mono: number): number => {
    for (const [name, at] of nextMs) if (at <= mono) nextMs.delete(name);
    const at = nextMs.get(namespace) ?? mono;
    nextMs.set(namespace, at);
    const sharers = nextMs.size;
    nextMs.set(namespace, at + stepMs * sharers);
    return at - ((burst - 1) * stepMs) / sharers;
  };
}
