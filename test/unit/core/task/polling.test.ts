/** When a task is asked about, and by whose word that ends. */
import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { TaskMemory } from '../../../../src/core/task/memory.ts';
import * as memories from '../../../../src/core/task/memory.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { pollAnswered, pollSent } from '../../../../src/core/task/polling.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import { MONO0, at, decideAt, reasonOf, statusOf } from '../../../support/facts.ts';

const polled = (nextMs: number) => ({
  after: '2026-01-01T00:02:00Z',
  nextMono: MONO0 + nextMs,
  booked: false,
  underWay: false,
  failures: 0,
  pending: true,
  finalTries: 0,
  finalDone: false,
});
const refusal = (refusalClass: 'permanent' | 'proxy') =>
  ({
    refusal: {
      of: { attempt: 1, captchaID: CAPTCHA_ID },
      answer: { kind: 'refused', class: refusalClass, code: 'CODE' },
    },
  }) as const;

describe('polling', () => {
  const task = aTask()
    .intended()
    .submitted(T0, { pollAfter: T0 + 120_000 });
  test('begins at pollAfterTime', () => {
    expect(decideAt(task, 119_000)).toMatchObject({ wakeInMs: 1_000 });
    expect(decideAt(task, 120_000).effect).toEqual({ kind: 'poll', final: false });
  });
  test('repeats from the last poll, not from status', () => {
    const polling = task.waiting('Polling', T0 + 120_000);
    expect(decideAt(polling, 125_000, { memory: { poll: polled(131_000) } })).toMatchObject({ wakeInMs: 6_000 });
  });
  test('says once that it is polling', () => {
    expect(reasonOf(decideAt(task, 121_000, { memory: { poll: polled(131_000) } }))).toBe('Polling');
  });
  test('follows a hint at once', () => {
    const hinted = task
      .waiting('Polling', T0)
      .submitted(T0, { pollAfter: T0 + 122_000 })
      .waiting('Polling', T0);
    const decision = decideAt(hinted, 122_000, { memory: { poll: polled(900_000) } });
    expect(decision.effect).toEqual({ kind: 'poll', final: false });
  });
  test('rests while the key is blocked, and waits for a key that is gone', () => {
    const lane = { ticket: 'none', pollPauseMs: 5_000 } as const;
    expect(decideAt(task, 130_000, { lane })).toMatchObject({ wakeInMs: 5_000 });
    const key = { state: 'missing', message: 'Secret "a" does not exist.', retryInMs: 4_000 } as const;
    expect(reasonOf(decideAt(task, 130_000, { key }))).toBe('MissingAPIKey');
    const said = decideAt(task, 130_000, { key }).effect as { status: NonNullable<CaptchaTask['status']> };
    const again = decideAt(task.status(said.status), 130_000, { key, memory: { poll: polled(129_000) } });
    expect(again).toMatchObject({ wakeInMs: 4_000 });
  });
  test('waits for its place in the pace of the key, the final poll too', () => {
    const poll = { ...polled(124_000), booked: true, pending: false };
    expect(decideAt(task, 121_000, { memory: { poll } })).toMatchObject({ wakeInMs: 3_000 });
    expect(decideAt(task, 124_000, { memory: { poll } }).effect).toEqual({ kind: 'poll', final: false });
    const late = { ...poll, nextMono: MONO0 + 605_000 };
    expect(decideAt(task, 601_000, { memory: { poll: late } })).toMatchObject({ wakeInMs: 4_000 });
  });
  test.each([
    ['the interval that is configured', true, false, 10_000],
    ['5 s where no callback is to come', false, false, 5_000],
    ['5 s where none comes for the key', true, true, 5_000],
  ])('asks again after %s', (_what, pingback, silent, waitMs) => {
    const submitted = aTask().intended(T0, { pingback }).submitted().build();
    const sent = pollSent(memories.freshMemory('u'), submitted.status?.submission, false);
    const poll = { task: submitted, outcome: { kind: 'pending' }, final: false, silent } as const;
    const { poll: after } = pollAnswered(sent, poll, at(130_000), DEFAULT_POLICY);
    expect(after.nextMono).toBe(MONO0 + 130_000 + waitMs);
  });
  test('spreads what fell due before the start over one interval, each task at its own place', () => {
    const places = [1, 2, 3, 4, 5, 6].map((n) => {
      const decision = decideAt(task.uid(`b7b2a1c0-0000-4000-8000-00000000000${n}`), 300_000, { actingMs: 0 });
      return decision.effect === undefined ? (decision.wakeInMs ?? 0) : 0;
    });
    expect(Math.max(...places)).toBeLessThanOrEqual(10_000);
    expect(new Set(places).size).toBeGreaterThan(3);
  });
  test('a permanent answer fails the task, a retriable one ends the attempt', () => {
    expect(statusOf(decideAt(task, 130_000, { memory: refusal('permanent') }))?.phase).toBe('Failed');
    expect(statusOf(decideAt(task, 130_000, { memory: refusal('proxy') }))?.submission?.code).toBe('CODE');
  });
});

const overdue = 600_000;

describe('the final poll before a deadline', () => {
  test.each([
    'busy',
    'blocked',
    'keyRejected',
    'addressBlocked',
    'addressNotAllowed',
    'transient',
    'unlisted',
  ] as const)('is repeated until the provider has answered about the task: %s is no such answer', (refusalClass) => {
    const task = aTask().intended().submitted();
    const { submission } = task.build().status ?? {};
    const refused = (memory: TaskMemory, ms: number) => {
      const outcome = { kind: 'refused', class: refusalClass, code: 'CODE' } as const;
      const poll = { task: task.build(), outcome, final: true };
      return pollAnswered(pollSent(memory, submission, true), poll, at(ms), DEFAULT_POLICY);
    };
    let memory = memories.freshMemory(task.build().metadata.uid);
    for (const ms of [overdue, 610_000]) {
      memory = refused(memory, ms);
      expect(decideAt(task, ms + 9_000, { memory }).effect).toEqual({ kind: 'poll', final: true });
    }
    memory = refused(memory, 620_000);
    expect(reasonOf(decideAt(task, 629_000, { memory }))).toBe('DeadlineExceeded');
  });
  test('waits for a key that only cannot be read just now, for half a minute, and not for one that is missing', () => {
    const task = aTask().intended().submitted();
    const key = { state: 'missing', message: 'Secret "a" cannot be read.', retryInMs: 400 } as const;
    const unread = (unreadForMs: number) => ({ key: { ...key, unreadForMs } });
    expect(decideAt(task, overdue, unread(29_999))).toMatchObject({ wakeInMs: 400 });
    expect(reasonOf(decideAt(task, overdue, unread(30_000)))).toBe('DeadlineExceeded');
    expect(reasonOf(decideAt(task, overdue, { key }))).toBe('DeadlineExceeded');
  });
  test('is over once the provider has said that the task is not ready', () => {
    const task = aTask().intended().submitted();
    const sent = pollSent(memories.freshMemory('u'), task.build().status?.submission, true);
    const poll = { task: task.build(), outcome: { kind: 'pending' }, final: true } as const;
    const memory = pollAnswered(sent, poll, at(overdue), DEFAULT_POLICY);
    expect(reasonOf(decideAt(task.waiting('Polling'), 601_000, { memory }))).toBe('DeadlineExceeded');
  });
});
