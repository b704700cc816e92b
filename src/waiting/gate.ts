/**
 * A gate (counting semaphore): at most `width` are inside, the others wait in line. A place that is left passes on
 * directly, so nobody who comes now overtakes the line. It has no timer: a caller with a deadline has to give up by itself.
 */
import { createLine } from './line.ts';

export interface Gate {
  /** Takes a place where one is free. */
  enter(): boolean;
  /**
   * Joins the line; `admitted` is called once, when a place has passed on. Returns the way to give up before that;
   * undefined where the line is full.
   */
  wait(admitted: () => void): (() => void) | undefined;
  /** Gives a place back. @throws Error where nobody is inside */
  leave(): void;
  inside(): number;
  waiting(): number;
}

export function createGate(width: number, maxWaiting = Infinity): Gate {
  /** Those who gave up stay until it would be their turn, and are passed over. */
  const line = createLine<{ admitted: (() => void) | undefined }>();
  let inside = 0;
  let waiting = 0;
  return {
    enter() {
      if (inside >= width) return false;
      inside++;
      return true;
    },
    wait(admitted) {
      if (waiting >= maxWaiting) return undefined;
      const waiter: { admitted: (() => void) | undefined } = { admitted };
      line.push(waiter);
      waiting++;
      return () => {
        if (waiter.admitted === undefined) return;
        waiter.admitted = undefined;
        waiting--;
      };
    },
    leave() {
      if (inside === 0) throw new Error('gate: somebody left who was not inside');
      for (let waiter = line.take(); waiter !== undefined; waiter = line.take()) {
        const { admitted } = waiter;
        if (admitted === undefined) continue;
        waiter.admitted = undefined;
        waiting--;
        return admitted();
      }
      inside--;
      return undefined;
    },
    inside: () => inside,
    waiting: () => waiting,
  };
}
