import { describe, expect, test } from 'vitest';
import { announce } from '../../../../src/core/task/announce.ts';
import { T0, aTask } from '../../../support/builders.ts';

const metrics = (before: ReturnType<typeof aTask>, after: ReturnType<typeof aTask>) =>
  announce(before.build(), after.build()).metrics.map((step) => [step.metric, ...Object.values(step.labels)]);
const reasons = (before: ReturnType<typeof aTask>, after: ReturnType<typeof aTask>) =>
  announce(before.build(), after.build()).events.map((event) => event.reason);

describe('announcing', () => {
  const submitted = aTask().intended().submitted();

  test('tells nobody about the happy path', () => {
    expect(reasons(aTask(), aTask().intended())).toEqual([]);
    expect(reasons(aTask().intended(), submitted)).toEqual([]);
    expect(reasons(submitted, submitted.solved())).toEqual([]);
  });
  test('counts each task once when it starts and once when it ends', () => {
    expect(metrics(aTask(), aTask().intended())).toEqual([['captcha_operator_tasks_started_total']]);
    expect(metrics(submitted, submitted.solved(T0, { source: 'Poll' }))).toEqual([
      ['captcha_operator_results_total', 'Poll'],
      ['captcha_operator_task_duration_seconds', 'RecaptchaV2', 'Solved', 'Poll'],
    ]);
    expect(metrics(submitted, submitted.failed()).map(([name]) => name)).toContain('captcha_operator_failures_total');
    expect(metrics(submitted.solved(), submitted.solved())).toEqual([]);
  });
  test.each([
    ['a second after it', '2026-01-01T00:02:00Z', '2026-01-01T00:02:01Z', 1],
    ['in its last second', '2026-01-01T00:02:00Z', '2026-01-01T00:02:00Z', 0],
    ['and nobody knows for how long it works', undefined, '2026-01-01T00:02:01Z', 0],
  ])('counts a result as stale by when it was certainly good: received %s', (_when, freshUntil, received, count) => {
    const times = { receivedTime: received, ...(freshUntil === undefined ? {} : { freshUntilTime: freshUntil }) };
    const counted = metrics(submitted, submitted.solved(T0, times));
    const stale = counted.filter(([name]) => name === 'captcha_operator_stale_results_total');
    expect(stale).toEqual(count === 0 ? [] : [['captcha_operator_stale_results_total', 'RecaptchaV2']]);
  });
  test('says nothing of a poll that is the normal way to the result', () => {
    const challenge = aTask().spec({
      captcha: { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL: 'https://a.example' } },
    });
    const enterprise = aTask().spec({
      captcha: {
        type: 'RecaptchaV2',
        recaptchaV2: { siteKey: 'K', pageURL: 'https://a.example', enterprise: true },
      },
    });
    for (const task of [challenge, enterprise]) {
      const polled = task.intended().submitted();
      expect(reasons(polled, polled.solved(T0, { source: 'Poll' }))).toEqual([]);
    }
  });
  test('says that a result had to be polled, that a task failed, and that a letter holds it', () => {
    expect(reasons(submitted, submitted.solved(T0, { source: 'Poll' }))).toEqual(['SolvedByPoll']);
    expect(reasons(submitted, submitted.failed())).toEqual(['ProviderRejected']);
    expect(reasons(submitted, submitted.marked())).toEqual(['DeadLettered']);
    expect(reasons(submitted, submitted.attemptEnded())).toEqual(['AttemptEnded']);
  });
  test.each([
    ['adopted', aTask().intended().waiting('SubmissionUnknown').submitted()],
    ['adopted', aTask().intended().waiting('SubmissionUnknown').solved()],
    ['resubmitted', aTask().intended().waiting('SubmissionUnknown').intended()],
    ['failed', aTask().intended().waiting('SubmissionUnknown').failed()],
  ])('counts an unknown submission as %s', (resolution, after) => {
    const unknown = aTask().intended().waiting('SubmissionUnknown');
    expect(metrics(unknown, after)).toContainEqual(['captcha_operator_ambiguous_submissions_total', resolution]);
  });
});
