/** For how long a result certainly works, and from when on it certainly does not. */
import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { DeadLetter } from '../../../../src/api/deadletter.ts';
import type { ReceivedResult } from '../../../../src/core/delivery/types.ts';
import { resultIn } from '../../../../src/core/deadletter/steps.ts';
import { deliverResult } from '../../../../src/core/delivery/deliver.ts';
import { findInSecret } from '../../../../src/core/delivery/solution-secret.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import type { TaskBuilder } from '../../../support/builders.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import { createModelApi, runModel, type ModelApi } from '../../../support/model-api.ts';

const RECEIVED = T0 + 90_000;
const SECRET_NAME = 'login-solution';
/** Of a token of reCAPTCHA. */
const LIFETIME_MS = 120_000;

function received(change: Partial<ReceivedResult> = {}): ReceivedResult {
  const { name, namespace, uid } = aTask().build().metadata;
  const origin = { attempt: 1, captchaID: CAPTCHA_ID, source: 'Callback', receivedTime: RECEIVED } as const;
  return { task: { name, namespace, uid }, value: 'solution-a', ...origin, ...change };
}
/** The world after the result was delivered to this task. */
function delivered(task: TaskBuilder, change: Partial<ReceivedResult> = {}): ModelApi {
  const api = createModelApi(() => RECEIVED);
  api.seed('captchatasks', task.build());
  runModel(api, deliverResult(received(change), { now: RECEIVED, onFailure: 'letter' }));
  return api;
}
const solutionOf = (api: ModelApi) => api.read<CaptchaTask>('captchatasks', 'login')?.status?.solution;
/** From when on the result is taken to have been solved. */
function countedFrom(task: TaskBuilder, change?: Partial<ReceivedResult>): string | undefined {
  const { freshUntilTime } = solutionOf(delivered(task, change)) ?? {};
  return freshUntilTime && formatTime(Date.parse(freshUntilTime) - LIFETIME_MS);
}
const accepted = aTask()
  .intended(T0 + 10_000)
  .submitted(T0 + 12_000);

describe('a result is certainly good', () => {
  test('for its lifetime from the acceptance of its submission, and certainly dead after it from its receipt', () => {
    expect(solutionOf(delivered(accepted))).toMatchObject({
      freshUntilTime: '2026-01-01T00:02:12Z',
      expiresTime: '2026-01-01T00:03:30Z',
    });
  });
  test('from the last time a poll found it unsolved, where that is later', () => {
    expect(countedFrom(accepted, { unsolvedTime: T0 + 50_999 })).toBe('2026-01-01T00:00:50Z');
    expect(countedFrom(accepted, { unsolvedTime: T0 + 5_000 })).toBe('2026-01-01T00:00:12Z');
  });
  test('from the intent, where the callback was faster than the answer of the submission', () => {
    expect(countedFrom(aTask().intended(T0 + 10_000))).toBe('2026-01-01T00:00:10Z');
  });
  test('from the creation of its task, where it answers an attempt that status does not tell of', () => {
    expect(countedFrom(accepted.attemptEnded().intended(T0 + 80_000))).toBe('2026-01-01T00:00:00Z');
    expect(countedFrom(aTask())).toBe('2026-01-01T00:00:00Z');
  });
  test('no longer than from its receipt, whatever the clocks say', () => {
    expect(
      countedFrom(
        aTask()
          .intended(RECEIVED)
          .submitted(RECEIVED + 5_000),
      ),
    ).toBe('2026-01-01T00:01:30Z');
    expect(countedFrom(accepted, { unsolvedTime: RECEIVED + 5_000 })).toBe('2026-01-01T00:01:30Z');
  });
  test('for a time that nobody knows, where its type has no known lifetime', () => {
    const challenge = { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL: 'https://a.example' } } as const;
    const solution = solutionOf(delivered(aTask().spec({ captcha: challenge }).intended().submitted()));
    expect(Object.keys(solution ?? {})).not.toContain('freshUntilTime');
    expect(Object.keys(solution ?? {})).not.toContain('expiresTime');
  });
});

describe('a result in a Secret', () => {
  const withSecret = aTask()
    .spec({ solutionSecretName: SECRET_NAME })
    .intended(T0 + 10_000)
    .submitted(T0 + 12_000);
  const bounds = { freshUntilTime: '2026-01-01T00:02:50Z', expiresTime: '2026-01-01T00:03:30Z' };
  const notes = (api: ModelApi): Record<string, string> =>
    (api.read('secrets', SECRET_NAME)!.metadata as { annotations: Record<string, string> }).annotations;

  test('carries both times as annotations, and status repeats them', () => {
    const api = delivered(withSecret, { unsolvedTime: T0 + 50_000 });
    expect(notes(api)).toMatchObject({
      'captcha-operator.io/fresh-until': bounds.freshUntilTime,
      'captcha-operator.io/expires': bounds.expiresTime,
    });
    expect(solutionOf(api)).toMatchObject(bounds);
  });
  test('keeps its times when a crash left it behind and another result brings it to status', () => {
    const api = createModelApi(() => RECEIVED);
    api.seed('captchatasks', withSecret.build());
    const first = received({ unsolvedTime: T0 + 50_000 });
    expect(runModel(api, deliverResult(first, { now: RECEIVED, onFailure: 'letter' }), 3)).toBe('died');
    const later = received({ value: 'solution-b', source: 'Poll', receivedTime: RECEIVED + 5_000 });
    runModel(api, deliverResult(later, { now: RECEIVED + 5_000, onFailure: 'letter' }));
    expect(solutionOf(api)).toMatchObject(bounds);
  });
  test('keeps its times when it is found before the deadline', () => {
    const api = createModelApi(() => RECEIVED);
    api.seed('captchatasks', withSecret.build());
    const first = received({ unsolvedTime: T0 + 50_000 });
    expect(runModel(api, deliverResult(first, { now: RECEIVED, onFailure: 'letter' }), 3)).toBe('died');
    const found = runModel(api, findInSecret(withSecret.build()));
    if (typeof found === 'string' || found.kind !== 'found') throw new Error('the Secret is there');
    runModel(api, deliverResult(found.result, { now: RECEIVED + 400_000, onFailure: 'letter' }));
    expect(solutionOf(api)).toMatchObject(bounds);
  });
  test('of an earlier version has no such annotation: then status says what the task tells', () => {
    const api = createModelApi(() => RECEIVED);
    api.seed('captchatasks', withSecret.build());
    runModel(api, deliverResult(received(), { now: RECEIVED, onFailure: 'letter' }), 3);
    const secret = api.read('secrets', SECRET_NAME)!;
    const annotations = { 'captcha-operator.io/received-time': formatTime(RECEIVED) };
    api.seed('secrets', { ...secret, metadata: { ...secret.metadata, annotations } });
    runModel(api, deliverResult(received(), { now: RECEIVED, onFailure: 'letter' }));
    expect(solutionOf(api)).toMatchObject({ ...bounds, freshUntilTime: '2026-01-01T00:02:12Z' });
  });
});

test('a result that a dead letter brings has both times, counted from when it was received', () => {
  const api = createModelApi(() => RECEIVED);
  const task = accepted.spec({ solutionSecretName: SECRET_NAME }).build();
  api.seed('captchatasks', task);
  api.seed('secrets', { metadata: { name: SECRET_NAME }, data: {} });
  runModel(api, deliverResult(received(), { now: RECEIVED, onFailure: 'letter' }));
  const letter = api.all<DeadLetter>('deadletters')[0]!;
  api.remove('secrets', SECRET_NAME);
  const now = RECEIVED + 600_000;
  runModel(api, deliverResult(resultIn(letter), { now, onFailure: 'report' }));
  expect(solutionOf(api)).toMatchObject({
    source: 'DeadLetter',
    freshUntilTime: '2026-01-01T00:02:12Z',
    expiresTime: '2026-01-01T00:03:30Z',
  });
});
