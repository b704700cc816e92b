import { expect, test } from 'vitest';
import { createTurns } from '../../../../src/controllers/deadletter/turns.ts';

const keys = (count: number): string[] => Array.from({ length: count }, (_, index) => `default/letter-${index}`);

test('lets a burst through and gives everyone after it a turn of his own', () => {
  const turns = createTurns({ perSecond: 10, burst: 3 });
  expect(keys(6).map((key) => turns.waitMs(key, 1_000))).toEqual([0, 0, 0, 100, 200, 300]);
});
test('keeps a turn for the one that waits, however often it asks', () => {
  const turns = createTurns({ perSecond: 10, burst: 1 });
  const waits = keys(3).map((key) => turns.waitMs(key, 0));
  expect(waits).toEqual([0, 100, 200]);
  expect(turns.waitMs('default/letter-2', 50)).toBe(150);
  expect(turns.waitMs('default/letter-1', 100)).toBe(0);
  expect(turns.waitMs('default/letter-2', 200)).toBe(0);
});
test('saves up no more than the burst while nothing happens', () => {
  const turns = createTurns({ perSecond: 10, burst: 2 });
  turns.waitMs('default/first', 0);
  expect(keys(3).map((key) => turns.waitMs(key, 60_000))).toEqual([0, 0, 100]);
});
test('the storm of one namespace is no delay for another, and what they have together is shared', () => {
  const turns = createTurns({ perSecond: 10, burst: 1 });
  for (let n = 0; n < 10_000; n += 1) turns.waitMs(`storm/letter-${n}`, 0);
  expect(['other/a', 'other/b', 'third/a', 'other/c'].map((key) => turns.waitMs(key, 0))).toEqual([0, 200, 0, 400]);
  // Nobody else has any ahead then.
  expect(['other/d', 'other/e'].map((key) => turns.waitMs(key, 2_000_000))).toEqual([0, 100]);
});
test('lets one retry of a task run at a time, and names who waited for it', () => {
  const turns = createTurns({ perSecond: 10, burst: 2 });
  turns.begin('u1');
  expect([turns.isBusy('u1'), turns.isBusy('u2')]).toEqual([true, false]);
  turns.awaitTask('u1', 'default/a');
  turns.awaitTask('u1', 'default/b');
  turns.awaitTask('u1', 'default/a');
  expect([...turns.end('u1')]).toEqual(['default/a', 'default/b']);
  expect(turns.isBusy('u1')).toBe(false);
  expect([...turns.end('u1')]).toEqual([]);
});
