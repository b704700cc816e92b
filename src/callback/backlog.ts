/**
 * The order in which spooled records are tried: those that are ready, first in first out, and those that failed by
 * themselves, each waiting out its own jittered, growing delay without holding up the rest. It tries none itself.
 */
import { exponentialBackoff } from '../waiting/backoff.ts';
import { createLine } from '../waiting/line.ts';
import type { SpoolEntry } from './spool/types.ts';

export interface Waiting {
  entry: SpoolEntry;
  failures: number;
}

export interface Backlog {
  put(waiting: Waiting): void;
  /** After its delay it is ready again, and `onReady` is called. `ofApi`: it failed because of the API. */
  delay(waiting: Waiting, ofApi: boolean): void;
  take(): Waiting | undefined;
  ready(): number;
  /** Ready or delayed. */
  size(): number;
  /** Makes up to so many of those ready that failed because of the API, the ones with the fewest failures first. */
  wake(count: number): void;
  /** Makes all delayed ones ready at once. */
  hurry(): void;
  clear(): void;
}

const delayAfter = exponentialBackoff({ baseMs: 1_000, maxMs: 60_000, random: Math.random });

export function createBacklog(onReady: () => void): Backlog {
  const line = createLine<Waiting>();
  const delayed = createDelayed((waiting) => line.push(waiting));

  return {
    put: (waiting) => line.push(waiting),
    delay: ({ entry, failures }, ofApi) => delayed.add({ entry, failures: failures + 1 }, ofApi, onReady),
    take: () => line.take(),
    ready: () => line.size,
    size: () => line.size + delayed.size(),
    wake(count) {
      for (let woken = 0; woken < count; woken++) delayed.endLeastFailed();
    },
    hurry: () => delayed.endAll(),
    clear() {
      delayed.clear();
      line.clear();
    },
  };
}

/** Records that wait out a delay, each with its timer. `onEnd` gets one whose delay is over. */
function createDelayed(onEnd: (waiting: Waiting) => void) {
  const delayed = new Map<NodeJS.Timeout, { waiting: Waiting; ofApi: boolean }>();
  const end = (timer: NodeJS.Timeout, waiting: Waiting): void => {
    clearTimeout(timer);
    delayed.delete(timer);
    onEnd(waiting);
  };
  return {
    size: () => delayed.size,
    add(waiting: Waiting, ofApi: boolean, onOver: () => void): void {
      const over = (): void => {
        end(timer, waiting);
        onOver();
      };
      const timer = setTimeout(over, delayAfter(waiting.failures));
      delayed.set(timer, { waiting, ofApi });
    },
    endLeastFailed(): void {
      let least: [NodeJS.Timeout, Waiting] | undefined;
      for (const [timer, { waiting, ofApi }] of delayed) {
        if (ofApi && (least === undefined || waiting.failures < least[1].failures)) least = [timer, waiting];
      }
      if (least !== undefined) end(...least);
    },
    endAll(): void {
      for (const [timer, { waiting }] of delayed) end(timer, waiting);
    },
    clear(): void {
      for (const timer of delayed.keys()) clearTimeout(timer);
      delayed.clear();
    },
  };
}
