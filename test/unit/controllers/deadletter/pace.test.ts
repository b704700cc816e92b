import { expect, it } from 'vitest';
import { createPace } from '../../../../src/controllers/deadletter/pace.ts';

const keys = (count: number): string[] => Array.from({ length: count }, (_, index) => `default/letter-${index}`);

it('lets a burst through and gives everyone after it a turn of his own', () => {
  const pace = createPace({ perSecond: 10, burst: 3 });
  expect(keys(6).map((key) => pace.waitMs(key, 1_000))).toEqual([0, 0, 0, 100, 200, 300]);
});
it('keeps a turn for the one that waits, however often it asks', () => {
  const pace = createPace({ perSecond: 10, burst: 1 });
  const waits = keys(3).map((key) => pace.waitMs(key, 0));
  expect(waits).toEqual([0, 100, 200]);
  expect(pace.waitMs('default/letter-2', 50)).toBe(150);
  expect(pace.waitMs('default/letter-1', 100)).toBe(0);
  expect(pace.waitMs('default/letter-2', 200)).toBe(0);
});
it('saves up no more than the burst while nothing happens', () => {
  const pace = createPace({ perSecond: 10, burst: 2 });
  pace.waitMs('default/first', 0);
  expect(keys(3).map((key) => pace.waitMs(key, 60_000))).toEqual([0, 0, 100]);
});
