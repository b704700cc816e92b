import { describe, expect, test } from 'vitest';
import type { Captcha } from '../../../../src/api/captchatask.ts';
import { isAbridged } from '../../../../src/core/task/abridged.ts';
import { announce } from '../../../../src/core/task/announce.ts';
import * as memories from '../../../../src/core/task/memory.ts';
import { packTask, unpackTask } from '../../../../src/core/task/packed.ts';
import { BUSY_BACKOFF, backoffMs, rereadMs } from '../../../../src/core/task/schedule.ts';
import { formatTime, parseTime } from '../../../../src/core/task/times.ts';
import { isHint } from '../../../../src/core/solution.ts';
import { T0, aTask } from '../../../support/builders.ts';

const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => [`${name}${index}`, 'x'.repeat(20)]);

describe('times', () => {
  test('are whole seconds, never later than what was asked for', () => {
    expect(formatTime(T0 + 1_999)).toBe('2026-01-01T00:00:01Z');
    expect(parseTime('2026-01-01T00:00:01Z')).toBe(T0 + 1_000);
    expect(parseTime('soon')).toBeUndefined();
  });
});

describe('backoff', () => {
  test('doubles to its maximum, each step ±20 %', () => {
    const steps = [1, 2, 3, 4, 5, 50].map((failures) => backoffMs(BUSY_BACKOFF, failures, 0.5));
    expect(steps).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    expect(backoffMs(BUSY_BACKOFF, 1, 0)).toBe(4_000);
    expect(backoffMs(BUSY_BACKOFF, 1, 1)).toBe(6_000);
  });
});

test('a Secret is read again every 10 s; one that the API server just now could not read, sooner until that is said', () => {
  expect([undefined, 0, 1_999, 2_000, 60_000].map(rereadMs)).toEqual([10_000, 500, 500, 10_000, 10_000]);
});

describe('a packed task', () => {
  test.each([
    ['new', aTask()],
    ['waiting', aTask().waiting('ProviderBusy')],
    ['submitted', aTask().intended().submitted()],
    ['marked', aTask().intended().submitted().marked()],
    ['with a message of its own', aTask().status({ conditions: [] }).waiting('MissingAPIKey')],
  ])('%s unpacks to the same', (_name, builder) => {
    const task = builder.build();
    expect(unpackTask(packTask(task))).toEqual(task);
  });
  test('leaves out what no rule reads', () => {
    const task = aTask().intended().submitted().build();
    const raw = { ...task, metadata: { ...task.metadata, managedFields: ['x'.repeat(5_000)], labels: { a: 'b' } } };
    expect(packTask(raw).text.length).toBeLessThan(1_000);
  });
  const pageURL = 'https://example.com/login';
  const LARGE: [string, Captcha][] = [
    ['an image', { type: 'Image', image: { body: 'A'.repeat(200_000), numeric: 1 } }],
    ['a grid', { type: 'Grid', grid: { body: 'A'.repeat(200_000), rows: 3, columns: 3 } }],
    ['tiles', { type: 'BLS', bls: { instructions: '664', images: Array<string>(9).fill('A'.repeat(20_000)) } }],
    [
      'parameters',
      { type: 'Custom', custom: { method: 'next', parameters: { a: 'A'.repeat(16_384), b: 'A'.repeat(16_384) } } },
    ],
    [
      'many small parameters',
      { type: 'Custom', custom: { method: 'next', parameters: Object.fromEntries(numbered('p', 64)) } },
    ],
    [
      'cookies',
      { type: 'RecaptchaV2', recaptchaV2: { siteKey: 'k', pageURL, cookies: 'A'.repeat(8_192), enterprise: true } },
    ],
  ];
  test.each(LARGE)('is small even with %s in it, and says that something is left out', (_what, captcha) => {
    const task = aTask().spec({ captcha }).intended().submitted().build();
    const packed = packTask(task);
    expect(packed.text.length).toBeLessThan(2_000);
    expect(isAbridged(unpackTask(packed).spec.captcha)).toBe(true);
    expect(isAbridged(captcha)).toBe(false);
  });
  test('keeps of a large captcha what rules read', () => {
    const kept = LARGE.map(([, captcha]) => unpackTask(packTask(aTask().spec({ captcha }).build())).spec.captcha);
    expect(kept.map(({ type }) => type)).toEqual(LARGE.map(([, { type }]) => type));
    expect(kept[1]?.grid).toMatchObject({ rows: 3, columns: 3 });
    expect(kept.map(isHint)).toEqual(LARGE.map(([, captcha]) => isHint(captcha)));
    const bodyFrom = { secretKeyRef: { name: 'n'.repeat(253), key: 'k'.repeat(253) } };
    const instructions = 'i'.repeat(1_000);
    const byReference = packTask(
      aTask()
        .spec({ captcha: { type: 'Grid', grid: { bodyFrom, instructions } } })
        .build(),
    );
    expect(unpackTask(byReference).spec.captcha.grid?.bodyFrom).toEqual(bodyFrom);
  });
});

describe('memory', () => {
  const task = aTask().intended().build();
  test('recognises an own intent in a copy, even if the reply of its write was lost', () => {
    const sent = memories.intentSent(memories.freshMemory('u'), { by: 'operator-a/1', attempt: 1, sentMono: 5 });
    expect(memories.sighted(sent, task, 9).intent?.written).toBe(true);
    const other = memories.intentSent(memories.freshMemory('u'), { by: 'operator-a/2', attempt: 1, sentMono: 5 });
    expect(memories.sighted(other, task, 9)).toMatchObject({ intent: { written: false }, sighted: { atMono: 9 } });
  });
  test('keeps the first sight of a foreign intent', () => {
    const first = memories.sighted(memories.freshMemory('u'), task, 5);
    expect(memories.sighted(first, task, 9).sighted?.atMono).toBe(5);
  });
  test('keeps nothing of what was read for a call that is never made: the proxy may be another by the next turn', () => {
    const read = memories.sourcesRead(memories.freshMemory('u'), { state: 'ready', proxyAddress: '10.0.0.1:8080' });
    const sent = memories.intentSent(read, { by: 'operator-a/1', attempt: 1, sentMono: 0 });
    expect(sent.sources).toBeDefined();
    expect(memories.callForgone(sent, 1).sources).toBeUndefined();
  });
  test('of a task that only waits for its callback is blank', () => {
    const done = memories.replySettled(
      memories.callEnded(
        memories.callSent(memories.intentSent(memories.freshMemory('u'), { by: 'a/1', attempt: 1, sentMono: 0 })),
        { by: 'a/1', outcome: { kind: 'accepted', captchaID: '1' } },
        1,
      ),
    );
    expect(memories.isBlank(done)).toBe(true);
  });
});

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
