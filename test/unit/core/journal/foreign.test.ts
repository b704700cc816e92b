/** Which intents are of another installation, and what is only an earlier leader's. */
import { describe, expect, test } from 'vitest';
import { isForeign, processOf } from '../../../../src/core/journal/foreign.ts';
import { adopted, intended } from '../../../../src/core/task/transitions.ts';
import { T0, aTask } from '../../../support/builders.ts';

const TAKEN = T0;
const LATER = T0 + 61_000;
const KIN = new Set(['operator-a_1f', 'operator-b_2e']);

function announcedBy(by: string, at = LATER) {
  const { submission } = intended(aTask().build(), { by, pingback: true, sameAttempt: false }, at);
  return isForeign(submission!, KIN, TAKEN);
}

describe('an intent in status', () => {
  test('is foreign when a process that the journal never named wrote it long after the take-over', () => {
    expect(announcedBy('operator-x_77/1')).toBe(true);
  });
  test('is not when the holder wrote it, or who held the journal before or has entries in it', () => {
    expect(announcedBy('operator-a_1f/9')).toBe(false);
    expect(announcedBy('operator-b_2e/1')).toBe(false);
  });
  test('is not when it may be of a leader that had ended before: their clocks may differ by a minute', () => {
    expect(announcedBy('operator-x_77/1', TAKEN + 60_000)).toBe(false);
  });
  test('is not when a callback told of its submission first: it names nobody', () => {
    const { submission } = adopted(aTask().build(), '1', LATER);
    expect(isForeign({ ...submission!, intentTime: '2026-01-01T01:00:00Z' }, KIN, TAKEN)).toBe(false);
  });
  test('names its process before its number', () => {
    expect(processOf('pod/with/slashes_1f/12')).toBe('pod/with/slashes_1f');
    expect(processOf('nobody')).toBe('');
  });
});
