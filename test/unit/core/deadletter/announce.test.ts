/** What is told when a letter changes: on the letter, and on the task that it holds. */
import { expect, test } from 'vitest';

import { announceHold, announceLetter } from '../../../../src/core/deadletter/announce.ts';
import { aLetter } from '../../../support/letters.ts';

test("the first status of a callback's letter is told on the task, once", () => {
  const created = aLetter().build();
  const introduced = aLetter().introduced().build();
  expect(announceHold(introduced.status ?? {}, created)).toMatchObject({ type: 'Warning', reason: 'DeadLettered' });
  expect(announceHold(introduced.status ?? {}, introduced)).toBeUndefined();
});

test('the letter of a poll is told by whoever marked the task', () => {
  const introduced = aLetter({ source: 'Poll' }).introduced().build();
  expect(announceHold(introduced.status ?? {}, aLetter({ source: 'Poll' }).build())).toBeUndefined();
});

test('a letter that only waits is told on the task, not on the letter', () => {
  const introduced = aLetter().introduced().build();
  expect(announceLetter(introduced.status ?? {}, {})).toBeUndefined();
});

test('a redrive is told on the letter', () => {
  const before = aLetter().introduced().build();
  const after = aLetter().introduced().redriven('1', 0).build();
  expect(announceLetter(after.status ?? {}, before.status)).toMatchObject({ type: 'Normal', reason: 'Redriven' });
});
