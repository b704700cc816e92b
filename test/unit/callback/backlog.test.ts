/** The order in which spooled records are tried. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createBacklog } from '../../../src/callback/backlog.ts';
import type { SpoolEntry } from '../../../src/callback/spool/types.ts';

const entry = (offset: number): SpoolEntry => ({ offset }) as SpoolEntry;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('records are taken first in, first out, however many there are', () => {
  const backlog = createBacklog(() => undefined);
  for (let n = 0; n < 5_000; n++) backlog.put({ entry: entry(n), failures: 0 });
  const taken = Array.from({ length: 5_000 }, () => backlog.take()?.entry.offset);
  expect(taken).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  expect(backlog.take()).toBeUndefined();
});

test('a record that failed waits longer each time, up to a minute, and lets the others pass', () => {
  let readied = 0;
  const backlog = createBacklog(() => readied++);
  for (const [failures, atMostMs] of [
    [0, 1_200],
    [3, 9_600],
    [20, 60_000],
  ] as const) {
    backlog.delay({ entry: entry(1), failures }, false);
    expect(backlog.ready()).toBe(0);
    expect(backlog.size()).toBe(1);
    vi.advanceTimersByTime(atMostMs);
    expect(backlog.take()).toEqual({ entry: entry(1), failures: failures + 1 });
  }
  expect(readied).toBe(3);
});

test('hurry makes every waiting record ready, for the last round before the end', () => {
  const backlog = createBacklog(() => undefined);
  backlog.delay({ entry: entry(1), failures: 9 }, false);
  backlog.hurry();
  expect(backlog.ready()).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});
