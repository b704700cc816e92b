/**
 * Recorded timelines of one task, replayed through fold and decide: what happened, and what must be decided next. Each
 * fixed bug adds one.
 */
import { describe, expect, test } from 'vitest';
import type { PollOutcome } from '../../src/core/outcome.ts';
import type { TaskBuilder } from '../support/builders.ts';
import { REFUSED_MESSAGE, SILENT_MESSAGE } from '../../src/core/task/callback-mode.ts';
import { REASON_MESSAGES } from '../../src/core/task/conditions.ts';
import * as memories from '../../src/core/task/memory.ts';
import { cameLate, pollAnswered, pollSent } from '../../src/core/task/polling.ts';
import { pollDue } from '../../src/core/task/transitions.ts';
import { DEFAULT_POLICY } from '../../src/core/task/policy.ts';
import { CAPTCHA_ID, T0, aTask } from '../support/builders.ts';
import { MONO0, at, decideAt } from '../support/facts.ts';

const SECOND = 1_000;
const uid = aTask().build().metadata.uid;
const begun = (by = 'operator-a/1') =>
  memories.intentWritten(memories.intentSent(memories.freshMemory(uid), { by, attempt: 1, sentMono: MONO0 }));
/** Its own call was accepted under this id. */
const answered = (captchaID: string) =>
  memories.callEnded(
    memories.callSent(begun()),
    { by: 'operator-a/1', outcome: { kind: 'accepted', captchaID } },
    MONO0,
  );

describe('a crash between intent and id', () => {
  const task = aTask().intended(T0);
  test('the restarted operator waits for the callback, says so, and submits again only after the grace', () => {
    const booted = memories.sighted(memories.freshMemory(uid), task.build(), MONO0 + 4 * SECOND);
    expect(decideAt(task, 4 * SECOND, { memory: booted }).rule).toBe('an unknown submission says so');
    const said = task.waiting('SubmissionUnknown', T0 + 4 * SECOND);
    expect(decideAt(said, 63 * SECOND, { memory: booted })).toMatchObject({ wakeInMs: SECOND });
    expect(decideAt(said, 64 * SECOND, { memory: booted }).effect).toEqual({ kind: 'joinLane' });
  });
  test('the callback adopts the id meanwhile: nothing is submitted again', () => {
    const adopted = task.waiting('SubmissionUnknown', T0).submitted(T0 + 30 * SECOND, { pollAfter: T0 + 30 * SECOND });
    const decision = decideAt(adopted, 70 * SECOND);
    expect(decision.effect).toEqual({ kind: 'poll', final: false });
  });
});

describe('a process that was paused between its intent and its call', () => {
  test('does not call when it wakes up: the intent is too old', () => {
    const decision = decideAt(aTask().intended(T0), 40 * SECOND, { memory: begun() });
    expect(decision.effect?.kind).not.toBe('submit');
  });
  test('finds that another process has submitted a newer attempt, and leaves it alone', () => {
    const newer = aTask()
      .intended(T0)
      .intended(T0 + 70 * SECOND, { by: 'operator-b/1' })
      .submitted(T0 + 71 * SECOND);
    const decision = decideAt(newer, 72 * SECOND, { memory: begun() });
    expect(decision.effect).toBeUndefined();
  });
});

describe('a late reply', () => {
  test('of a call whose task was given up and submitted anew changes nothing', () => {
    const called = answered('7');
    const newer = aTask()
      .intended(T0)
      .intended(T0 + 70 * SECOND, { by: 'operator-b/1' });
    expect(decideAt(newer, 71 * SECOND, { memory: called }).effect).toEqual({ kind: 'settleReply', conflict: false });
  });
  test('after a hint had brought the id needs no write', () => {
    const called = answered(CAPTCHA_ID);
    const hinted = aTask().intended(T0).submitted(T0, { pollAfter: T0 });
    expect(decideAt(hinted, 0, { memory: called }).effect).toEqual({ kind: 'settleReply', conflict: false });
    expect(decideAt(hinted, 0, { memory: memories.replySettled(called) }).effect).toEqual({
      kind: 'poll',
      final: false,
    });
  });
});

describe('two operators, one of them held up in its call', () => {
  test('the answer to a replaced intent is never taken for that of the next one', () => {
    // Its call for attempt 1 hangs; another operator submits attempt 2 and gives that up; it intends attempt 2 itself.
    const held = memories.callSent(begun());
    const next = memories.intentSent(held, { by: 'operator-a/2', attempt: 2, sentMono: MONO0 + 155 * SECOND });
    const late = memories.callEnded(
      memories.intentWritten(next),
      { by: 'operator-a/1', outcome: { kind: 'accepted', captchaID: '1000' } },
      MONO0 + 156 * SECOND,
    );
    expect(late.reply).toBeUndefined();
    expect(late.intent).toMatchObject({ by: 'operator-a/2', call: 'notSent' });
  });
});

describe('a lost callback', () => {
  const task = aTask()
    .intended(T0)
    .submitted(T0, { pollAfter: T0 + 120 * SECOND });
  test('is replaced by polls until one finds the result', () => {
    expect(decideAt(task, 119 * SECOND).wakeInMs).toBe(SECOND);
    expect(decideAt(task, 120 * SECOND).effect).toEqual({ kind: 'poll', final: false });
    const sent = pollSent(memories.freshMemory(uid), task.build().status?.submission, false);
    expect(decideAt(task, 120 * SECOND, { memory: sent }).effect).toBeUndefined();
    const pending = pollAnswered(
      sent,
      { task: task.build(), outcome: { kind: 'pending' }, final: false },
      at(121 * SECOND),
      DEFAULT_POLICY,
    );
    const polling = task.waiting('Polling', T0 + 121 * SECOND);
    expect(decideAt(polling, 121 * SECOND, { memory: pending }).wakeInMs).toBe(10 * SECOND);
    const solved = pollAnswered(
      pollSent(pending, task.build().status?.submission, false),
      { task: polling.build(), outcome: { kind: 'solved', value: 'v' }, final: false },
      at(131 * SECOND),
      DEFAULT_POLICY,
    );
    expect(decideAt(polling, 131 * SECOND, { memory: solved }).effect).toEqual({ kind: 'deliver' });
  });
  test('leaves the time at which the last poll found it unsolved, also where the clock was set meanwhile', () => {
    const polled = (memory: memories.TaskMemory, seconds: number, outcome: PollOutcome, setBackMs = 0) => {
      const sent = pollSent(memory, task.build().status?.submission, false);
      const answered = at((seconds + 1) * SECOND);
      const moment = { ...answered, now: answered.now - setBackMs };
      const poll = { task: task.build(), outcome, final: false, sentMono: MONO0 + seconds * SECOND };
      return pollAnswered(sent, poll, moment, DEFAULT_POLICY);
    };
    const unsolved = polled(memories.freshMemory(uid), 120, { kind: 'pending' });
    const unknown = polled(unsolved, 130, { kind: 'unreachable', cause: 'timeout' });
    const solved: PollOutcome = { kind: 'solved', value: 'v' };
    expect(polled(unknown, 140, solved).held).toMatchObject({ unsolvedTime: T0 + 120 * SECOND });
    expect(polled(unknown, 140, solved, 5_000).held).toMatchObject({ unsolvedTime: T0 + 115 * SECOND });
    expect(polled(memories.freshMemory(uid), 140, solved).held).not.toHaveProperty('unsolvedTime');
  });
  test('does not take what a poll said of one attempt for what it says of the next', () => {
    const first = task.build();
    const next = task.attemptEnded().intended(T0).submitted(T0, { captchaID: '2' }).build();
    const sent = pollSent(memories.freshMemory(uid), first.status?.submission, false);
    const poll = { task: first, outcome: { kind: 'pending' }, final: false, sentMono: MONO0 + SECOND } as const;
    const pending = pollAnswered(sent, poll, at(2 * SECOND), DEFAULT_POLICY);
    const found = { task: next, outcome: { kind: 'solved', value: 'v' }, final: false } as const;
    expect(pollAnswered(pending, found, at(9 * SECOND), DEFAULT_POLICY).held).not.toHaveProperty('unsolvedTime');
  });
  test('of a key that res.php refuses is waited out: the task does not fail', () => {
    const refused = pollAnswered(
      pollSent(memories.freshMemory(uid), task.build().status?.submission, false),
      {
        task: task.build(),
        outcome: { kind: 'refused', class: 'keyRejected', code: 'ERROR_KEY_DOES_NOT_EXIST' },
        final: false,
      },
      at(120 * SECOND),
      DEFAULT_POLICY,
    );
    expect(decideAt(task, 121 * SECOND, { memory: refused })).toMatchObject({ wakeInMs: 9 * SECOND });
  });
});

describe('a task whose API key gets no callbacks', () => {
  const task = aTask()
    .intended(T0)
    .submitted(T0, { pollAfter: T0 + 120 * SECOND });
  const silent = { callbacks: { silent: true, refused: false } };
  const first = pollSent(memories.freshMemory(uid), task.build().status?.submission, false);
  const asked = (silence: boolean) =>
    pollAnswered(
      first,
      { task: task.build(), outcome: { kind: 'pending' }, final: false, silent: silence },
      at(15 * SECOND),
      DEFAULT_POLICY,
    );
  const polling = task.waiting('Polling', T0 + 15 * SECOND);

  test('is polled like one without: first after the time of its type, then every 5 s', () => {
    expect(decideAt(task, 14 * SECOND, silent)).toMatchObject({ wakeInMs: SECOND });
    expect(decideAt(task, 15 * SECOND, silent).effect).toMatchObject({ kind: 'poll', final: false });
    expect(decideAt(polling, 15 * SECOND, { ...silent, memory: asked(true) })).toMatchObject({
      wakeInMs: 5 * SECOND,
    });
  });
  test('says so after its first poll, where it was submitted before that was known', () => {
    expect(decideAt(task, 15 * SECOND, { ...silent, memory: asked(true) }).effect).toMatchObject({
      kind: 'writeStatus',
      status: { conditions: [{ reason: 'Polling', message: SILENT_MESSAGE }, {}, {}] },
    });
  });
  test('is due later again when callbacks are back before its first poll', () => {
    expect(decideAt(task, 15 * SECOND)).toMatchObject({ wakeInMs: 105 * SECOND });
  });
  test('is polled at once where a hint asks for it', () => {
    const hinted = task.status(pollDue(task.build(), T0 + 3 * SECOND));
    expect(decideAt(hinted, 3 * SECOND, silent).effect).toMatchObject({ kind: 'poll' });
  });
});

describe('a callback address that the provider refuses', () => {
  const outcome = { kind: 'refused', class: 'callbackRefused', code: 'ERROR_IP_ADDRES' } as const;
  const refused = (memory: memories.TaskMemory): memories.TaskMemory => {
    const intent = memories.intentSent(memory, { by: 'operator-a/1', attempt: 1, sentMono: MONO0 });
    return memories.callEnded(
      memories.callSent(memories.intentWritten(intent)),
      { by: 'operator-a/1', outcome },
      MONO0,
    );
  };
  test('costs the task no rest while it is refused with the URL: the next try goes without, at once', () => {
    const intent = { by: 'operator-a/1', attempt: 1, sentMono: MONO0, pingbackURL: 'https://callback.example' };
    const sent = memories.callSent(memories.intentWritten(memories.intentSent(memories.freshMemory(uid), intent)));
    const memory = memories.callEnded(sent, { by: 'operator-a/1', outcome }, MONO0);
    const { effect: first } = decideAt(aTask().intended(T0), 0, { memory });
    expect(first).toMatchObject({ kind: 'recordReply', status: { phase: 'Pending', attempts: 1 } });
    expect(first).not.toHaveProperty('restMs');
    expect(decideAt(aTask().intended(T0), 0, { memory: refused(memory) }).effect).toMatchObject({
      kind: 'recordReply',
      restMs: 5 * SECOND,
    });
  });
  test.each([
    [1, 5],
    [2, 10],
    [5, 60],
    [50, 60],
  ])('is no end of the task, however often it does (%d): it rests for %d s', (tries, seconds) => {
    const memory = Array.from({ length: tries }).reduce<memories.TaskMemory>(refused, memories.freshMemory(uid));
    expect(decideAt(aTask().intended(T0), 0, { memory }).effect).toMatchObject({
      kind: 'recordReply',
      restMs: seconds * SECOND,
      status: { phase: 'Pending', attempts: 1 },
    });
  });
});

describe('a submission that is accepted while its API key gets no callbacks, or may name no URL for them', () => {
  const callbacks = { silent: true, refused: true };
  const recorded = (builder: TaskBuilder) =>
    decideAt(builder, SECOND, { callbacks, memory: answered(CAPTCHA_ID) }).effect;
  test.each<[string, TaskBuilder, string, string]>([
    ['says which of the two', aTask().intended(T0), 'Polling', SILENT_MESSAGE],
    ['says which of the two', aTask().intended(T0, { pingback: false }), 'Polling', REFUSED_MESSAGE],
    [
      'says nothing of it where none was wanted',
      aTask().spec({ delivery: 'Poll' }).intended(T0, { pingback: false }),
      'Polling',
      REASON_MESSAGES.Polling,
    ],
    ['says what holds it', aTask().intended(T0).marked(), 'DeadLettered', REASON_MESSAGES.DeadLettered],
    ['says what holds it', aTask().intended(T0).spec({ suspend: true }), 'Suspended', REASON_MESSAGES.Suspended],
  ])('%s', (_rule, task, reason, message) => {
    expect(recorded(task)).toMatchObject({
      kind: 'recordReply',
      status: { conditions: [{ reason, message }, {}, {}] },
    });
  });
});

describe('an answer without the shape of its type', () => {
  const task = aTask()
    .intended(T0)
    .submitted(T0, { pollAfter: T0 + 120 * SECOND });
  const answeredAt = (memory: memories.TaskMemory, second: number, outcome: PollOutcome, final = false) =>
    pollAnswered(
      pollSent(memory, task.build().status?.submission, final),
      { task: task.build(), outcome, final },
      at(second * SECOND),
      DEFAULT_POLICY,
    );
  test('is asked for again, and the third one ends the attempt, whatever came between them', () => {
    const first = answeredAt(memories.freshMemory(uid), 120, { kind: 'unreadable' });
    expect(decideAt(task, 120 * SECOND, { memory: first })).toMatchObject({ wakeInMs: 10 * SECOND });
    const waiting = answeredAt(first, 130, { kind: 'pending' });
    const second = answeredAt(waiting, 140, { kind: 'unreadable' });
    const polling = task.waiting('Polling', T0 + 140 * SECOND);
    expect(decideAt(polling, 140 * SECOND, { memory: second }).effect).toBeUndefined();
    const third = answeredAt(second, 150, { kind: 'unreadable' });
    const decision = decideAt(polling, 150 * SECOND, { memory: third });
    expect(decision.effect).toMatchObject({
      kind: 'recordRefusal',
      status: { phase: 'Pending', submission: { code: 'UNREADABLE_ANSWER' } },
    });
  });
  test('is forgotten when a result comes after it', () => {
    const first = answeredAt(memories.freshMemory(uid), 120, { kind: 'unreadable' });
    const solved = answeredAt(first, 130, { kind: 'solved', value: '[1]' });
    expect(decideAt(task, 130 * SECOND, { memory: solved }).effect).toEqual({ kind: 'deliver' });
  });
  test('is the last word of the provider at the deadline', () => {
    const final = answeredAt(memories.freshMemory(uid), 600, { kind: 'unreadable' }, true);
    expect(decideAt(task, 600 * SECOND, { memory: final }).effect).toMatchObject({
      kind: 'writeStatus',
      status: { failure: { class: 'Deadline' } },
    });
  });
  test('of an earlier attempt does not count for the next one', () => {
    const twice = answeredAt(answeredAt(memories.freshMemory(uid), 120, { kind: 'unreadable' }), 130, {
      kind: 'unreadable',
    });
    const next = task.attemptEnded().intended(T0, { by: 'operator-a/2' }).submitted(T0, { captchaID: '222' });
    expect(memories.sighted(twice, next.build(), MONO0 + 140 * SECOND).poll.unreadable ?? 0).toBe(0);
  });
});

describe('a poll that is answered after its attempt has ended', () => {
  const one = aTask().spec({ backoffLimit: 1 }).intended(T0).submitted(T0, { captchaID: '111' });
  const two = one
    .attemptEnded('ERROR_CAPTCHA_UNSOLVABLE', T0 + SECOND)
    .intended(T0 + SECOND, { by: 'operator-b/1' })
    .submitted(T0 + 2 * SECOND, { captchaID: '222' });
  const polled = pollSent(memories.freshMemory(uid), one.build().status?.submission, true);
  const answered = (memory: memories.TaskMemory, outcome: PollOutcome) =>
    pollAnswered(memory, { task: one.build(), outcome, final: true }, at(3 * SECOND), DEFAULT_POLICY);
  const overtaken = memories.sighted(polled, two.build(), MONO0 + 2 * SECOND);

  test.each<[string, PollOutcome]>([
    ['the solvers gave up', { kind: 'refused', class: 'retriable', code: 'ERROR_CAPTCHA_UNSOLVABLE' }],
    ['the id is not known', { kind: 'refused', class: 'permanent', code: 'ERROR_WRONG_CAPTCHA_ID' }],
    ['not ready', { kind: 'pending' }],
    ['too many requests', { kind: 'refused', class: 'busy', code: 'ERROR_TOO_MUCH_REQUESTS' }],
    ['no answer', { kind: 'unreachable', cause: 'timeout' }],
  ])('says nothing about the next one: %s', (_word, outcome) => {
    expect(answered(overtaken, outcome)).toEqual(overtaken);
    expect(cameLate(overtaken, { task: one.build(), outcome, final: true })).toBe(true);
  });
  test('ends neither the next attempt nor the task if it was kept from an earlier time of leading', () => {
    const memory = answered(polled, { kind: 'refused', class: 'permanent', code: 'ERROR_WRONG_CAPTCHA_ID' });
    expect(decideAt(one, 3 * SECOND, { memory }).effect).toMatchObject({ kind: 'recordRefusal' });
    expect(decideAt(two, 3 * SECOND, { memory }).effect).toBeUndefined();
    expect(memories.sighted(memory, two.build(), MONO0 + 3 * SECOND).refusal).toBeUndefined();
  });
  test('solves the task all the same when it is a result: it was paid for', () => {
    const memory = answered(overtaken, { kind: 'solved', value: 'v' });
    expect(memory.held).toMatchObject({ attempt: 1, captchaID: '111' });
    expect(decideAt(two, 3 * SECOND, { memory }).effect).toEqual({ kind: 'deliver' });
  });
  test('does not keep the next one from being polled', () => {
    const hinted = two.status(pollDue(two.build(), T0 + 3 * SECOND));
    expect(decideAt(hinted, 3 * SECOND, { memory: overtaken }).effect).toEqual({ kind: 'poll', final: false });
  });
});

describe('a task that a letter holds', () => {
  test('is not ended by the last word of a poll that was under way when its result came', () => {
    const task = aTask().intended(T0).submitted(T0);
    const sent = pollSent(memories.freshMemory(uid), task.build().status?.submission, false);
    const outcome = { kind: 'refused', class: 'permanent', code: 'ERROR_WRONG_CAPTCHA_ID' } as const;
    const memory = pollAnswered(sent, { task: task.build(), outcome, final: false }, at(SECOND), DEFAULT_POLICY);
    const letter = { state: 'present', phase: 'Pending' } as const;
    for (const held of [task.marked('letter', T0), task.marked('letter', T0).markConfirmed(T0)]) {
      expect(decideAt(held, 2 * SECOND, { memory, letter }).effect).toBeUndefined();
    }
  });
});

describe('a result that lies in a letter', () => {
  test('survives deadline, restart and suspension of its task', () => {
    const held = aTask()
      .intended(T0)
      .submitted(T0)
      .marked('letter', T0 + SECOND)
      .markConfirmed(T0 + SECOND);
    const letter = { state: 'present', phase: 'Pending' } as const;
    for (const task of [held, held.spec({ suspend: true }), held.spec({ activeDeadlineSeconds: 1 })]) {
      expect(decideAt(task, 86_400 * SECOND, { letter }).effect).toBeUndefined();
    }
  });
});

describe('a clock that is set back or forward', () => {
  test('neither opens the fence of an intent nor ends a grace: both run on the monotonic clock', () => {
    const task = aTask()
      .intended(T0 + 3_600 * SECOND)
      .waiting('SubmissionUnknown', T0);
    const memory = memories.sighted(memories.freshMemory(uid), task.build(), MONO0);
    expect(decideAt(task, 59 * SECOND, { memory }).effect).toBeUndefined();
    expect(decideAt(task, 60 * SECOND, { memory }).effect).toEqual({ kind: 'joinLane' });
  });
});
