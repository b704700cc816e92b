/**
 * Bounds how many requests are in flight: at most `width` hold a place, the others wait in order. An API server on
 * few cores does no more work with more requests in flight, it only ends watches whose reader lags. Called by
 * `client.ts`, for lists apart from the other requests; urgent requests (lease renewals) do not pass through it.
 */

export interface Gate {
  /** Resolves with true once a place is held; false when `giveUpMs` passed, or `signal` aborted, before that. */
  enter(giveUpMs: number, signal: AbortSignal | undefined): Promise<boolean> | true;
  leave(): void;
  inFlight(): number;
  waiting(): number;
}

/** Told false when somebody begins to wait for a turn, true when it has come or was given up. */
export type OnTurn = (isOurs: boolean) => void;

interface Waiter {
  admit(): void;
  gone: boolean;
}

export function createGate(width: number): Gate {
  const line = createLine();
  let held = 0;
  return {
    enter(giveUpMs, signal) {
      if (held >= width) return line.join(giveUpMs, signal);
      held++;
      return true;
    },
    leave() {
      // The place passes on directly, so nobody who comes now overtakes the line.
      const waiter = line.next();
      if (waiter === undefined) held--;
      else waiter.admit();
    },
    inFlight: () => held,
    waiting: () => line.length(),
  };
}

interface Line {
  join(giveUpMs: number, signal: AbortSignal | undefined): Promise<boolean>;
  next(): Waiter | undefined;
  length(): number;
}

/** First come, first served; those who gave up stay in the array until their turn and are passed over. */
function createLine(): Line {
  let waiters: Waiter[] = [];
  let head = 0;
  let gone = 0;
  return {
    join(giveUpMs, signal) {
      return new Promise<boolean>((resolve) => {
        const settle = (admitted: boolean) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', giveUp);
          resolve(admitted);
        };
        const waiter: Waiter = { gone: false, admit: () => settle(true) };
        const giveUp = () => {
          waiter.gone = true;
          gone++;
          settle(false);
        };
        const timer = setTimeout(giveUp, giveUpMs);
        signal?.addEventListener('abort', giveUp, { once: true });
        waiters.push(waiter);
      });
    },
    next() {
      // A line that is never empty must not keep everybody who ever stood in it.
      if (head > 1024 && head * 2 > waiters.length) {
        waiters = waiters.slice(head);
        head = 0;
      }
      while (head < waiters.length) {
        const waiter = waiters[head++];
        if (waiter !== undefined && !waiter.gone) return waiter;
        gone--;
      }
      waiters = [];
      head = 0;
      return undefined;
    },
    length: () => waiters.length - head - gone,
  };
}
