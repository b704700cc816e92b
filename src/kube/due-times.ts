/**
 * Wakes keys at their time, the earliest told for each, with one timer for all of them. Built for tens of thousands of
 * keys that are mostly moved or removed before they are due: a binary heap in two flat arrays, in which what was moved
 * stays as a stale entry until it surfaces. It keeps no order among keys that are due at one time. Called by `queue.ts`.
 */

import { createHeap } from '../waiting/heap.ts';

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

interface Due {
  key: string;
  atMs: number;
}

export function createDueTimes(options: DueTimesOptions): DueTimes {
  const dueAt = new Map<string, number>();
  const heap = createHeap<Due>((left, right) => left.atMs < right.atMs);
  let timer: NodeJS.Timeout | undefined;
  let wakeAtMs = Infinity;

  const arm = () => {
    const earliestMs = heap.peek()?.atMs;
    if (earliestMs === undefined || earliestMs >= wakeAtMs) return;
    clearTimeout(timer);
    wakeAtMs = earliestMs;
    timer = setTimeout(fire, Math.min(LONGEST_NAP_MS, Math.max(1, earliestMs - options.now())));
  };
  const fire = () => {
    wakeAtMs = Infinity;
    const nowMs = options.now();
    for (let due = heap.peek(); due !== undefined && due.atMs <= nowMs; due = heap.peek()) {
      heap.pop();
      const { key, atMs } = due;
      if (dueAt.get(key) !== atMs) continue;
      dueAt.delete(key);
      options.onDue(key);
    }
    arm();
  };
  const compact = () => {
    if (heap.size < COMPACT_FROM || heap.size < 2 * dueAt.size) return;
    heap.clear();
    for (const [key, atMs] of dueAt) heap.push({ key, atMs });
  };

  return {
    add(key, atMs) {
      if ((dueAt.get(key) ?? Infinity) <= atMs) return;
      dueAt.set(key, atMs);
      heap.push({ key, atMs });
      compact();
      arm();
    },
    remove: (key) => {
      dueAt.delete(key);
    },
    size: () => dueAt.size,
    clear() {
      dueAt.clear();
      heap.clear();
      clearTimeout(timer);
      wakeAtMs = Infinity;
    },
  };
}
