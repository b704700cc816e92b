import { describe, expect, test } from 'vitest';
import { BUSY_BACKOFF, backoffMs, rereadMs } from '../../../../src/core/task/policy.ts';

describe('backoff', () => {
  test('doubles to its maximum, each step ±20 %', () => {
    const steps = [1, 2, 3, 4, 5, 50].map((failures) => backoffMs(BUSY_BACKOFF, failures, 0.5));
    expect(steps).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    expect(backoffMs(BUSY_BACKOFF, 1, 0)).toBe(4_000);
    expect(backoffMs(BUSY_BACKOFF, 1, 1)).toBe(6_000);
  });
});

test('a Secret is read again every 10 s; one that the API server just now could not read, sooner until that is said', () => {
  expect([undefined, 0, 1_999, 2_000, 60_000].map(rereadMs)).toEqual([10_000, 500, 500, 10_000, 10_000]);
});
