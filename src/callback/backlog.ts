/**
 * The order in which spooled records are tried: those that are ready, first in first out, and those that failed by
 * themselves, each waiting out its own jittered, growing delay without holding up the rest. Used by the drainer.
 */
import { exponentialBackoff } from '../kube/backoff.ts';
import type { SpoolEntry } from './spool/types.ts';

export interface Waiting {
  entry: SpoolEntry;
  failures: number;
}

export interface Backlog {
  put(waiting: Waiting): void;
  /** After its delay it is ready again, and `onReady` is called. */
  delay(waiting: Waiting): void;
  take(): Waiting | undefined;
  ready(): number;
  /** Ready or delayed. */
  size(): number;
  /** Makes delayed ones ready at once. */
  hurry(): void;
  clear(): void;
}

const delayAfter = exponentialBackoff({ baseMs: 1_000, maxMs: 60_000 });

export function createBacklog(onReady: () => void): Backlog {
  let queue: Waiting[] = [];
  /** Taken from the front of `queue`; the array is cut now and then, not at every take. */
  let taken = 0;
  const delayed = new Map<NodeJS.Timeout, Waiting>();

  const clearDelayed = (): Waiting[] => {
    const waiting = [...delayed.values()];
    for (const timer of delayed.keys()) clearTimeout(timer);
    delayed.clear();
    return waiting;
  };
  return {
    put: (waiting) => void queue.push(waiting),
    delay({ entry, failures }) {
      const timer = setTimeout(
        () => {
          delayed.delete(timer);
          queue.push({ entry, failures: failures + 1 });
          onReady();
        },
        delayAfter(failures + 1),
      );
      delayed.set(timer, { entry, failures: failures + 1 });
    },
    take() {
      const next = queue[taken];
      if (next === undefined) return undefined;
      taken++;
      if (taken > 1_024 && taken * 2 > queue.length) {
        queue = queue.slice(taken);
        taken = 0;
      }
      return next;
    },
    ready: () => queue.length - taken,
    size: () => queue.length - taken + delayed.size,
    hurry: () => void queue.push(...clearDelayed()),
    clear() {
      clearDelayed();
      queue = [];
      taken = 0;
    },
  };
}
