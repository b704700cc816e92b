import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { DeadLetter } from '../../../../src/api/deadletter.ts';
import type { Delivery, DeliveryOptions, ReceivedResult } from '../../../../src/core/delivery/types.ts';
import type { ModelApi } from '../../../support/model-api.ts';
import { deliverResult } from '../../../../src/core/delivery/deliver.ts';
import { findInSecret } from '../../../../src/core/delivery/solution-secret.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import { createModelApi, outage, refusal, runModel } from '../../../support/model-api.ts';

const SECRET_NAME = 'login-solution';
const NOW = T0 + 60_000;

function received(change: Partial<ReceivedResult> = {}): ReceivedResult {
  const { name, namespace, uid } = aTask().build().metadata;
  const task = { name, namespace, uid };
  return {
    task,
    attempt: 1,
    captchaID: CAPTCHA_ID,
    value: 'solution-a',
    source: 'Callback',
    receivedTime: NOW,
    ...change,
  };
}
function world(task: CaptchaTask = aTask().intended().submitted().build()): ModelApi {
  const api = createModelApi(() => NOW);
  api.seed('captchatasks', task);
  return api;
}
function deliver(api: ModelApi, result = received(), options: Partial<DeliveryOptions> = {}): Delivery {
  const verdict = runModel(api, deliverResult(result, { now: NOW, onFailure: 'letter', ...options }));
  if (verdict === 'died') throw new Error('the model never kills this one');
  return verdict;
}
function carryOut(api: ModelApi, request: Parameters<ModelApi['handle']>[0]): void {
  const { faults } = api;
  api.faults = [];
  api.handle(request);
  api.faults = faults;
}
/** The answer to the write of the solution is lost after it was made, and these many reads with it. */
function losesAnswers(api: ModelApi, reads: number): void {
  let lost = -1;
  api.faults.push((request) => {
    if (lost === reads || lost < 0 !== (request.verb !== 'get')) return undefined;
    lost += 1;
    if (request.verb !== 'get') carryOut(api, request);
    return outage(true);
  });
}
const task = (api: ModelApi): CaptchaTask => api.read<CaptchaTask>('captchatasks', 'login')!;
const letters = (api: ModelApi): DeadLetter[] => api.all<DeadLetter>('deadletters');
const withSecret = aTask().spec({ solutionSecretName: SECRET_NAME });

describe('applying a result', () => {
  test('solves the task with one write and one cached read', () => {
    const api = world();
    expect(deliver(api).kind).toBe('applied');
    expect(api.writes).toHaveLength(1);
    expect(task(api).status?.solution).toEqual({
      value: 'solution-a',
      source: 'Callback',
      attempt: 1,
      captchaID: CAPTCHA_ID,
      receivedTime: '2026-01-01T00:01:00Z',
      freshUntilTime: '2026-01-01T00:02:00Z',
      expiresTime: '2026-01-01T00:03:00Z',
    });
  });
  test.each([
    ['without status', aTask().build()],
    ['not accepted so far', aTask().intended().notAccepted('ProviderBusy').build()],
    ['being submitted', aTask().intended().build()],
    ['ended as unsolvable', aTask().intended().submitted().attemptEnded().build()],
    ['marked with a letter', aTask().intended().submitted().marked().markConfirmed().build()],
  ])('applies it to a task %s', (_what, start) => {
    const api = world(start);
    expect(deliver(api).kind).toBe('applied');
    expect(task(api).status).toMatchObject({ phase: 'Solved', attempts: 1, solution: { value: 'solution-a' } });
  });
  test('supplies the id of a submission whose answer has not come', () => {
    const api = world(aTask().intended().build());
    deliver(api);
    expect(task(api).status?.submission?.captchaID).toBe(CAPTCHA_ID);
  });
  test('does not depend on how old the cache is', () => {
    const api = world(aTask().build());
    api.seed('captchatasks', aTask().intended().build());
    api.seed('captchatasks', aTask().intended().submitted().build());
    api.lag = 2;
    expect(deliver(api).kind).toBe('applied');
    api.lag = 1;
    expect(deliver(world(aTask().intended().build())).kind).toBe('applied');
  });
  test('lets the result of an earlier attempt solve an unfinished task and leaves the submission as it is', () => {
    const start = aTask().intended().submitted().attemptEnded().intended().submitted(T0, { captchaID: '99' }).build();
    const api = world(start);
    expect(deliver(api, received({ attempt: 1, captchaID: CAPTCHA_ID })).kind).toBe('applied');
    expect(task(api).status?.solution).toMatchObject({ attempt: 1, captchaID: CAPTCHA_ID });
    expect(task(api).status?.submission).toEqual(start.status?.submission);
  });
});

describe('what is there already wins', () => {
  test('calls the same result a duplicate and writes nothing', () => {
    const api = world();
    deliver(api);
    expect(deliver(api).kind).toBe('duplicate');
    expect(api.writes).toHaveLength(1);
  });
  test('calls another result of the same attempt a conflict', () => {
    const api = world();
    deliver(api);
    expect(deliver(api, received({ value: 'solution-b' })).kind).toBe('conflict');
    expect(task(api).status?.solution?.value).toBe('solution-a');
  });
  test('believes a stale finished copy of the same uid', () => {
    const api = world(aTask().intended().submitted().failed().build());
    api.seed('captchatasks', aTask().intended().submitted().failed().build());
    api.lag = 1;
    const reads: string[] = [];
    api.faults.push((request) => void reads.push(request.verb === 'get' ? request.read : request.verb));
    expect(deliver(api)).toMatchObject({ kind: 'late', why: 'finished' });
    expect(reads).toEqual(['cached']);
  });
  test('proves by a quorum read that a task is gone or recreated', () => {
    const gone = createModelApi();
    expect(deliver(gone)).toMatchObject({ kind: 'late', why: 'gone' });
    const recreated = world(aTask().uid('another').build());
    expect(deliver(recreated)).toMatchObject({ kind: 'late', why: 'recreated' });
    const lagging = world(aTask().uid('older').build());
    lagging.seed('captchatasks', aTask().intended().submitted().build());
    lagging.lag = 1;
    expect(deliver(lagging).kind).toBe('applied');
  });
  test('does not take a 404 that does not name the object for a deleted task', () => {
    const api = world();
    api.faults.push(() => ({
      ...refusal(404, 'NotFound', 'the server could not find the requested resource'),
      transient: true,
    }));
    expect(deliver(api).kind).toBe('retry');
  });
  test('asks the provider when the id is not the current attempt’s, and changes nothing else', () => {
    const api = world();
    expect(deliver(api, received({ captchaID: '42' })).kind).toBe('conflict');
    expect(task(api).status?.phase).toBe('Submitted');
    expect(task(api).status?.submission?.pollAfterTime).toBe('2026-01-01T00:01:00Z');
    deliver(api, received({ captchaID: '42' }));
    expect(api.writes).toHaveLength(1);
  });
});

describe('trouble that passes', () => {
  test.each([
    ['no connection', outage(true)],
    ['too many requests', { ...refusal(429, 'TooManyRequests'), transient: true }],
    ['expired credentials', refusal(401, 'Unauthorized')],
    ['a status nobody knows', refusal(418, 'Teapot')],
  ])('leaves the result with the caller: %s', (_what, reply) => {
    const api = world();
    api.faults.push((request) => (request.verb === 'patchStatus' ? reply : undefined));
    expect(deliver(api)).toMatchObject({ kind: 'retry', error: { class: 'Unavailable' } });
    expect(letters(api)).toEqual([]);
  });
  test.each(['patch', 'put'] as const)('knows its own write by a read when the answer to it was lost (%s)', (write) => {
    const api = world();
    losesAnswers(api, 0);
    const verdict = deliver(api, received(), { write, known: task(api) });
    expect(verdict).toMatchObject({ kind: 'applied', before: { status: { phase: 'Submitted' } } });
    expect(verdict).toMatchObject({ task: { status: { phase: 'Solved' } } });
    expect(api.writes).toHaveLength(1);
  });
  test('finds its own write at the next try when it could not be read at once', () => {
    const api = world();
    losesAnswers(api, 1);
    expect(deliver(api, received(), { known: task(api) }).kind).toBe('retry');
    expect(deliver(api).kind).toBe('duplicate');
  });
  test('takes for its own only what it wrote itself', () => {
    const api = world();
    api.faults.push((request) => {
      if (request.verb === 'get') return undefined;
      api.faults = [];
      deliver(api, received({ receivedTime: NOW - 5_000 }));
      return outage(true);
    });
    expect(deliver(api).kind).toBe('retry');
    expect(deliver(api).kind).toBe('duplicate');
  });
  test('gives up for now when others keep changing the task', () => {
    const api = world();
    api.faults.push((request) => (request.verb === 'patchStatus' ? refusal(409, 'Conflict') : undefined));
    expect(deliver(api).kind).toBe('retry');
  });
});

describe('a solution Secret', () => {
  test('is written before status, owned by the task, without blocking its deletion', () => {
    const api = world(withSecret.intended().submitted().build());
    expect(deliver(api, received({ value: 'p+ö', userAgent: 'UA' })).kind).toBe('applied');
    expect(api.writes.map((write) => write.verb)).toEqual(['create', 'patchStatus']);
    const secret = api.read('secrets', SECRET_NAME)!;
    expect(secret).toMatchObject({
      type: 'captcha-operator.io/solution',
      data: { value: 'cCvDtg==', 'user-agent': 'VUE=' },
    });
    const { uid, name } = task(api).metadata;
    expect(secret.metadata.ownerReferences).toEqual([
      { apiVersion: 'captcha-operator.io/v1alpha1', kind: 'CaptchaTask', name, uid, controller: true },
    ]);
    expect(task(api).status?.solution).toMatchObject({ secretRef: { name: SECRET_NAME }, source: 'Callback' });
    expect(JSON.stringify(task(api))).not.toContain('p+ö');
  });
  test('is not created for a task that is finished, gone or recreated by now, whatever the cache says', () => {
    const api = world(withSecret.intended().submitted().build());
    api.seed('captchatasks', withSecret.uid('another').build());
    api.lag = 1;
    expect(deliver(api)).toMatchObject({ kind: 'late', why: 'recreated' });
    expect(deliver(api, received(), { known: withSecret.intended().submitted().build() }).kind).toBe('late');
    expect(api.read('secrets', SECRET_NAME)).toBeUndefined();
  });
  test('that a crash left behind is the result, whatever comes later', () => {
    const api = world(withSecret.intended().submitted().build());
    expect(runModel(api, deliverResult(received(), { now: NOW, onFailure: 'letter' }), 3)).toBe('died');
    expect(api.read('secrets', SECRET_NAME)).toBeDefined();
    const later = received({ value: 'solution-b', source: 'Poll', receivedTime: NOW + 5_000 });
    const brought = deliver(api, later);
    expect(brought).toMatchObject({ kind: 'conflict', before: { status: { phase: 'Submitted' } } });
    expect(task(api).status?.solution).toMatchObject({ source: 'Callback', receivedTime: '2026-01-01T00:01:00Z' });
    expect(deliver(api).kind).toBe('duplicate');
    // Nothing was written this time, so there is nothing to count.
    expect(deliver(api, later)).toEqual({ kind: 'conflict', task: task(api) });
  });
  test('that belongs to someone else is never touched', () => {
    const api = world(withSecret.intended().submitted().build());
    const foreign = { metadata: { name: SECRET_NAME }, data: { value: 'Zm9yZWlnbg==' } };
    api.seed('secrets', foreign);
    expect(deliver(api)).toMatchObject({ kind: 'deadLettered', stage: 'WriteSecret', error: { class: 'Conflict' } });
    expect(api.read('secrets', SECRET_NAME)?.data).toEqual(foreign.data);
  });
  test('may be deleted between two looks', () => {
    const api = world(withSecret.intended().submitted().build());
    api.seed('secrets', { metadata: { name: SECRET_NAME }, data: {} });
    api.faults.push((request) => {
      if (request.verb === 'get' && request.resource.plural === 'secrets') api.remove('secrets', SECRET_NAME);
      return undefined;
    });
    expect(deliver(api).kind).toBe('applied');
  });
  test('that vanishes whenever it is looked at is left for later, with a word on what to look for', () => {
    const api = world(withSecret.intended().submitted().build());
    api.faults.push((request) => {
      if (request.resource.plural !== 'secrets') return undefined;
      return request.verb === 'create' ? refusal(409, 'AlreadyExists') : refusal(404, 'NotFound');
    });
    const said = deliver(api);
    expect(said).toMatchObject({ kind: 'retry', error: { class: 'Unavailable' } });
    expect(JSON.stringify(said)).toContain('See what deletes it.');
  });
  test('holds every character of the result, a byte order mark included', () => {
    const api = world(withSecret.intended().submitted().build());
    const marked = received({ value: '\ufeffsolution-a' });
    expect(deliver(api, marked).kind).toBe('applied');
    expect(deliver(api, marked).kind).toBe('duplicate');
  });
});

describe('what a task’s own Secret holds', () => {
  const start = withSecret.intended().submitted().build();
  const left = (): ModelApi => {
    const api = world(start);
    runModel(api, deliverResult(received({ userAgent: 'UA' }), { now: NOW, onFailure: 'letter' }), 3);
    return api;
  };
  test('is read back as it was received', () => {
    expect(runModel(left(), findInSecret(start))).toEqual({ kind: 'found', result: received({ userAgent: 'UA' }) });
  });
  test('is nothing where there is none, or where it is somebody else’s', () => {
    expect(runModel(world(start), findInSecret(start))).toEqual({ kind: 'none' });
    expect(runModel(left(), findInSecret(withSecret.uid('another').build()))).toEqual({ kind: 'none' });
  });
  test('is not taken for absent while the API cannot be asked', () => {
    const api = left();
    api.faults.push(() => outage());
    expect(runModel(api, findInSecret(start))).toMatchObject({ kind: 'unavailable' });
  });
  test('keeps its source, unless a letter brings it', () => {
    for (const [source, expected] of [
      ['Poll', 'Callback'],
      ['DeadLetter', 'DeadLetter'],
    ] as const) {
      const api = left();
      expect(deliver(api, received({ source })).kind).toBe('applied');
      expect(task(api).status?.solution?.source).toBe(expected);
    }
  });
});
