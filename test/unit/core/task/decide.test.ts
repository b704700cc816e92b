import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { SubmitOutcome } from '../../../../src/core/outcome.ts';
import type { OwnIntent, TaskMemory } from '../../../../src/core/task/memory.ts';
import type { TaskDecision } from '../../../../src/core/task/decide.ts';
import { signOf } from '../../../../src/core/task/callback-mode.ts';
import { TASK_RULES } from '../../../../src/core/task/decide.ts';
import { markKey } from '../../../../src/core/task/memory.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import { MONO0, decideAt } from '../../../support/facts.ts';

const kind = ({ effect }: TaskDecision) => effect?.kind;
const statusOf = (decision: TaskDecision) => {
  const effect = decision.effect;
  return effect !== undefined && 'status' in effect ? effect.status : undefined;
};
const reasonOf = (decision: TaskDecision) => statusOf(decision)?.conditions?.[0]?.reason;
const BY = 'operator-a/1';

const own = (change: Partial<OwnIntent> = {}): OwnIntent => ({
  by: BY,
  attempt: 1,
  sentMono: MONO0,
  written: true,
  call: 'notSent',
  ...change,
});
const ended = (ms: number): OwnIntent => own({ call: 'ended', endedMono: MONO0 + ms });
const reply = (outcome: SubmitOutcome): Partial<TaskMemory> => ({
  intent: ended(0),
  reply: { by: BY, attempt: 1, outcome },
});

test('every rule has a name of its own', () => {
  expect(new Set(TASK_RULES.map((rule) => rule.name)).size).toBe(TASK_RULES.length);
});

describe('what is over', () => {
  test('a finished task needs nothing', () => {
    expect(decideAt(aTask().intended().submitted().solved(), 0).effect).toBeUndefined();
  });
  test('a standby neither submits nor polls nor fails a task', () => {
    for (const task of [aTask(), aTask().intended().submitted(), aTask().intended()]) {
      expect(decideAt(task, 10_000_000, { mayAct: false }).effect).toBeUndefined();
    }
  });
});

describe('a submission', () => {
  test('that took its time to be recorded is polled as long after its acceptance as one that did not', () => {
    const memory = reply({ kind: 'accepted', captchaID: CAPTCHA_ID });
    const { submission } = statusOf(decideAt(aTask().intended(), 2_500, { memory })) ?? {};
    const { callbackTimeoutSeconds } = aTask().build().spec;
    expect(submission?.pollAfterTime).toBe(formatTime(T0 + callbackTimeoutSeconds * 1_000));
    // Else silence would never be found out: whatever moved that time is taken for a callback.
    const polled = aTask().status({ ...aTask().intended().build().status, submission } as never);
    expect(signOf(polled.solved(T0, { source: 'Poll' }).build())).toBe('unheard');
  });
  test('needs the key first, then a place, then a turn, then the intent', () => {
    expect(kind(decideAt(aTask(), 0, { key: { state: 'unread' } }))).toBe('readKey');
    expect(kind(decideAt(aTask(), 0))).toBe('joinLane');
    expect(kind(decideAt(aTask(), 0, { lane: { ticket: 'queued', pollPauseMs: 0 } }))).toBeUndefined();
    expect(kind(decideAt(aTask(), 0, { lane: { ticket: 'granted', pollPauseMs: 0 } }))).toBe('writeIntent');
  });
  test('reads proxy and image only when it is its turn', () => {
    const task = aTask().spec({ proxy: { type: 'HTTP', secretRef: { name: 'proxy', key: 'address' } } });
    expect(kind(decideAt(task, 0, { lane: { ticket: 'queued', pollPauseMs: 0 } }))).toBeUndefined();
    expect(kind(decideAt(task, 0, { lane: { ticket: 'granted', pollPauseMs: 0 } }))).toBe('readSources');
    const known = aTask().spec({ proxy: { type: 'HTTP', address: 'h:1' } });
    expect(kind(decideAt(known, 0, { lane: { ticket: 'granted', pollPauseMs: 0 } }))).toBe('writeIntent');
  });
  test('is called once for an own intent while it is fresh', () => {
    const lane = { ticket: 'granted', pollPauseMs: 0 } as const;
    const memory = { intent: own() };
    expect(kind(decideAt(aTask().intended(), 4_999, { memory, lane }))).toBe('submit');
    expect(kind(decideAt(aTask().intended(), 5_000, { memory, lane }))).not.toBe('submit');
    expect(kind(decideAt(aTask().intended(), 1, { memory: { intent: own({ call: 'underWay' }) } }))).toBeUndefined();
    expect(kind(decideAt(aTask().intended(), 1, { memory: { intent: ended(1) } }))).not.toBe('submit');
  });
  test('is never called for an intent that was not confirmed, or that another process wrote', () => {
    expect(kind(decideAt(aTask().intended(), 1, { memory: { intent: own({ written: false }) } }))).not.toBe('submit');
    const foreign = aTask().intended(T0, { by: 'operator-b/1' });
    expect(kind(decideAt(foreign, 1, { memory: { intent: own() } }))).not.toBe('submit');
  });
  test('whose right is lost before the call gives the intent up, and goes back with the same attempt', () => {
    const task = aTask().intended();
    const lostLead = { mayAct: false, memory: { intent: own() } };
    const lostTurn = { memory: { intent: own() } };
    for (const lost of [lostLead, lostTurn]) {
      expect(kind(decideAt(task, 100, lost))).toBe('forgoCall');
      expect(kind(decideAt(task, 3_600_000, lost))).toBe('forgoCall');
    }
    const memory = { intent: ended(100), reply: { by: BY, attempt: 1, outcome: { kind: 'notSent' as const } } };
    const decision = decideAt(task, 100, { mayAct: false, memory });
    expect(statusOf(decision)).toMatchObject({ phase: 'Pending', attempts: 1, unknownSubmissions: 0 });
    expect(statusOf(decision)).not.toHaveProperty('submission');
  });
  test('whose time went by before the call is given up too: nobody can have made it', () => {
    const lane = { ticket: 'granted', pollPauseMs: 0 } as const;
    expect(kind(decideAt(aTask().intended(), 5_000, { memory: { intent: own() } }))).toBe('forgoCall');
    expect(kind(decideAt(aTask().intended(), 5_000, { memory: { intent: own() }, lane }))).toBe('leaveLane');
  });
  test('of another process, or whose write is in doubt, is not for this one to give up', () => {
    const foreign = aTask().intended(T0, { by: 'operator-b/1' });
    expect(kind(decideAt(foreign, 6_000, { memory: { intent: own() } }))).not.toBe('forgoCall');
    const doubtful = { memory: { intent: own({ written: false }) } };
    expect(kind(decideAt(aTask().intended(), 6_000, doubtful))).not.toBe('forgoCall');
    const called = { memory: { intent: ended(100) } };
    expect(kind(decideAt(aTask().intended(), 6_000, called))).not.toBe('forgoCall');
  });
  test('keeps the number of an attempt that was not accepted', () => {
    const task = aTask().intended().notAccepted('ProviderBusy');
    const decision = decideAt(task, 0, { lane: { ticket: 'granted', pollPauseMs: 0 } });
    expect(statusOf(decision)).toMatchObject({ attempts: 1, submission: { attempt: 1 } });
  });
});

describe('the reply of in.php', () => {
  test('an accepted id is recorded, also by a process that no longer leads', () => {
    const memory = reply({ kind: 'accepted', captchaID: CAPTCHA_ID });
    const decision = decideAt(aTask().intended(), 1_000, { memory, mayAct: false });
    expect(kind(decision)).toBe('recordReply');
    expect(statusOf(decision)).toMatchObject({ phase: 'Submitted', submission: { captchaID: CAPTCHA_ID } });
  });
  test('that had to wait to be recorded is dated by when it came: its captcha may be solved by now', () => {
    const memory = { ...reply({ kind: 'accepted', captchaID: CAPTCHA_ID }), intent: ended(3_000) };
    const submission = { submittedTime: formatTime(T0 + 3_000), pollAfterTime: formatTime(T0 + 23_000) };
    const task = aTask().spec({ callbackTimeoutSeconds: 20 }).intended();
    expect(statusOf(decideAt(task, 45_000, { memory }))).toMatchObject({ submission });
  });
  test('an accepted id is recorded even while a letter holds the task', () => {
    const memory = reply({ kind: 'accepted', captchaID: CAPTCHA_ID });
    expect(statusOf(decideAt(aTask().intended().marked(), 0, { memory }))).toMatchObject({
      submission: { captchaID: CAPTCHA_ID },
      deadLetter: { name: 'login-letter' },
    });
  });
  test('another id than the stored one keeps the stored one', () => {
    const memory = reply({ kind: 'accepted', captchaID: '99' });
    expect(decideAt(aTask().intended().submitted(), 0, { memory }).effect).toEqual({
      kind: 'settleReply',
      conflict: true,
    });
  });
  test('the same id again, or an attempt that ended meanwhile, needs no write', () => {
    const memory = reply({ kind: 'accepted', captchaID: CAPTCHA_ID });
    for (const task of [aTask().intended().submitted(), aTask().intended().submitted().attemptEnded()]) {
      expect(decideAt(task, 0, { memory }).effect).toEqual({ kind: 'settleReply', conflict: false });
    }
  });
  test.each<[string, SubmitOutcome, string, string]>([
    ['a permanent code', { kind: 'refused', class: 'permanent', code: 'ERROR_PAGEURL' }, 'Failed', 'ProviderRejected'],
    ['a bad proxy', { kind: 'refused', class: 'proxy', code: 'ERROR_BAD_PROXY' }, 'Failed', 'ProviderRejected'],
    [
      'a rejected key',
      { kind: 'refused', class: 'keyRejected', code: 'ERROR_WRONG_USER_KEY' },
      'Failed',
      'ProviderRejected',
    ],
    ['a task without encoding', { kind: 'refused', class: 'permanent', code: 'INVALID_TASK' }, 'Failed', 'InvalidTask'],
    ['no free thread', { kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' }, 'Pending', 'ProviderBusy'],
    ['a block', { kind: 'refused', class: 'blocked', code: 'MAX_USER_TURN' }, 'Pending', 'ProviderBusy'],
    ['a banned address', { kind: 'refused', class: 'addressBlocked', code: 'IP_BANNED' }, 'Pending', 'KeyRejected'],
    ['a refused connection', { kind: 'unreachable', cause: 'connectionRefused' }, 'Pending', 'ProviderUnreachable'],
    ['429', { kind: 'unreachable', cause: 'http429' }, 'Pending', 'ProviderBusy'],
    ['an unknown code', { kind: 'refused', class: 'unlisted', code: 'ERROR_NEW' }, 'Pending', 'Pending'],
    [
      'a suspended account',
      { kind: 'refused', class: 'accountExhausted', code: 'ERROR_ACCOUNT_SUSPENDED' },
      'Pending',
      'AccountExhausted',
    ],
    [
      'a callback address that is refused',
      { kind: 'refused', class: 'callbackRefused', code: 'ERROR_IP_ADDRES' },
      'Pending',
      'Pending',
    ],
  ])('%s', (_name, outcome, phase, reason) => {
    const decision = decideAt(aTask().intended(), 0, { memory: { ...reply(outcome), unlistedTries: 1 } });
    expect(kind(decision)).toBe('recordReply');
    expect(statusOf(decision)).toMatchObject({ phase, attempts: 1 });
    expect(reasonOf(decision)).toBe(reason);
  });
  test('no balance, of an account that is known to be exhausted: it says so, and that only a person can help', () => {
    const outcome = { kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' } as const;
    const blockage = { reason: 'AccountExhausted', stalled: true } as const;
    const lane = { ticket: 'none', blockage, pollPauseMs: 0 } as const;
    const decision = decideAt(aTask().intended(), 0, { lane, memory: reply(outcome) });
    expect(reasonOf(decision)).toBe('AccountExhausted');
    expect(statusOf(decision)?.conditions).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'True' }));
  });
  test('an unknown code counts as permanent at its fifth try', () => {
    const outcome: SubmitOutcome = { kind: 'refused', class: 'unlisted', code: 'ERROR_NEW' };
    const decision = decideAt(aTask().intended(), 0, { memory: { ...reply(outcome), unlistedTries: 5 } });
    expect(statusOf(decision)).toMatchObject({ phase: 'Failed', failure: { code: 'ERROR_NEW' } });
  });
  test('a refusal does not touch a task that a letter holds', () => {
    const memory = reply({ kind: 'refused', class: 'permanent', code: 'ERROR_PAGEURL' });
    expect(decideAt(aTask().intended().marked(), 0, { memory }).effect).toBeUndefined();
  });
});

describe('an unknown submission', () => {
  const unknown = aTask().intended().waiting('SubmissionUnknown');
  test('says so once', () => {
    expect(reasonOf(decideAt(aTask().intended(), 0, { memory: { intent: ended(0) } }))).toBe('SubmissionUnknown');
  });
  test('waits for its callback during the grace, counted from the end of the own call', () => {
    const memory = { intent: ended(10_000) };
    expect(decideAt(unknown, 69_999, { memory }).effect).toBeUndefined();
    expect(kind(decideAt(unknown, 70_000, { memory }))).toBe('joinLane');
  });
  test('of another process waits from the first sight of it', () => {
    const memory = { sighted: { by: BY, atMono: MONO0 + 30_000 } };
    expect(decideAt(unknown, 89_999, { memory }).effect).toBeUndefined();
    expect(kind(decideAt(unknown, 90_000, { memory }))).toBe('joinLane');
  });
  test('waits on as long as the operator has not watched for a while', () => {
    expect(decideAt(unknown, 100_000, { memory: { intent: ended(0) }, watchedMs: 14_999 }).effect).toBeUndefined();
  });
  test('without pingback is sent again at once by the process that saw its call end, else after 20 s', () => {
    const task = aTask().intended(T0, { pingback: false }).waiting('SubmissionUnknown');
    expect(kind(decideAt(task, 0, { memory: { intent: ended(0) } }))).toBe('joinLane');
    const sighted = { sighted: { by: BY, atMono: MONO0 } };
    expect(decideAt(task, 19_999, { memory: sighted }).effect).toBeUndefined();
    expect(kind(decideAt(task, 20_000, { memory: sighted }))).toBe('joinLane');
  });
  test('is sent again as a new, counted attempt', () => {
    const lane = { ticket: 'granted', pollPauseMs: 0 } as const;
    const decision = decideAt(unknown, 61_000, { memory: { intent: ended(0) }, lane });
    expect(statusOf(decision)).toMatchObject({ attempts: 2, unknownSubmissions: 1 });
  });
  test('keeps saying that it is unknown while it waits for its turn', () => {
    const lane = { ticket: 'queued', pollPauseMs: 0, blockage: { reason: 'ProviderBusy' } } as const;
    expect(decideAt(unknown, 90_000, { memory: { intent: ended(0) }, lane }).effect).toBeUndefined();
  });
  test('fails the task when it is the second one', () => {
    const second = aTask().intended().intended().waiting('SubmissionUnknown');
    const decision = decideAt(second, 61_000, { memory: { intent: ended(0) } });
    expect(reasonOf(decision)).toBe('SubmissionUnknown');
    expect(statusOf(decision)).toMatchObject({ failure: { class: 'Unknown' }, unknownSubmissions: 2 });
  });
  test('of a GeeTest v3 challenge is never sent twice', () => {
    const geeTestV3 = { gt: 'gt', challenge: 'challenge', pageURL: 'https://example.com' };
    const task = unknown.spec({ captcha: { type: 'GeeTestV3', geeTestV3 } });
    expect(reasonOf(decideAt(task, 61_000, { memory: { intent: ended(0) } }))).toBe('SubmissionUnknown');
  });
});

describe('an attempt that ended', () => {
  const task = aTask().intended().submitted().attemptEnded();
  test('fails the task when no retries are left', () => {
    expect(statusOf(decideAt(task, 0))).toMatchObject({
      phase: 'Failed',
      failure: { class: 'Retriable', code: 'ERROR_CAPTCHA_UNSOLVABLE' },
    });
  });
  test('is followed by another while backoffLimit allows; unknown submissions do not use it up', () => {
    expect(kind(decideAt(task.spec({ backoffLimit: 1 }), 0))).toBe('joinLane');
    const afterUnknown = aTask().intended().intended().submitted().attemptEnded();
    expect(kind(decideAt(afterUnknown.spec({ backoffLimit: 1 }), 0))).toBe('joinLane');
    expect(reasonOf(decideAt(afterUnknown, 0))).toBe('Unsolvable');
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

describe('a waiting task', () => {
  const lane = { ticket: 'queued', pollPauseMs: 0, blockage: { reason: 'ProviderBusy' } } as const;
  const memory = { waitingSinceMono: MONO0 };
  test('says why after two seconds, once', () => {
    expect(decideAt(aTask(), 1_999, { lane, memory })).toMatchObject({ wakeInMs: 1 });
    expect(reasonOf(decideAt(aTask(), 2_000, { lane, memory }))).toBe('ProviderBusy');
    expect(decideAt(aTask().waiting('ProviderBusy'), 60_000, { lane, memory }).effect).toBeUndefined();
  });
  test('writes again when the reason changes', () => {
    expect(reasonOf(decideAt(aTask().waiting('MissingAPIKey'), 60_000, { lane, memory }))).toBe('ProviderBusy');
  });
  test('writes nothing while the lane moves, or while others write', () => {
    const moving = { ticket: 'queued', pollPauseMs: 0 } as const;
    expect(decideAt(aTask(), 60_000, { lane: moving, memory }).effect).toBeUndefined();
    expect(decideAt(aTask(), 60_000, { lane, memory, mayWriteWaiting: false }).effect).toBeUndefined();
  });
  test('without its key is stalled and says what is missing', () => {
    const key = { state: 'missing', message: 'Secret "a" does not exist.', retryInMs: 9_000 } as const;
    const decision = decideAt(aTask(), 3_000, { key, memory });
    expect(statusOf(decision)?.conditions?.map((one) => [one.type, one.message])).toContainEqual([
      'Stalled',
      'Secret "a" does not exist.',
    ]);
    const said = aTask().status(statusOf(decision) ?? {});
    expect(decideAt(said, 3_000, { key, memory })).toMatchObject({ wakeInMs: 9_000 });
  });
});
