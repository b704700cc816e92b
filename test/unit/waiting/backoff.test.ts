/** Backoff is a value. */
import { expect, test } from 'vitest';
import { exponentialBackoff } from '../../../src/waiting/backoff.ts';

const at = (random: number) => exponentialBackoff({ baseMs: 100, maxMs: 150, random: () => random });

test('doubles up to its limit', () => {
  const delay = exponentialBackoff({ baseMs: 100, maxMs: 1_000, jitter: 0, random: () => 0 });
  expect([1, 2, 3, 4, 5, 400].map((n) => delay(n))).toEqual([100, 200, 400, 800, 1_000, 1_000]);
});

test('is jittered by a fifth both ways, and never exceeds its limit', () => {
  expect(at(0)(1)).toBeCloseTo(80);
  expect(at(0.999_999)(1)).toBeCloseTo(120);
  expect(at(0.999_999)(9)).toBe(150);
});
