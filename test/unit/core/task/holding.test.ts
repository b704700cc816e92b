/** How long an announced letter, whose mark nobody has confirmed, holds its task. */
import { describe, expect, test } from 'vitest';
import type { TaskBuilder } from '../../../support/builders.ts';
import type { TaskDecision } from '../../../../src/core/task/decide.ts';
import { markKey, sighted, freshMemory } from '../../../../src/core/task/memory.ts';
import { T0, aTask } from '../../../support/builders.ts';
import { MONO0, decideAt } from '../../../support/facts.ts';

const MINUTE = 60_000;
const accepted = aTask().intended().submitted();
const unresolved = aTask().intended().waiting('SubmissionUnknown');

const statusOf = ({ effect }: TaskDecision) => (effect !== undefined && 'status' in effect ? effect.status : undefined);
/** This process saw the task so for the first time so many milliseconds after T0. */
const seen = (task: TaskBuilder, ms = 0) => sighted(freshMemory('u'), task.build(), MONO0 + ms);
/** A quorum read of the letter that the task's mark names. */
const read = (task: TaskBuilder, state: 'absent' | 'present') => {
  const { deadLetter = { name: '', time: '' } } = task.build().status ?? {};
  return { ...seen(task), letter: { mark: markKey(deadLetter), state, readMono: MONO0 } };
};

describe('a letter that was only announced', () => {
  test.each([
    ['two minutes where the id is known', accepted, 2 * MINUTE],
    ['ten minutes where it is not', unresolved, 10 * MINUTE],
    ['ten minutes where the attempt has ended', accepted.attemptEnded(), 10 * MINUTE],
  ])('is waited for, from its first sight: %s', (_what, task, waitMs) => {
    const marked = task.marked('login-letter', T0);
    for (const ms of [0, 5 * MINUTE]) {
      const memory = seen(marked, ms);
      expect(decideAt(marked, ms + waitMs - 1_000, { memory })).toMatchObject({ wakeInMs: 1_000 });
      expect(decideAt(marked, ms + waitMs, { memory }).effect).toEqual({ kind: 'readLetter' });
    }
  });
  test.each([
    ['behind', -86_400_000],
    ['ahead', 86_400_000],
  ])('is waited for as long, whatever clock its mark carries: a day %s', (_what, offsetMs) => {
    const marked = accepted.marked('login-letter', T0 + offsetMs);
    const memory = seen(marked);
    expect(decideAt(marked, 0, { memory })).toMatchObject({ wakeInMs: 2 * MINUTE });
    expect(decideAt(marked, 2 * MINUTE, { memory }).effect).toEqual({ kind: 'readLetter' });
  });
  test('is waited for anew when another result is announced, not when the same mark is seen again', () => {
    const marked = accepted.marked('login-letter', T0);
    const again = sighted(seen(marked), marked.waiting('DeadLettered').build(), MONO0 + MINUTE);
    expect(decideAt(marked, MINUTE, { memory: again })).toMatchObject({ wakeInMs: MINUTE });
    const other = marked.marked('another-letter', T0 + MINUTE);
    const memory = sighted(seen(marked), other.build(), MONO0 + MINUTE);
    expect(decideAt(other, MINUTE, { memory })).toMatchObject({ wakeInMs: 2 * MINUTE });
  });
  test('is waited for until the operator has watched for a while: whoever holds the result has the same outage', () => {
    const marked = accepted.marked('login-letter', T0);
    const decision = decideAt(marked, 3 * MINUTE, { memory: seen(marked), watchedMs: 14_500 });
    expect(decision).toMatchObject({ wakeInMs: 500 });
  });
  test('that never came to be lets the task go on, by a poll where its id is known', () => {
    const marked = accepted.marked('login-letter', T0);
    const dropped = statusOf(decideAt(marked, 2 * MINUTE, { memory: read(marked, 'absent') }));
    expect(dropped).not.toHaveProperty('deadLetter');
    expect(dropped?.submission?.pollAfterTime).toBe('2026-01-01T00:02:00Z');
  });
  test('that is there after all holds the task', () => {
    const marked = accepted.marked('login-letter', T0);
    const confirmed = statusOf(decideAt(marked, 2 * MINUTE, { memory: read(marked, 'present') }));
    expect(confirmed?.deadLetter?.confirmed).toBe(true);
  });
});
