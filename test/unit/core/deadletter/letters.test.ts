import { describe, expect, test } from 'vitest';
import type { DeadLetter } from '../../../../src/api/deadletter.ts';
import type { LetterFacts, RetryOutcome } from '../../../../src/core/deadletter/facts.ts';
import type { LetterDecision } from '../../../../src/core/deadletter/decide.ts';
import type { Delivery } from '../../../../src/core/delivery/types.ts';
import { LETTER_ERROR_CLASSES } from '../../../../src/api/names.ts';
import { decideLetter } from '../../../../src/core/deadletter/decide.ts';
import { outcomeOf, withoutPayload } from '../../../../src/core/deadletter/facts.ts';
import { letterName } from '../../../../src/core/deadletter/names.ts';
import { DEFAULT_LETTER_POLICY, nextRetryAt } from '../../../../src/core/deadletter/schedule.ts';
import { T0, aTask } from '../../../support/builders.ts';
import { CONFLICT, aLetter } from '../../../support/letters.ts';

const FAILED: RetryOutcome = { kind: 'failed', error: CONFLICT, hopeless: false };
const HOPELESS: RetryOutcome = { kind: 'failed', error: { class: 'TooLarge', message: 'Too large.' }, hopeless: true };
const RESOLVED: RetryOutcome = { kind: 'resolved' };
const SUPERSEDED: RetryOutcome = { kind: 'superseded', why: 'finished' };
const DAY = 86_400_000;

function decide(letter: DeadLetter, now: number, facts: Partial<LetterFacts> = {}): LetterDecision {
  return decideLetter(
    { letter: withoutPayload(letter), mayAct: true, taskBusy: false, ...facts },
    now,
    DEFAULT_LETTER_POLICY,
  );
}
const condition = (letter: DeadLetter): object | undefined => letter.status?.conditions?.[0];

const delays = (random: number): number[] =>
  [0, 1, 2, 3, 4, 5, 6, 29].map(
    (tries) => nextRetryAt({ tries, from: 0, expiresAt: undefined, random }, DEFAULT_LETTER_POLICY) / 1_000,
  );
const nearExpiry = (from: number): number =>
  nextRetryAt({ tries: 5, from, expiresAt: 60_000, random: 0.5 }, DEFAULT_LETTER_POLICY);
const solvedBy = (source: 'DeadLetter' | 'Callback') => aTask().intended().submitted().solved(T0, { source }).build();

describe('a letter that was just created', () => {
  test('is pending, due 10 s after its creation, and says so', () => {
    const { effect } = decide(aLetter().build(), T0 + 200);
    expect(effect).toMatchObject({
      kind: 'writeStatus',
      status: {
        phase: 'Pending',
        attempts: 0,
        nextRetryTime: '2026-01-01T00:00:10Z',
        lastError: aLetter().build().spec.error,
      },
    });
  });
  test('is abandoned at once where no retry can help, and still says what to do', () => {
    const letter = aLetter({ error: { class: 'TooLarge', message: 'Too large.' } });
    const { effect } = decide(letter.build(), T0 + 200);
    expect(effect).toMatchObject({ kind: 'writeStatus', status: { phase: 'Abandoned', attempts: 0 } });
    expect(condition(letter.introduced().build())).toMatchObject({ status: 'False', reason: 'Abandoned' });
  });
  test('waits for its time and is then retried', () => {
    const letter = aLetter().introduced().build();
    expect(decide(letter, T0 + 9_000)).toMatchObject({ wakeInMs: 1_000 });
    expect(decide(letter, T0 + 10_000).effect).toEqual({ kind: 'retry' });
  });
  test('is due earlier where its content would expire before', () => {
    const letter = aLetter({ contentExpiresTime: '2026-01-01T00:00:13Z' }).introduced().build();
    expect(letter.status?.nextRetryTime).toBe('2026-01-01T00:00:08Z');
  });
});

describe('the schedule', () => {
  test('doubles from 10 s to 300 s', () => {
    expect(delays(0.5)).toEqual([10, 20, 40, 80, 160, 300, 300, 300]);
  });
  test('adds or takes up to a fifth by chance and never exceeds the maximum', () => {
    expect(delays(0)).toEqual([8, 16, 32, 64, 128, 240, 240, 240]);
    expect(Math.max(...delays(0.999_999))).toBe(300);
  });
  test('tries once more shortly before the content expires, and keeps to the schedule afterwards', () => {
    expect(nearExpiry(10_000)).toBe(55_000);
    expect(nearExpiry(55_000)).toBe(355_000);
  });
});

describe('a clock that is set back', () => {
  test('does not make a letter wait longer than any schedule would', () => {
    const letter = aLetter()
      .introduced()
      .retried(FAILED, T0 + DAY)
      .build();
    expect(decide(letter, T0 + DAY)).toMatchObject({ wakeInMs: 20_000 });
    expect(decide(letter, T0).effect).toEqual({ kind: 'retry' });
  });
});

describe('a retry that failed', () => {
  test('is counted, says why and when the next one follows', () => {
    const letter = aLetter()
      .introduced()
      .retried(FAILED, T0 + 10_000)
      .build();
    expect(letter.status).toMatchObject({
      phase: 'Pending',
      attempts: 1,
      nextRetryTime: '2026-01-01T00:00:30Z',
      lastError: CONFLICT,
    });
    expect(condition(letter)).toMatchObject({ type: 'Resolved', status: 'Unknown', reason: 'Conflict' });
  });
  test('does not move the condition’s time, nor its words', () => {
    const once = aLetter()
      .introduced()
      .retried(FAILED, T0 + 10_000);
    expect(condition(once.retried(FAILED, T0 + 30_000).build())).toEqual(condition(once.build()));
  });
  test('abandons the letter after 30 of them', () => {
    let letter = aLetter().introduced();
    for (let tries = 1; tries < 30; tries += 1) letter = letter.retried(FAILED, T0 + tries * 1_000);
    expect(letter.build().status?.phase).toBe('Pending');
    const abandoned = letter.retried(FAILED, T0 + 30_000).build();
    expect(abandoned.status).toMatchObject({
      phase: 'Abandoned',
      attempts: 30,
      completionTime: '2026-01-01T00:00:30Z',
    });
    expect(abandoned.status?.nextRetryTime).toBeUndefined();
    expect(condition(abandoned)).toMatchObject({ status: 'False', reason: 'Abandoned' });
  });
  test('abandons it at once where nothing can help', () => {
    expect(aLetter().introduced().retried(HOPELESS, T0).build().status).toMatchObject({
      phase: 'Abandoned',
      attempts: 1,
    });
  });
});

describe('the end of a letter', () => {
  test.each([
    [RESOLVED, 'Resolved'],
    [SUPERSEDED, 'Superseded'],
  ] as const)('%o makes the condition True', (outcome, phase) => {
    const letter = aLetter()
      .introduced()
      .retried(outcome, T0 + 10_000)
      .build();
    expect(letter.status).toMatchObject({ phase, completionTime: '2026-01-01T00:00:10Z' });
    expect(letter.status?.nextRetryTime).toBeUndefined();
    expect(condition(letter)).toMatchObject({ status: 'True', reason: phase });
  });
  test.each([RESOLVED, SUPERSEDED, HOPELESS])('%o is deleted after its time to live', (outcome) => {
    const letter = aLetter().introduced().retried(outcome, T0).build();
    expect(decide(letter, T0 + 1)).toMatchObject({ wakeInMs: DAY - 1 });
    expect(decide(letter, T0 + DAY).effect).toEqual({ kind: 'delete' });
  });
});

describe('a redrive', () => {
  const spent = (): ReturnType<typeof aLetter> => {
    let letter = aLetter().introduced();
    for (let tries = 1; tries <= 30; tries += 1) letter = letter.retried(FAILED, T0 + tries * 1_000);
    return letter;
  };
  test.each([
    ['pending', aLetter().introduced().retried(FAILED, T0)],
    ['superseded', aLetter().introduced().retried(SUPERSEDED, T0)],
    ['abandoned', aLetter().introduced().retried(HOPELESS, T0)],
  ])('makes a %s letter due at once, counted, with its value', (_phase, letter) => {
    const { effect } = decide(letter.annotated('1').build(), T0 + 20_000);
    expect(effect).toMatchObject({
      kind: 'writeStatus',
      status: {
        phase: 'Pending',
        nextRetryTime: '2026-01-01T00:00:20Z',
        redrives: 1,
        lastRedrive: { value: '1', attempts: 1 },
      },
    });
    expect(effect).not.toHaveProperty('status.completionTime');
  });
  test('does not touch a resolved letter', () => {
    const letter = aLetter().introduced().retried(RESOLVED, T0).annotated('1').build();
    expect(decide(letter, T0 + 1).effect).toBeUndefined();
  });
  test('comes before the deletion of a letter whose time is over', () => {
    expect(decide(spent().annotated('1').build(), T0 + 2 * DAY).effect).toMatchObject({ kind: 'writeStatus' });
  });
  test('happens once for each value', () => {
    const redriven = aLetter()
      .introduced()
      .annotated('1')
      .redriven('1', T0 + 5_000);
    expect(decide(redriven.build(), T0 + 5_000).effect).toEqual({ kind: 'retry' });
    expect(decide(redriven.annotated('2').build(), T0 + 5_000).effect).toMatchObject({ status: { redrives: 2 } });
  });
  test('starts a fresh budget and backoff, while attempts keep growing', () => {
    const after = spent()
      .redriven('1', T0 + 40_000)
      .retried(FAILED, T0 + 40_000)
      .build();
    expect(after.status).toMatchObject({ phase: 'Pending', attempts: 31, nextRetryTime: '2026-01-01T00:01:00Z' });
  });
});

describe('who may act', () => {
  test('nobody but the leader', () => {
    expect(decide(aLetter().build(), T0 + DAY, { mayAct: false })).toMatchObject({ rule: 'only the leader acts' });
  });
  test('no letter while another one of the same task is retried', () => {
    expect(decide(aLetter().introduced().build(), T0 + DAY, { taskBusy: true }).effect).toBeUndefined();
  });
});

describe('what a delivery means for the letter', () => {
  const cases: [string, Delivery, RetryOutcome][] = [
    ['applied', { kind: 'applied', before: aTask().build(), task: solvedBy('DeadLetter') }, RESOLVED],
    ['solved by this letter before it could be told', { kind: 'duplicate', task: solvedBy('DeadLetter') }, RESOLVED],
    ['solved by the same callback again', { kind: 'duplicate', task: solvedBy('Callback') }, SUPERSEDED],
    ['solved by another result', { kind: 'conflict', task: solvedBy('Callback') }, SUPERSEDED],
    [
      'another id',
      { kind: 'conflict', task: aTask().intended().submitted().build() },
      { kind: 'superseded', why: 'otherId' },
    ],
    ['gone', { kind: 'late', why: 'gone' }, { kind: 'superseded', why: 'gone' }],
    ['recreated', { kind: 'late', why: 'recreated' }, { kind: 'superseded', why: 'recreated' }],
    ['failed', { kind: 'failed', stage: 'WriteSecret', error: CONFLICT }, FAILED],
    ['API away', { kind: 'retry', error: CONFLICT }, FAILED],
  ];
  test.each(cases)('%s', (_what, delivery, outcome) => {
    expect(outcomeOf(delivery)).toEqual(outcome);
  });
});

describe('what a person reads', () => {
  test.each(LETTER_ERROR_CLASSES)('says what to do about %s, how to retry where that helps, and fits', (errorClass) => {
    const error = { class: errorClass, message: 'x'.repeat(500) };
    for (const hopeless of [false, true]) {
      const letter = aLetter({ error }).introduced().retried({ kind: 'failed', error, hopeless }, T0).build();
      const { message } = letter.status!.conditions![0]!;
      const retry = 'kubectl annotate dl <name> captcha-operator.io/retry=';
      expect(message).toContain(hopeless ? 'The task waits until this letter is deleted.' : retry);
      expect(message.includes(retry)).toBe(!hopeless);
      expect(message.length).toBeLessThanOrEqual(1_024);
      expect(message).not.toContain('solution-a');
    }
  });
});

describe('the name of a letter', () => {
  const identity = { task: { name: 'login', uid: 'u1' }, attempt: 1, stage: 'WriteSecret', code: 'abc' } as const;
  test('is the same for the same result and another for anything else', () => {
    const others = [
      { ...identity, attempt: 2 },
      { ...identity, stage: 'ApplyPoll' as const },
      { ...identity, code: 'abd' },
      { ...identity, userAgent: 'UA' },
      { ...identity, task: { name: 'login', uid: 'u2' } },
    ];
    expect(letterName({ ...identity })).toBe(letterName(identity));
    expect(new Set([identity, ...others].map(letterName)).size).toBe(6);
  });
  test('is what earlier versions gave the same result', () => {
    const task = { name: 'login.check-', uid: '5e0c3a52-6a6c-4f2c-8c65-1c1a60c20a11' };
    const code = 'P1_\u00e9\u{1f600}\ud800';
    const made = letterName({ task, attempt: 2, stage: 'WriteSecret', code, userAgent: 'Mozilla/5.0' });
    expect(made).toBe('login.check-62c5b524c3b3f04713e3');
    expect(letterName({ ...identity, stage: 'ApplyPoll', code: 'x'.repeat(70_000) })).toBe(
      'login-d19ec8bd23b60343065f',
    );
  });
  test.each(['login', 'a'.repeat(253), `${'a'.repeat(199)}.b`, `${'a'.repeat(198)}-.-b`])(
    'is a valid object name for %s',
    (name) => {
      const made = letterName({ ...identity, task: { name, uid: 'u1' } });
      expect(made).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/);
      expect(made.length).toBeLessThanOrEqual(253);
    },
  );
});
