import { describe, expect, test } from 'vitest';
import type { TaskBuilder } from '../../../support/builders.ts';
import { freshMemory, markKey, sighted } from '../../../../src/core/task/memory.ts';
import { T0, aTask } from '../../../support/builders.ts';
import { MONO0, decideAt, kind, reasonOf, statusOf } from '../../../support/facts.ts';

const MINUTE = 60_000;
const accepted = aTask().intended().submitted();
const unresolved = aTask().intended().waiting('SubmissionUnknown');

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

describe('a dead letter', () => {
  const held = aTask().intended().submitted().marked().markConfirmed();
  const mark = held.build().status?.deadLetter ?? { name: '', time: '' };
  test('holds its task: neither polled nor failed', () => {
    const letter = { state: 'present', phase: 'Pending' } as const;
    expect(decideAt(held, 10_000_000, { letter }).effect).toBeUndefined();
  });
  test('that was abandoned stalls the task', () => {
    const decision = decideAt(held, 0, { letter: { state: 'present', phase: 'Abandoned' } });
    expect(statusOf(decision)?.conditions?.find((one) => one.type === 'Stalled')?.status).toBe('True');
  });
  test('that a cache does not show fails nothing before a quorum read', () => {
    expect(kind(decideAt(held, 0))).toBe('readLetter');
    const memory = { letter: { mark: markKey(mark), state: 'absent', readMono: MONO0 } } as const;
    expect(reasonOf(decideAt(held, 0, { memory }))).toBe('DeadLetterAbandoned');
  });
  test('read as absent before the mark was confirmed proves nothing afterwards', () => {
    const memory = {
      letter: { mark: markKey({ ...mark, confirmed: false }), state: 'absent', readMono: MONO0 },
    } as const;
    expect(kind(decideAt(held, 0, { memory }))).toBe('readLetter');
  });
});

describe('suspension', () => {
  test('stops the clock and starts nothing', () => {
    const task = aTask().intended().submitted().spec({ suspend: true });
    const decision = decideAt(task, 130_000);
    expect(reasonOf(decision)).toBe('Suspended');
    expect(statusOf(decision)).not.toHaveProperty('startTime');
    expect(decideAt(task.waiting('Suspended', T0 + 130_000), 500_000).effect).toBeUndefined();
  });
  test('gives up the place in the queue', () => {
    const lane = { ticket: 'queued', pollPauseMs: 0 } as const;
    expect(kind(decideAt(aTask().spec({ suspend: true }), 0, { lane }))).toBe('leaveLane');
  });
  test('ends with a new start', () => {
    const task = aTask().intended().submitted().spec({ suspend: true }).waiting('Suspended').spec({ suspend: false });
    const decision = decideAt(task, 50_000);
    expect(reasonOf(decision)).toBe('AwaitingCallback');
    expect(statusOf(decision)?.startTime).toBe('2026-01-01T00:00:50Z');
  });
});

describe('the deadline', () => {
  const overdue = 600_000;
  test('fails a waiting task', () => {
    expect(reasonOf(decideAt(aTask().waiting('ProviderBusy'), overdue))).toBe('DeadlineExceeded');
    expect(reasonOf(decideAt(aTask().waiting('ProviderBusy'), overdue - 1_000))).not.toBe('DeadlineExceeded');
  });
  test('waits until the operator has watched for 15 s', () => {
    expect(decideAt(aTask().waiting('ProviderBusy'), overdue, { watchedMs: 14_000 }).effect).toBeUndefined();
  });
  test('looks again at a task with an id as soon as the operator has watched enough, not at its next poll', () => {
    const task = aTask().intended().submitted().spec({ activeDeadlineSeconds: 2 });
    const decision = decideAt(task, 3_000, { watchedMs: 3_000 });
    expect(decision.effect).toBeUndefined();
    expect(decision.wakeInMs).toBeLessThanOrEqual(1_000);
  });
  test('polls a task with an id once more', () => {
    const task = aTask().intended().submitted();
    expect(decideAt(task, overdue).effect).toEqual({ kind: 'poll', final: true });
    const poll = { booked: false, underWay: false, failures: 0, pending: true, finalTries: 1, finalDone: true };
    expect(reasonOf(decideAt(task, overdue, { memory: { poll } }))).toBe('DeadlineExceeded');
  });
  test('gives a final poll that does not get through three tries', () => {
    const task = aTask().intended().submitted();
    const poll = {
      booked: false,
      underWay: false,
      failures: 1,
      pending: false,
      finalTries: 2,
      finalDone: false,
      nextMono: MONO0,
    };
    expect(decideAt(task, overdue, { memory: { poll } }).effect).toEqual({ kind: 'poll', final: true });
    const spent = { ...poll, finalTries: 3 };
    expect(reasonOf(decideAt(task, overdue, { memory: { poll: spent } }))).toBe('DeadlineExceeded');
  });
  test('looks for a solution Secret that the task owns already', () => {
    const task = aTask().spec({ solutionSecretName: 'solution' }).waiting('ProviderBusy');
    expect(kind(decideAt(task, overdue))).toBe('readSolutionSecret');
    const memory = { solutionSecretRead: true };
    expect(reasonOf(decideAt(task, overdue, { memory }))).toBe('DeadlineExceeded');
  });
  test('does not run while the task is suspended or held by a letter', () => {
    const suspended = aTask().waiting('ProviderBusy').spec({ suspend: true });
    expect(reasonOf(decideAt(suspended, overdue))).toBe('Suspended');
    const held = aTask().intended().submitted().marked().markConfirmed();
    expect(decideAt(held, overdue, { letter: { state: 'present', phase: 'Pending' } }).effect).toBeUndefined();
  });
});
