/** What finished tasks and answers of in.php say about the callbacks of an API key. */
import { describe, expect, test } from 'vitest';
import type { TaskBuilder } from '../../../support/builders.ts';
import type { SubmitOutcome } from '../../../../src/core/outcome.ts';
import type { CallbackMode } from '../../../../src/core/task/callback-mode.ts';
import * as modes from '../../../../src/core/task/callback-mode.ts';
import { pollDue } from '../../../../src/core/task/transitions.ts';
import { T0, aTask } from '../../../support/builders.ts';

const HOUR = 3_600_000;
const submitted = aTask().intended(T0).submitted(T0);
const hinted = submitted.status(pollDue(submitted.build(), T0 + 9_000));

describe('a finished task', () => {
  test.each<[string, TaskBuilder, 'heard' | 'unheard' | undefined]>([
    ['was heard of where its result came by callback', submitted.solved(T0, { source: 'Callback' }), 'heard'],
    ['was not where a poll found its result', submitted.solved(T0, { source: 'Poll' }), 'unheard'],
    ['was where a callback made it due for that poll', hinted.solved(T0, { source: 'Poll' }), 'heard'],
    [
      'says nothing where no callback was to come',
      aTask()
        .intended(T0, { pingback: false })
        .submitted(T0, { pollAfter: T0 + 15_000 })
        .solved(T0, { source: 'Poll' }),
      undefined,
    ],
    ['says nothing of callbacks where a letter solved it', submitted.solved(T0, { source: 'DeadLetter' }), undefined],
    ['says nothing of callbacks where it failed', submitted.failed(), undefined],
    [
      'says nothing where the result is of an earlier attempt',
      submitted.attemptEnded().intended(T0).submitted(T0).solved(T0, { source: 'Poll', attempt: 1 }),
      undefined,
    ],
  ])('%s', (_rule, task, sign) => {
    expect(modes.signOf(task.build())).toBe(sign);
  });
});

describe('the probe of a key whose callback URL was refused', () => {
  const refused: CallbackMode = { unheard: 2, refused: { untilMono: HOUR, probeUntilMono: -Infinity } };
  const probing = modes.urlSent(refused, HOUR);
  const answered = (outcome: SubmitOutcome) => modes.urlAnswered(probing, { carried: true, outcome }, HOUR + 1);

  test('comes after an hour, and no other goes beside it', () => {
    expect(modes.mayCarryURL(refused, undefined, HOUR - 1)).toBe(false);
    expect(modes.mayCarryURL(refused, undefined, HOUR)).toBe(true);
    expect(modes.mayCarryURL(probing, undefined, HOUR + 1)).toBe(false);
  });
  test('is forgotten when nothing comes of it', () => {
    expect(modes.mayCarryURL(probing, undefined, HOUR + 60_000)).toBe(true);
  });
  test.each<[string, SubmitOutcome]>([
    ['busy', { kind: 'refused', class: 'busy', code: 'ERROR_NO_SLOT_AVAILABLE' }],
    ['nothing', { kind: 'unreachable', cause: 'network' }],
    ['what cannot be told', { kind: 'unknown', cause: 'reset' }],
  ])('that is answered by %s is followed by another', (_what, outcome) => {
    expect(modes.mayCarryURL(answered(outcome), undefined, HOUR + 2)).toBe(true);
    expect(modes.mayCarryURL(modes.urlSent(answered(outcome), HOUR + 2), undefined, HOUR + 3)).toBe(false);
  });
  test.each<SubmitOutcome>([
    { kind: 'refused', class: 'callbackRefused', code: 'ERROR_IP_ADDRES' },
    { kind: 'refused', class: 'unlisted', code: 'ERROR_PINGBACK' },
  ])('that is refused is the last for an hour: $code', (outcome) => {
    expect(modes.mayCarryURL(answered(outcome), undefined, 2 * HOUR)).toBe(false);
    expect(modes.mayCarryURL(answered(outcome), undefined, 2 * HOUR + 1)).toBe(true);
  });
  test('that is accepted ends it, and says nothing of whether callbacks come', () => {
    expect(answered({ kind: 'accepted', captchaID: '1' })).toEqual({ unheard: 2 });
  });
  test('is not a submission that was sent before the hour began', () => {
    const outcome = { kind: 'refused', class: 'busy', code: 'ERROR_NO_SLOT_AVAILABLE' } as const;
    expect(modes.urlAnswered(refused, { carried: true, outcome }, HOUR - 1)).toBe(refused);
  });
});

const word = (code: string) => ({ kind: 'refused', class: 'unlisted', code }) as const;
const after = (...codes: string[]) =>
  codes.reduce<modes.URLDoubt | undefined>((doubt, code) => modes.doubtAfter(doubt, true, word(code)), undefined);

describe('the doubt of one task about the callback URL', () => {
  test('needs the same word twice', () => {
    expect(after('ERROR_A')?.refused).toBe(false);
    expect(after('ERROR_A', 'ERROR_B')?.refused).toBe(false);
    expect(after('ERROR_A', 'ERROR_A')?.refused).toBe(true);
  });
  test('is neither fed by submissions without one nor ended by other answers', () => {
    expect(modes.doubtAfter(undefined, false, word('ERROR_A'))).toBeUndefined();
    expect(modes.doubtAfter(after('ERROR_A'), true, { kind: 'unreachable' })?.code).toBe('ERROR_A');
  });
  test('ends with an acceptance', () => {
    expect(modes.doubtAfter(after('ERROR_A', 'ERROR_A'), false, { kind: 'accepted' })).toBeUndefined();
  });
});
