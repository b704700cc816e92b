import { describe, expect, test } from 'vitest';
import { formatTime, parseTime } from '../../../../src/core/task/times.ts';
import { T0 } from '../../../support/builders.ts';

describe('times', () => {
  test('are whole seconds, never later than what was asked for', () => {
    expect(formatTime(T0 + 1_999)).toBe('2026-01-01T00:00:01Z');
    expect(parseTime('2026-01-01T00:00:01Z')).toBe(T0 + 1_000);
    expect(parseTime('soon')).toBeUndefined();
  });
});
