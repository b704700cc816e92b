/** What the gateway does at the API, against the model of it; abandoned and repeated at every step. */
import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import { CAPTCHA_TASK } from '../../../../src/api/names.ts';
import { findTask, placeTask, withdrawTask, type NewTask } from '../../../../src/core/gateway/calls.ts';
import { aTask } from '../../../support/builders.ts';
import { createModelApi, outage, refusal, runModel, type Fault } from '../../../support/model-api.ts';

const NEW: NewTask = {
  namespace: 'team-a',
  name: 'gw-1',
  submission: { ok: true, captcha: { type: 'Turnstile', turnstile: { siteKey: 'K', pageURL: 'https://a' } } },
  ttlSeconds: 600,
};
const on =
  (verb: string, reply: ReturnType<Fault>): Fault =>
  (request) =>
    request.verb === verb ? reply : undefined;

describe('placing a task', () => {
  test.each([
    ['no connection', outage(false), { kind: 'away', mayExist: false, reason: 'Unavailable' }],
    ['a lost reply', outage(true), { kind: 'away', mayExist: true, reason: 'Unavailable' }],
    ['a taken name', refusal(409, 'AlreadyExists'), { kind: 'taken' }],
    ['no right', refusal(403, 'Forbidden'), { kind: 'barred', reason: 'Forbidden' }],
    ['no namespace', refusal(404, 'NotFound'), { kind: 'barred', reason: 'NotFound' }],
    [
      'a refusal',
      refusal(422, 'Invalid', 'spec.captcha.turnstile.siteKey: Invalid value'),
      { kind: 'refused', refusal: { word: 'ERROR_SITEKEY' } },
    ],
  ])('with %s says so', (_what, reply, verdict) => {
    const api = createModelApi();
    api.faults.push(on('create', reply));
    expect(runModel(api, placeTask(NEW, false))).toMatchObject(verdict);
  });

  test('again after a lost reply finds the task that it made', () => {
    const api = createModelApi();
    runModel(api, placeTask(NEW, false), 0);
    expect(runModel(api, placeTask(NEW, false))).toMatchObject({ kind: 'created' });
    expect(runModel(api, placeTask(NEW, true))).toMatchObject({
      kind: 'created',
      task: { metadata: { name: 'gw-1' } },
    });
    expect(api.all(CAPTCHA_TASK.plural)).toHaveLength(1);
  });
});

describe('looking a task up', () => {
  test('does not find one that is not of the gateway', () => {
    const api = createModelApi();
    api.seed(CAPTCHA_TASK.plural, aTask().named('gw-1', 'team-a').build());
    expect(runModel(api, findTask('team-a', 'gw-1'))).toEqual({ kind: 'gone' });
  });

  test('takes nothing but a 404 for a proof that there is none', () => {
    for (const reply of [outage(), refusal(403, 'Forbidden'), { ...refusal(404, 'NotFound'), transient: true }]) {
      const api = createModelApi();
      api.faults.push(on('get', reply));
      expect(runModel(api, findTask('team-a', 'gw-1'))).toEqual({ kind: 'away' });
    }
  });
});

describe('withdrawing a task', () => {
  test('deletes exactly that one, and is done when it is repeated', () => {
    const api = createModelApi();
    runModel(api, placeTask(NEW, false));
    runModel(api, withdrawTask('team-a', 'gw-1'), 1);
    expect(runModel(api, withdrawTask('team-a', 'gw-1'))).toBe('withdrawn');
    expect(api.all<CaptchaTask>(CAPTCHA_TASK.plural)).toEqual([]);
    expect(runModel(api, withdrawTask('team-a', 'gw-1'))).toBe('gone');
  });

  test('is not done while the server gives no answer', () => {
    const api = createModelApi();
    runModel(api, placeTask(NEW, false));
    api.faults.push(on('delete', outage(true)));
    expect(runModel(api, withdrawTask('team-a', 'gw-1'))).toBe('away');
  });
});
