/** What the intake knows without asking: which tasks are gone. */
import { expect, test } from 'vitest';
import { createGoneTasks } from '../../../src/callback/intake.ts';
import type { CallbackVerdict } from '../../../src/core/callback/callback.ts';

const GONE: CallbackVerdict = { kind: 'late', why: 'gone' };

test.each<[string, CallbackVerdict, boolean]>([
  ['that is gone', GONE, true],
  ['that was recreated under its name', { kind: 'late', why: 'recreated' }, true],
  ['that is finished: a repeat is no conflict', { kind: 'late', why: 'finished' }, false],
  ['that has gone on to another attempt', { kind: 'late', why: 'earlierAttempt' }, false],
  ['that has its result', { kind: 'duplicate' }, false],
])('a task %s', (_, verdict, known) => {
  const tasks = createGoneTasks(10);
  tasks.note('uid', verdict);
  expect(tasks.verdictFor('uid')).toEqual(known ? verdict : undefined);
  expect(tasks.verdictFor('another')).toBeUndefined();
});

test('those nobody asks for leave first', () => {
  const tasks = createGoneTasks(2);
  tasks.note('asked for', GONE);
  tasks.note('forgotten', GONE);
  tasks.verdictFor('asked for');
  tasks.note('new', GONE);
  expect(['asked for', 'forgotten', 'new'].map((uid) => tasks.verdictFor(uid) !== undefined)).toEqual([
    true,
    false,
    true,
  ]);
});
