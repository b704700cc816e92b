/**
 * A gate (counting semaphore): at most `width` are inside, the others wait in line. A place that is left passes on
 * directly, so nobody who comes now overtakes the line. Its width may change: who is inside stays, and those who
 * wait learn of a wider one when somebody leaves. It has no timer: a caller with a deadline has to give up by itself.
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

export function createGate(width: number | (() => number), maxWaiting = Infinity): Gate {
  const widthNow = typeof width === 'number' ? () => width : width;
  /** Those who gave up stay until it would be their turn, and are passed over. */
  const line = createLine<{ admitted: (() => void) | undefined }>();
  let inside = 0;
  let waiting = 0;
  const takeFirst = (): (() => void) | undefined => {
    for (let waiter = line.take(); waiter !== undefined; waiter = line.take()) {
      const { admitted } = waiter;
      if (admitted === undefined) continue;
      waiter.admitted = undefined;
      waiting--;
      return admitted;
    }
    return undefined;
  };
  return {
    enter() {
      if (inside >= widthNow()) return false;
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
      inside--;
      while (inside < widthNow()) {
        const admitted = takeFirst();
        if (admitted === undefined) return;
        inside++;
        admitted();
      }
    },
    inside: () => inside,
    waiting: () => waiting,
  };
}
