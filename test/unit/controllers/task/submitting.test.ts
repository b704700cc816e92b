import { afterEach, describe, expect, test } from 'vitest';
import type { ApiRequest } from '../../../../src/kube/types.ts';
import type { PollOutcome } from '../../../../src/core/outcome.ts';
import type { Metrics } from '../../../../src/ops/metrics.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { CONFIG_MAP } from '../../../../src/api/names.ts';
import { attemptEnded, pollDue, waiting } from '../../../../src/core/task/transitions.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { aTask } from '../../../support/builders.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

const isPut = (request: ApiRequest, phase: string) =>
  request.verb === 'replaceStatus' && (request.object as { status: { phase: string } }).status.phase === phase;
/** A write of the journal that brings or keeps an entry. */
const isEntry = (request: ApiRequest) =>
  request.verb === 'replace' && (request.object as { data?: { entries?: string } }).data?.entries !== '';
/** Does this to the first request that matches only. */
const once = <Fate>(matches: (request: ApiRequest) => boolean, fate: Fate) => {
  let done = false;
  return (request: ApiRequest) => {
    if (done || !matches(request)) return undefined;
    done = true;
    return fate;
  };
};
const fresh = () => aTask().created(Date.now());
/** Its intents are in status, for it was tried before. */
const triedBefore = () => fresh().intended(Date.now()).notAccepted('Pending', Date.now());
const isReplace = ({ verb }: { verb: string }) => verb === 'replace';
const entries = () => stage.api.read(CONFIG_MAP.plural, 'captcha-operator-journal')?.data?.['entries'];

describe('the happy path', () => {
  test('costs the operator one status write, a share of a write of the journal, and one call', async () => {
    stage = await startStage();
    stage.apply(fresh());
    const task = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.phases()).toEqual(['Submitted']);
    expect(stage.submissions).toHaveLength(1);
    expect(stage.submissions[0]?.pingback).toBe('https://callback.example/v1/callback/login.1');
    expect(task.status).toMatchObject({ attempts: 1, submission: { captchaID: '1001', pingback: true } });
  });
  test('sends no pingback for tasks that are polled', async () => {
    stage = await startStage();
    stage.apply(fresh().spec({ delivery: 'Poll' }));
    const task = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions[0]).not.toHaveProperty('pingback');
    expect(task.status?.submission?.pingback).toBe(false);
  });
});

describe('an intent whose write is in doubt', () => {
  test('is recognised by reading again when only its reply was lost', async () => {
    stage = await startStage();
    stage.client.fate = once((request) => isEntry(request), 'replyLost');
    stage.apply(fresh());
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.phases()).toEqual(['Submitted']);
    expect(stage.submissions).toHaveLength(1);
  });
  test('is written again when it never arrived', async () => {
    stage = await startStage();
    stage.client.fate = once((request) => isEntry(request), 'notSent');
    stage.apply(fresh());
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions).toHaveLength(1);
  });
  test('allows no call while nobody can tell', async () => {
    stage = await startStage();
    let reads = 0;
    stage.client.fate = (request) => {
      if (isEntry(request)) {
        stage.client.deaf = true;
        return 'replyLost';
      }
      if (request.verb !== 'get' || request.resource.plural !== CONFIG_MAP.plural) return undefined;
      reads += 1;
      return reads < 3 ? 'notSent' : undefined;
    };
    stage.apply(fresh());
    await waitUntil('a second read', () => reads >= 2, { everyMs: 1 });
    expect(stage.submissions).toHaveLength(0);
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions).toHaveLength(1);
    expect(stage.task()?.status?.attempts).toBe(1);
  });
  test.each(['replyLost', 'notSent'] as const)(
    'in status, of a later try, is settled in the same way: %s',
    async (fate) => {
      stage = await startStage();
      stage.client.fate = once((request) => isPut(request, 'Submitting'), fate);
      stage.apply(triedBefore());
      await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
      expect(stage.phases()).toEqual(['Submitting', 'Submitted']);
      expect(stage.submissions).toHaveLength(1);
    },
  );
  test('loses against whoever wrote first, and is tried again from what they wrote', async () => {
    stage = await startStage();
    const gate = Promise.withResolvers<void>();
    stage.client.fate = once((request) => isPut(request, 'Submitting'), gate.promise);
    stage.apply(triedBefore());
    await waitUntil('the intent to be on its way', () => stage.task(), { everyMs: 1 });
    const task = stage.task();
    if (task !== undefined) stage.write(waiting(task, 'ProviderBusy', Date.now()));
    gate.resolve();
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions).toHaveLength(1);
    expect(stage.task()?.status?.attempts).toBe(1);
  });
});

describe('the record of an accepted id', () => {
  test('outlives an outage of the API without a second call', async () => {
    stage = await startStage();
    let down = true;
    stage.client.fate = (request) => (isPut(request, 'Submitted') && down ? 'notSent' : undefined);
    stage.apply(fresh());
    await waitUntil('the call', () => stage.submissions.length === 1, { everyMs: 1 });
    await waitUntil('a failed record', () => stage.logged.some((line) => line.includes('it is repeated')));
    down = false;
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions).toHaveLength(1);
  });
  test('is written by a process that lost the lead meanwhile', async () => {
    stage = await startStage();
    const reply = Promise.withResolvers<void>();
    stage.answer = async () => {
      await reply.promise;
      return { kind: 'accepted', captchaID: '1001' };
    };
    stage.apply(fresh());
    await waitUntil('the call', () => stage.submissions.length === 1, { everyMs: 1 });
    stage.lead(false);
    reply.resolve();
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
  });
  test('is waited for when the controller stops', async () => {
    stage = await startStage();
    const reply = Promise.withResolvers<void>();
    stage.answer = async () => {
      await reply.promise;
      return { kind: 'accepted', captchaID: '1001' };
    };
    stage.apply(fresh());
    await waitUntil('the call', () => stage.submissions.length === 1, { everyMs: 1 });
    const stopped = stage.controller.stop({ drainMs: 5_000 });
    reply.resolve();
    expect(await stopped).toBe(0);
    expect(stage.task()?.status?.phase).toBe('Submitted');
  });
  test('is not written on a task that was recreated under the same name', async () => {
    stage = await startStage();
    const first = Promise.withResolvers<void>();
    stage.answer = async () => {
      if (stage.submissions.length === 1) await first.promise;
      return { kind: 'accepted', captchaID: String(1_000 + stage.submissions.length) };
    };
    stage.apply(fresh());
    await waitUntil('the call', () => stage.submissions.length === 1, { everyMs: 1 });
    stage.remove('login');
    stage.apply(fresh().uid('another-uid'));
    first.resolve();
    const task = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(task.status?.submission?.captchaID).toBe('1002');
    expect(stage.submissions).toHaveLength(2);
  });
});

describe('leadership', () => {
  test('a standby does nothing, and acts as soon as it leads', async () => {
    stage = await startStage();
    stage.lead(false);
    stage.apply(fresh());
    await waitUntil('the cache to know', () => stage.controller.task('default', 'login'), { everyMs: 1 });
    expect(stage.phases()).toEqual([]);
    stage.apply(fresh().named('other').uid('other-uid'));
    stage.lead(true);
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'other');
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
  });
  test('lost between entry and call, the provider is not called and the entry goes', async () => {
    stage = await startStage();
    stage.client.fate = (request) => {
      if (isEntry(request)) stage.lead(false);
      return undefined;
    };
    stage.apply(fresh());
    await waitUntil(
      'the entry to come and to go',
      () => stage.api.writes.filter(isReplace).length >= 2 && entries() === '',
    );
    expect(stage.task()?.status).toBeUndefined();
    expect(stage.submissions).toHaveLength(0);
    stage.client.fate = () => undefined;
    stage.lead(true);
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.task()?.status?.attempts).toBe(1);
    expect(stage.submissions).toHaveLength(1);
  });
  test.each([
    ['emptied', { holder: 'operator-a', entries: '' }],
    ['set back to an old copy', { holder: 'operator-z', entries: '' }],
    ['without a holder', { entries: '' }],
  ])('taken up again over a journal that was %s meanwhile, an open call is not made again', async (_, data) => {
    stage = await startStage();
    const reply = Promise.withResolvers<void>();
    stage.answer = async () => {
      await reply.promise;
      return { kind: 'unknown', cause: 'timeout' };
    };
    stage.apply(fresh());
    await waitUntil('the call', () => stage.submissions.length === 1, { everyMs: 1 });
    stage.api.seed(CONFIG_MAP.plural, { ...stage.api.read(CONFIG_MAP.plural, 'captcha-operator-journal'), data });
    stage.lead(false);
    stage.lead(true);
    reply.resolve();
    await stage.until('said to be unknown', () => stage.reason() === 'SubmissionUnknown');
    expect(stage.submissions).toHaveLength(1);
    expect(stage.task()?.status).toMatchObject({ attempts: 1, submission: { intentBy: 'operator-a/1' } });
  });
  test('lost between a later intent and its call, the intent is given back in status', async () => {
    stage = await startStage();
    stage.client.fate = (request) => {
      if (isPut(request, 'Submitting')) stage.lead(false);
      return undefined;
    };
    stage.apply(triedBefore());
    const task = await stage.until('given back', () => stage.phases().length === 2);
    expect(task.status).toMatchObject({ phase: 'Pending', attempts: 1, unknownSubmissions: 0 });
    expect(stage.submissions).toHaveLength(0);
  });
  test('lost by a stop between entry and call leaves nothing unknown, and an empty journal', async () => {
    stage = await startStage();
    let stopped: Promise<number> | undefined;
    stage.client.fate = (request) => {
      if (isEntry(request)) stopped ??= stage.controller.stop({ drainMs: 5_000 });
      return undefined;
    };
    stage.apply(fresh());
    expect(await waitUntil('the stop', () => stopped)).toBe(0);
    expect(stage.task()?.status).toBeUndefined();
    expect(entries()).toBe('');
    expect(stage.submissions).toHaveLength(0);
  });
});

describe('what the provider refuses', () => {
  test('fails the task at once when it is permanent', async () => {
    stage = await startStage();
    stage.answer = () => ({ kind: 'refused', class: 'permanent', code: 'ERROR_PAGEURL' });
    stage.apply(fresh());
    const task = await stage.until('failed', ({ status }) => status?.phase === 'Failed');
    expect(task.status?.failure).toMatchObject({ class: 'Permanent', code: 'ERROR_PAGEURL' });
  });
  test('uses no attempt up when it is busy, and is said once the task has waited', async () => {
    stage = await startStage();
    stage.answer = () => ({ kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' });
    stage.apply(fresh());
    const task = await stage.until('waiting', () => stage.reason() === 'ProviderBusy');
    expect(task.status).toMatchObject({ phase: 'Pending', attempts: 0 });
    expect(task.status).not.toHaveProperty('submission');
    expect(entries()).toBe('');
  });
  test('is followed by nothing when it is not known what became of it', async () => {
    stage = await startStage();
    stage.answer = () => ({ kind: 'unknown', cause: 'reset' });
    stage.apply(fresh());
    await stage.until('unknown', () => stage.reason() === 'SubmissionUnknown');
    expect(stage.submissions).toHaveLength(1);
    expect(stage.task()?.status?.phase).toBe('Submitting');
  });
});

describe('polls', () => {
  test('a hint makes the task due at once, and what the poll finds solves it', async () => {
    stage = await startStage();
    stage.pollAnswer = () => ({ kind: 'solved', value: 'the-solution' });
    stage.apply(fresh());
    const submitted = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    stage.write(pollDue(submitted, Date.now()));
    const task = await stage.until('solved', ({ status }) => status?.phase === 'Solved');
    expect(task.status?.solution).toMatchObject({ source: 'Poll', value: 'the-solution', attempt: 1 });
    expect(stage.controller.task('default', 'login')).toBeUndefined();
  });
  test('of one key keep its pace, however many are due', async () => {
    const perSecond = 50;
    let id = 1_000;
    let polls = 0;
    stage = await startStage({ policy: { ...DEFAULT_POLICY, maxPollsPerSecond: perSecond } });
    stage.answer = () => ({ kind: 'accepted', captchaID: String((id += 1)) });
    stage.pollAnswer = () => {
      polls += 1;
      return { kind: 'solved', value: 'the-solution' };
    };
    const names = Array.from({ length: 80 }, (_, index) => `task-${index}`);
    for (const name of names) stage.apply(fresh().named(name).uid(`uid-${name}`));
    for (const name of names) await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', name);
    const sinceMs = performance.now();
    for (const name of names) {
      const task = stage.task(name);
      if (task !== undefined) stage.write(pollDue(task, Date.now()), name);
    }
    for (const name of names) await stage.until('solved', ({ status }) => status?.phase === 'Solved', name);
    const seconds = (performance.now() - sinceMs) / 1_000;
    expect(polls).toBe(80);
    expect(80).toBeLessThanOrEqual(perSecond + seconds * perSecond);
  });
  test('a retriable answer ends the attempt, and without retries the task', async () => {
    stage = await startStage();
    stage.pollAnswer = () => ({ kind: 'refused', class: 'retriable', code: 'ERROR_CAPTCHA_UNSOLVABLE' });
    stage.apply(fresh().spec({ backoffLimit: 1 }));
    for (const attempt of [1, 2]) {
      const due = await stage.until('submitted', ({ status }) => {
        return status?.phase === 'Submitted' && status.attempts === attempt;
      });
      stage.write(pollDue(due, Date.now()));
    }
    await stage.until('failed', () => stage.reason() === 'Unsolvable');
    expect(stage.submissions).toHaveLength(2);
  });
  test('what the last of them found unsolved is certainly good from then on', async () => {
    let offsetMs = 0;
    const now = (): number => Date.now() + offsetMs;
    const clock = { now, random: () => 0.5, monotonicMs: () => performance.now() + offsetMs };
    stage = await startStage({ clock });
    const polled: number[] = [];
    const answer = Promise.withResolvers<PollOutcome>();
    stage.pollAnswer = () => (polled.push(now()) === 1 ? answer.promise : { kind: 'solved', value: 'v' });
    stage.apply(fresh().spec({ callbackTimeoutSeconds: 30 }));
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    offsetMs = 40_000;
    stage.controller.wake('default', 'login');
    await waitUntil('the first poll', () => polled.length === 1);
    // It may have been solved while this answer was on its way.
    offsetMs = 45_000;
    answer.resolve({ kind: 'pending' });
    await stage.until('being polled', () => stage.reason() === 'Polling');
    offsetMs = 60_000;
    stage.controller.wake('default', 'login');
    const { status } = await stage.until('solved', (task) => task.status?.phase === 'Solved');
    const unsolved = Date.parse(status?.solution?.freshUntilTime ?? '') - 120_000;
    expect(unsolved).toBeLessThanOrEqual(polled[0]!);
    expect(unsolved).toBeGreaterThan(polled[0]! - 5_000);
  });
  test('a last word that comes when its attempt was replaced already is forgotten, and counted as late', async () => {
    const polls: string[] = [];
    const inc: Metrics['inc'] = (name, labels) => {
      if (name === 'captcha_operator_poll_fallbacks_total') polls.push((labels as { result: string }).result);
    };
    let offsetMs = 0;
    const clock = { now: Date.now, random: () => 0.5, monotonicMs: () => performance.now() + offsetMs };
    stage = await startStage({ clock, metrics: { inc, observe: () => undefined, gauge: () => undefined } });
    const ofFirst = Promise.withResolvers<PollOutcome>();
    const asked: string[] = [];
    stage.answer = () => ({ kind: 'accepted', captchaID: stage.submissions.length === 1 ? '111' : '222' });
    stage.pollAnswer = (captchaID) => {
      asked.push(captchaID);
      return captchaID === '111' ? ofFirst.promise : { kind: 'pending' };
    };
    stage.apply(fresh().spec({ backoffLimit: 1, callbackTimeoutSeconds: 0 }));
    await waitUntil('a poll of the first attempt', () => asked.includes('111'));
    // The callback says the same, and is first.
    stage.write(attemptEnded(stage.task()!, 'ERROR_CAPTCHA_UNSOLVABLE', Date.now()));
    await waitUntil('a poll of the second attempt', () => asked.includes('222'));
    ofFirst.resolve({ kind: 'refused', class: 'retriable', code: 'ERROR_CAPTCHA_UNSOLVABLE' });
    await waitUntil('the answer to be counted', () => polls.length === 2);
    stage.pollAnswer = () => ({ kind: 'solved', value: 'of the second attempt' });
    offsetMs = 2 * DEFAULT_POLICY.pollIntervalMs;
    stage.controller.wake('default', 'login');
    const task = await stage.until('solved', ({ status }) => status?.phase === 'Solved');
    expect(task.status?.solution).toMatchObject({ attempt: 2, captchaID: '222' });
    expect(polls).toEqual(['pending', 'late', 'solved']);
  });
});

test('no secret reaches a log line', async () => {
  stage = await startStage();
  stage.pollAnswer = () => ({ kind: 'solved', value: 'canary-solution' });
  stage.apply(fresh());
  const submitted = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
  stage.write(pollDue(submitted, Date.now()));
  await stage.until('solved', ({ status }) => status?.phase === 'Solved');
  const text = stage.logged.join('\n');
  for (const secret of ['canary-solution', 'x'.repeat(32), 'callback.example']) expect(text).not.toContain(secret);
});
