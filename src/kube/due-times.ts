/**
 * Wakes keys at their time, the earliest told for each, with one timer for all of them. Built for tens of thousands of
 * keys that are mostly moved or removed before they are due: a binary heap in two flat arrays, in which what was moved
 * stays as a stale entry until it surfaces. It keeps no order among keys that are due at one time. Called by `queue.ts`.
 */

export interface DueTimes {
  /** Keeps the earlier of this and what was told before. */
  add(key: string, atMs: number): void;
  remove(key: string): void;
  size(): number;
  clear(): void;
}

export interface DueTimesOptions {
  /** Milliseconds, monotonic. */
  now(): number;
  onDue(key: string): void;
}

/** A timer holds 24 days at most, and one of a paused process may be late: it is set anew at least this often. */
const LONGEST_NAP_MS = 30_000;
/** Below this many entries stale ones do not matter. */
const COMPACT_FROM = 1_024;

export function createDueTimes(options: DueTimesOptions): DueTimes {
  const dueAt = new Map<string, number>();
  let heap = createHeap();
  let timer: NodeJS.Timeout | undefined;
  let wakeAtMs = Infinity;

  const arm = () => {
    const earliestMs = heap.peek();
    if (earliestMs === undefined || earliestMs >= wakeAtMs) return;
    clearTimeout(timer);
    wakeAtMs = earliestMs;
    timer = setTimeout(fire, Math.min(LONGEST_NAP_MS, Math.max(1, earliestMs - options.now())));
  };
  const fire = () => {
    wakeAtMs = Infinity;
    const nowMs = options.now();
    for (let atMs = heap.peek(); atMs !== undefined && atMs <= nowMs; atMs = heap.peek()) {
      const key = heap.pop();
      if (key === undefined || dueAt.get(key) !== atMs) continue;
      dueAt.delete(key);
      options.onDue(key);
    }
    arm();
  };
  const compact = () => {
    if (heap.size() < COMPACT_FROM || heap.size() < 2 * dueAt.size) return;
    heap = createHeap();
    for (const [key, atMs] of dueAt) heap.push(key, atMs);
  };

  return {
    add(key, atMs) {
      if ((dueAt.get(key) ?? Infinity) <= atMs) return;
      dueAt.set(key, atMs);
      heap.push(key, atMs);
      compact();
      arm();
    },
    remove: (key) => {
      dueAt.delete(key);
    },
    size: () => dueAt.size,
    clear() {
      dueAt.clear();
      heap = createHeap();
      clearTimeout(timer);
      wakeAtMs = Infinity;
    },
  };
}

interface Heap {
  push(key: string, atMs: number): void;
  /** The earliest time. */
  peek(): number | undefined;
  /** The key with the earliest time. */
  pop(): string | undefined;
  size(): number;
}

function createHeap(): Heap {
  const keys: string[] = [];
  const times: number[] = [];
  const place = (index: number, key: string, atMs: number) => {
    keys[index] = key;
    times[index] = atMs;
  };
  const timeAt = (index: number) => times[index] ?? Infinity;

  const sinkFromTop = (key: string, atMs: number) => {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const child = timeAt(left + 1) < timeAt(left) ? left + 1 : left;
      if (timeAt(child) >= atMs) break;
      place(index, keys[child] as string, timeAt(child));
      index = child;
    }
    place(index, key, atMs);
  };

  return {
    push(key, atMs) {
      let index = keys.length;
      place(index, key, atMs);
      while (index > 0) {
        const parent = (index - 1) >> 1;
        if (timeAt(parent) <= atMs) break;
        place(index, keys[parent] as string, timeAt(parent));
        index = parent;
      }
      place(index, key, atMs);
    },
    peek: () => times[0],
    pop() {
      const first = keys[0];
      const lastKey = keys.pop();
      const lastTime = times.pop();
      if (lastKey !== undefined && lastTime !== undefined && keys.length > 0) sinkFromTop(lastKey, lastTime);
      return first;
    },
    size: () => keys.length,
  };
}
