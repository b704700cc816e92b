/** How a task gets to the provider: the intent, the call, its reply, and what nobody knows the end of. */
import { describe, expect, test } from 'vitest';
import type { SubmitOutcome } from '../../../../src/core/outcome.ts';
import type { TaskMemory } from '../../../../src/core/task/memory.ts';
import { signOf } from '../../../../src/core/task/callback-mode.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import { BY, type FactsChange, MONO0, decideAt, ended, kind, own, reasonOf, statusOf } from '../../../support/facts.ts';

const reply = (outcome: SubmitOutcome): Partial<TaskMemory> => ({
  intent: ended(0),
  reply: { by: BY, attempt: 1, outcome },
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
    expect(kind(decideAt(aTask(), 0, { lane: { ticket: 'granted', pollPauseMs: 0 } }))).toBe('enterIntent');
  });
  test('reads proxy and image only when it is its turn', () => {
    const task = aTask().spec({ proxy: { type: 'HTTP', secretRef: { name: 'proxy', key: 'address' } } });
    expect(kind(decideAt(task, 0, { lane: { ticket: 'queued', pollPauseMs: 0 } }))).toBeUndefined();
    expect(kind(decideAt(task, 0, { lane: { ticket: 'granted', pollPauseMs: 0 } }))).toBe('readSources');
    const known = aTask().spec({ proxy: { type: 'HTTP', address: 'h:1' } });
    expect(kind(decideAt(known, 0, { lane: { ticket: 'granted', pollPauseMs: 0 } }))).toBe('enterIntent');
  });
  test('gives its turn up while the journal takes no entry of its namespace, and keeps it while it takes none', () => {
    const lane = { ticket: 'granted', pollPauseMs: 0 } as const;
    expect(kind(decideAt(aTask(), 0, { lane, journal: 'barred' }))).toBe('leaveLane');
    expect(decideAt(aTask(), 0, { lane, journal: 'waits' })).toMatchObject({ wakeInMs: 250 });
    const tried = aTask().intended().notAccepted('Pending');
    expect(kind(decideAt(tried, 0, { lane, journal: 'barred' }))).toBe('writeIntent');
  });
  test('is called once for an own intent while it is fresh', () => {
    const lane = { ticket: 'granted', pollPauseMs: 0 } as const;
    const memory = { intent: own() };
    expect(kind(decideAt(aTask().intended(), 4_999, { memory, lane }))).toBe('submit');
    expect(kind(decideAt(aTask().intended(), 5_000, { memory, lane }))).not.toBe('submit');
    expect(kind(decideAt(aTask().intended(), 1, { memory: { intent: own({ call: 'underWay' }) } }))).toBeUndefined();
    expect(kind(decideAt(aTask().intended(), 1, { memory: { intent: ended(1) } }))).not.toBe('submit');
  });
  test('is not called once the wall clock went on alone: the machine was suspended, and nobody waited for it', () => {
    const lane = { ticket: 'granted', pollPauseMs: 0 } as const;
    const sentAt = (sentNow: number) => ({ lane, memory: { intent: own({ sentNow }) } });
    expect(kind(decideAt(aTask().intended(), 10, sentAt(T0 - 600_000)))).toBe('leaveLane');
    expect(kind(decideAt(aTask().intended(), 10, { memory: sentAt(T0 - 600_000).memory }))).toBe('forgoCall');
    expect(kind(decideAt(aTask().intended(), 10, sentAt(T0)))).toBe('submit');
    // Set back, it says nothing.
    expect(kind(decideAt(aTask().intended(), 4_999, sentAt(T0 + 600_000)))).toBe('submit');
    expect(kind(decideAt(aTask().intended(), 5_000, sentAt(T0 + 600_000)))).not.toBe('submit');
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
  test('by a word that says it can never succeed fails the task at once, whatever retries are left', () => {
    const hopeless = aTask().intended().submitted().attemptEnded('ERROR_BAD_TOKEN_OR_PAGEURL');
    for (const backoffLimit of [0, 3]) {
      const decision = decideAt(hopeless.spec({ backoffLimit }), 0);
      expect(reasonOf(decision)).toBe('ProviderRejected');
      const failure = { class: 'Permanent', code: 'ERROR_BAD_TOKEN_OR_PAGEURL' };
      expect(statusOf(decision)).toMatchObject({ phase: 'Failed', failure });
    }
  });
  test.each(['ERROR_BAD_PROXY', 'ERROR_BAD_DUPLICATES', 'UNLISTED'])(
    'by %s is followed by another: the word is about this attempt, or not known',
    (code) => {
      const next = aTask().spec({ backoffLimit: 1 }).intended().submitted().attemptEnded(code);
      expect(kind(decideAt(next, 0))).toBe('joinLane');
    },
  );
});

const message = 'Secret "a" cannot be read.';
/** It has waited for its turn for a long time. */
const waitingSinceMono = MONO0 - 60_000;

describe.each<[string, (unreadForMs: number) => FactsChange, string]>([
  [
    'the API key',
    (unreadForMs) => ({
      key: { state: 'missing', message, retryInMs: 400, unreadForMs },
      memory: { waitingSinceMono },
    }),
    'MissingAPIKey',
  ],
  [
    'proxy or image',
    (unreadForMs) => {
      const sources = {
        state: 'missing',
        message,
        readMono: MONO0 - 100,
        unreadSinceMono: MONO0 - unreadForMs,
      } as const;
      return { memory: { waitingSinceMono, sources } };
    },
    'Pending',
  ],
])('a task that cannot be told whether it has %s', (_what, change, reason) => {
  test('keeps quiet for two seconds, however long it has waited for its turn', () => {
    expect(decideAt(aTask(), 0, change(1_999))).toMatchObject({ wakeInMs: 400 });
  });
  test('says it after that', () => {
    const { effect } = decideAt(aTask(), 0, change(2_100));
    expect(effect).toMatchObject({ kind: 'writeStatus', status: { conditions: [{ reason, message }, {}, {}] } });
  });
});
