/**
 * A bounded number of places and a bounded queue for them, first come first served, each waiter with its own patience.
 * Keeps callbacks from piling up on the Kubernetes API; who gets no place is spooled.
 */
export interface Places {
  /** Resolves true with a place, false when the queue is full or no place came free in time. */
  enter(patienceMs: number): Promise<boolean>;
  leave(): void;
}

interface Waiter {
  resolve(entered: boolean): void;
  timer: NodeJS.Timeout;
}

export function createPlaces(options: { places: number; waiting: number }): Places {
  let free = options.places;
  const waiters = new Set<Waiter>();
  return {
    async enter(patienceMs) {
      if (free > 0) {
        free--;
        return true;
      }
      if (waiters.size >= options.waiting) return false;
      return new Promise((resolve) => {
        const waiter: Waiter = {
          resolve,
          timer: setTimeout(() => {
            waiters.delete(waiter);
            resolve(false);
          }, patienceMs),
        };
        waiters.add(waiter);
      });
    },
    leave() {
      const next = waiters.values().next().value;
      if (next === undefined) {
        free++;
        return;
      }
      waiters.delete(next);
      clearTimeout(next.timer);
      next.resolve(true);
    },
  };
}
