/** What was written although its reply was lost is counted and told, once; what somebody else wrote is not. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { Metrics } from '../../../../src/ops/metrics.ts';
import type { ApiRequest } from '../../../../src/kube/types.ts';
import type { Fate } from '../../../support/model-client.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { failed, waiting } from '../../../../src/core/task/transitions.ts';
import { aTask } from '../../../support/builders.ts';
import { outage } from '../../../support/model-api.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

const COUNTED = new Set([
  'captcha_operator_tasks_started_total',
  'captcha_operator_failures_total',
  'captcha_operator_ambiguous_submissions_total',
]);
/** A stage, and what it counted and told: `failures Permanent`, `event ProviderRejected`. */
async function startCounting(): Promise<string[]> {
  const told: string[] = [];
  const inc: Metrics['inc'] = (name, labels) => {
    const short = name.replace('captcha_operator_', '').replace('_total', '');
    if (COUNTED.has(name)) told.push([short, ...Object.values(labels)].join(' '));
  };
  stage = await startStage({
    metrics: { inc, observe: () => undefined, gauge: () => undefined },
    events: { record: ({ reason }) => void told.push(`event ${reason}`) },
    policy: { ...DEFAULT_POLICY, unknownSubmissionGraceMs: 100 },
  });
  return told;
}

const statusOf = (request: ApiRequest) =>
  request.verb === 'replaceStatus' ? (request.object as CaptchaTask).status : undefined;
/** Does this to the first request that matches, and that to what follows it. */
function loseReplyOf(matches: (request: ApiRequest) => boolean, then: (request: ApiRequest) => Fate = () => undefined) {
  let done = false;
  stage.client.fate = (request) => {
    if (done) return then(request);
    if (!matches(request)) return undefined;
    done = true;
    return 'replyLost';
  };
}
const fresh = () => aTask().created(Date.now());
const isFailure = (request: ApiRequest) => statusOf(request)?.phase === 'Failed';
const hasLeft = () => waitUntil('the task to have left the cache', () => !stage.controller.task('default', 'login'));
const rejectAll = () => {
  stage.answer = () => ({ kind: 'refused', class: 'permanent', code: 'ERROR_PAGEURL' });
};

describe('a write whose reply was lost', () => {
  test('of a failure is counted and told', async () => {
    const told = await startCounting();
    rejectAll();
    loseReplyOf(isFailure);
    stage.apply(fresh());
    await hasLeft();
    await waitUntil('the count', () => told.includes('failures Permanent'), { boundMs: 2_000, everyMs: 5 });
    expect(told).toEqual(['tasks_started', 'failures Permanent', 'event ProviderRejected']);
  });

  test('of an intent is counted, and the intent is used', async () => {
    const told = await startCounting();
    loseReplyOf((request) => statusOf(request)?.phase === 'Submitting');
    stage.apply(fresh());
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(told).toEqual(['tasks_started']);
    expect(stage.submissions).toHaveLength(1);
  });

  test('of a second payment is counted as that', async () => {
    const told = await startCounting();
    loseReplyOf((request) => statusOf(request)?.unknownSubmissions === 1);
    stage.answer = () =>
      stage.submissions.length === 1 ? { kind: 'unknown', cause: 'reset' } : { kind: 'accepted', captchaID: '1002' };
    stage.apply(fresh());
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(told.filter((line) => line.startsWith('ambiguous'))).toEqual(['ambiguous_submissions resubmitted']);
  });

  test('is counted when it can be read again at last', async () => {
    const told = await startCounting();
    rejectAll();
    let reads = 0;
    stage.client.deaf = false;
    loseReplyOf(
      (request) => isFailure(request) && (stage.client.deaf = true),
      (request) => (request.verb === 'get' && (reads += 1) <= 2 ? 'notSent' : undefined),
    );
    stage.apply(fresh());
    await hasLeft();
    expect(reads).toBeGreaterThan(2);
    expect(told).toEqual(['tasks_started', 'failures Permanent', 'event ProviderRejected']);
  });

  test('is counted when the watch tells first that the task has finished', async () => {
    const told = await startCounting();
    rejectAll();
    let reads = 0;
    loseReplyOf(isFailure, (request) => (request.verb === 'get' && (reads += 1) === 1 ? 'notSent' : undefined));
    stage.apply(fresh());
    await hasLeft();
    await waitUntil('the count', () => told.includes('failures Permanent'), { boundMs: 2_000, everyMs: 5 });
    expect(told).toEqual(['tasks_started', 'failures Permanent', 'event ProviderRejected']);
  });

  test('is counted when the watch tells later that the task has finished', async () => {
    const told = await startCounting();
    rejectAll();
    let reads = 0;
    loseReplyOf(
      (request) => isFailure(request) && (stage.client.deaf = true),
      (request) => {
        if (request.verb !== 'get' || (reads += 1) > 1) return undefined;
        setTimeout(() => {
          stage.client.deaf = false;
          stage.write(stage.task()!.status!);
        }, 20);
        return 'notSent';
      },
    );
    stage.apply(fresh());
    await waitUntil('the count', () => told.includes('failures Permanent'), { boundMs: 2_000, everyMs: 5 });
    expect(told).toEqual(['tasks_started', 'failures Permanent', 'event ProviderRejected']);
  });

  test('and that was not made is told once when a second try makes it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await startCounting();
    let tries = 0;
    stage.api.faults.push((request) => {
      const records = statusOf(request)?.phase === 'Submitted';
      return records && (tries += 1) === 1 ? outage(true) : undefined;
    });
    stage.apply(fresh());
    await waitUntil('a look after the record', () => {
      const task = stage.controller.task('default', 'login');
      return (
        task?.status?.phase === 'Submitted' && stage.logged.some((line) => line.startsWith('A task was submitted'))
      );
    });
    stage.write(waiting(stage.task()!, 'Polling', Date.now()));
    await waitUntil('a look after that', () => stage.reason() === 'Polling');
    vi.useRealTimers();
    expect(tries).toBe(2);
    expect(stage.logged.filter((line) => line.startsWith('A task was submitted'))).toHaveLength(1);
  });

  test('is not counted when it was never made, and somebody else finished the task', async () => {
    const told = await startCounting();
    rejectAll();
    stage.client.fate = (request) => {
      if (!isFailure(request)) return undefined;
      // By another hand, a moment before; and the reply to our own try is lost.
      const other = { class: 'Deadline', reason: 'DeadlineExceeded', message: 'too late' } as const;
      stage.write(failed(stage.task()!, other, Date.now()));
      return 'replyLost';
    };
    stage.apply(fresh());
    await hasLeft();
    await waitUntil('a look', () => stage.logged.some((line) => line.includes('it is repeated')), { everyMs: 5 });
    expect(told.filter((line) => line !== 'tasks_started')).toEqual([]);
  });
});
