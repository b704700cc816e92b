import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { DeadLetter, DeadLetterStatus } from '../../../../src/api/deadletter.ts';
import type { Delivery, ReceivedResult } from '../../../../src/core/delivery/types.ts';
import type { ApiRequest } from '../../../../src/core/protocol.ts';
import type { ModelApi } from '../../../support/model-api.ts';
import { MAX_LETTER_CODE_LENGTH } from '../../../../src/api/names.ts';
import { deliverResult } from '../../../../src/core/delivery/deliver.ts';
import { markKey } from '../../../../src/core/task/memory.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import { createModelApi, outage, refusal, runModel } from '../../../support/model-api.ts';

const SECRET_NAME = 'login-solution';
const NOW = T0 + 60_000;
const blocked = aTask().spec({ solutionSecretName: SECRET_NAME });
const ref = { name: 'login', namespace: 'default', uid: blocked.build().metadata.uid };

function received(change: Partial<ReceivedResult> = {}): ReceivedResult {
  return {
    task: ref,
    attempt: 1,
    captchaID: CAPTCHA_ID,
    value: 'solution-a',
    source: 'Callback',
    receivedTime: NOW,
    ...change,
  };
}
/** A task whose solution Secret belongs to someone else. */
function world(task: CaptchaTask = blocked.intended().submitted().build()): ModelApi {
  const api = createModelApi(() => NOW);
  api.seed('captchatasks', task);
  api.seed('secrets', { metadata: { name: SECRET_NAME }, data: {} });
  return api;
}
function deliver(api: ModelApi, result = received(), dieAfter = Number.POSITIVE_INFINITY): Delivery | 'died' {
  return runModel(api, deliverResult(result, { now: NOW, onFailure: 'letter' }), dieAfter);
}
const task = (api: ModelApi): CaptchaTask => api.read<CaptchaTask>('captchatasks', 'login')!;
const letters = (api: ModelApi): DeadLetter[] => api.all<DeadLetter>('deadletters');
const written = (api: ModelApi): string[] => api.writes.map((write) => `${write.verb} ${write.resource.plural}`);
const creates = (request: ApiRequest): boolean =>
  request.verb === 'create' && request.resource.plural === 'deadletters';
function setLetter(api: ModelApi, status: DeadLetterStatus): void {
  api.seed('deadletters', { ...letters(api)[0]!, status });
}

const solves = (request: ApiRequest): boolean =>
  (request.verb === 'patchStatus' && request.patch.some((op) => op.path === '/status/solution')) ||
  (request.verb === 'replaceStatus' && 'solution' in ((request.object as CaptchaTask).status ?? {}));
const plain = (): ModelApi => world(aTask().intended().submitted().build());

describe('a result that cannot be applied', () => {
  test('marks the task, creates the letter and confirms the mark, in this order', () => {
    const api = world();
    expect(deliver(api)).toMatchObject({ kind: 'deadLettered', stage: 'WriteSecret' });
    expect(written(api)).toEqual(['patchStatus captchatasks', 'create deadletters', 'patchStatus captchatasks']);
    const [letter] = letters(api);
    expect(task(api).status?.deadLetter).toEqual({
      name: letter?.metadata.name,
      time: '2026-01-01T00:01:00Z',
      confirmed: true,
    });
    expect(task(api).status?.conditions?.[0]).toMatchObject({
      type: 'Solved',
      status: 'Unknown',
      reason: 'DeadLettered',
    });
    expect(letter?.spec).toEqual({
      taskRef: { name: 'login', uid: ref.uid },
      attempt: 1,
      captchaID: CAPTCHA_ID,
      stage: 'WriteSecret',
      source: 'Callback',
      payload: { code: 'solution-a' },
      error: { class: 'Conflict', message: 'The solution Secret exists already and is not owned by this task.' },
      receivedTime: '2026-01-01T00:01:00Z',
      contentExpiresTime: '2026-01-01T00:03:00Z',
    });
    expect(letter?.metadata).not.toHaveProperty('ownerReferences');
  });
  test('is one letter, however often it is delivered and wherever the process is killed', () => {
    for (let step = 0; step < 12; step += 1) {
      const api = world();
      deliver(api, received(), step);
      expect(deliver(api)).toMatchObject({ kind: 'deadLettered' });
      expect(letters(api)).toHaveLength(1);
      expect(task(api).status?.deadLetter?.confirmed).toBe(true);
    }
  });
  test('is one letter when two producers write it at the same time', () => {
    const api = world();
    api.faults.push((request) => {
      if (!creates(request)) return undefined;
      api.faults = [];
      expect(deliver(api)).toMatchObject({ kind: 'deadLettered' });
      return undefined;
    });
    expect(deliver(api)).toMatchObject({ kind: 'deadLettered' });
    expect(letters(api)).toHaveLength(1);
  });
  test('costs no write when it comes again and is held already', () => {
    const api = world();
    deliver(api);
    expect(deliver(api)).toMatchObject({ kind: 'deadLettered' });
    expect(api.writes).toHaveLength(3);
  });
  test('adopts the id of a submission whose answer has not come, with the mark', () => {
    for (const start of [blocked.intended().build(), blocked.intended().notAccepted('ProviderBusy').build()]) {
      const api = world(start);
      deliver(api);
      const submission = { captchaID: CAPTCHA_ID, attempt: 1, submittedTime: '2026-01-01T00:00:00Z' };
      expect(task(api).status).toMatchObject({ phase: 'Submitted', submission });
    }
  });
  test('names a polled result’s stage after the poll', () => {
    const api = world(aTask().intended().submitted().build());
    api.faults.push((request) => {
      const solves = request.verb === 'patchStatus' && request.patch.some((op) => op.path === '/status/solution');
      return solves ? refusal(403, 'Forbidden', 'User "x" cannot patch resource "captchatasks/status"') : undefined;
    });
    expect(deliver(api, received({ source: 'Poll' }))).toMatchObject({ kind: 'deadLettered', stage: 'ApplyPoll' });
    expect(letters(api)[0]?.spec).toMatchObject({ source: 'Poll', error: { class: 'Forbidden' } });
  });
});

describe('the caller keeps the result', () => {
  test('while the letter cannot be written, with the cause said', () => {
    const api = world();
    api.faults.push((request) =>
      creates(request) ? refusal(403, 'Forbidden', 'exceeded quota: letters, used: 9') : undefined,
    );
    expect(deliver(api)).toMatchObject({ kind: 'retry', error: { class: 'Quota' } });
    expect(task(api).status?.deadLetter?.confirmed).toBeUndefined();
  });
  test.each([0, 1, 2])('while the API is away at write %i of the three', (failing) => {
    const api = world();
    let writes = 0;
    api.faults.push((request) => {
      const counts = request.verb === 'patchStatus' || creates(request);
      return counts && writes++ === failing ? outage() : undefined;
    });
    expect(deliver(api)).toMatchObject({ kind: 'retry' });
    api.faults = [];
    expect(deliver(api)).toMatchObject({ kind: 'deadLettered' });
    expect(letters(api)).toHaveLength(1);
  });
  test('where the task cannot be marked, though the letter is there to be seen', () => {
    const api = world();
    api.faults.push((request) => (request.verb === 'patchStatus' ? refusal(403, 'Forbidden') : undefined));
    expect(deliver(api)).toMatchObject({ kind: 'retry', error: { class: 'Forbidden' } });
    expect(letters(api)).toHaveLength(1);
  });
  test('where the letter of this name has ended or holds something else', () => {
    for (const phase of ['Resolved', 'Superseded'] as const) {
      const api = world();
      deliver(api);
      setLetter(api, { phase });
      expect(deliver(api)).toMatchObject({ kind: 'retry' });
    }
    const api = world();
    deliver(api);
    const [letter] = letters(api);
    api.seed('deadletters', { ...letter!, spec: { ...letter!.spec, payload: { code: 'other' } } });
    expect(deliver(api)).toMatchObject({ kind: 'retry', error: { class: 'Conflict' } });
  });
  test('where the letter vanishes whenever it is looked at, with a word on what to look for', () => {
    const api = world();
    api.faults.push((request) => {
      if (request.resource.plural !== 'deadletters') return undefined;
      return request.verb === 'create' ? refusal(409, 'AlreadyExists') : refusal(404, 'NotFound');
    });
    const said = deliver(api);
    expect(said).toMatchObject({ kind: 'retry', error: { class: 'Unavailable' } });
    expect(JSON.stringify(said)).toContain('See what deletes dead letters in this namespace.');
  });
  test('where it is larger than a letter may hold, without marking the task', () => {
    const api = world(aTask().intended().submitted().build());
    expect(deliver(api, received({ value: 'x'.repeat(MAX_LETTER_CODE_LENGTH + 1) }))).toMatchObject({
      kind: 'retry',
      error: { class: 'TooLarge' },
    });
    expect(api.writes).toEqual([]);
  });
});

describe('the mark', () => {
  test('an abandoned letter of the same result holds the task again', () => {
    const api = world();
    deliver(api);
    setLetter(api, { phase: 'Abandoned' });
    expect(deliver(api)).toMatchObject({ kind: 'deadLettered' });
  });
  test('goes to the newest letter', () => {
    const api = world();
    deliver(api);
    expect(deliver(api, received({ value: 'solution-b' }))).toMatchObject({ kind: 'deadLettered' });
    const newest = letters(api).find((letter) => letter.spec.payload.code === 'solution-b');
    expect(task(api).status?.deadLetter).toMatchObject({ name: newest?.metadata.name, confirmed: true });
  });
  test('is taken from a producer that died before it wrote its letter', () => {
    const api = world(blocked.intended().submitted().marked('never-written').build());
    expect(deliver(api)).toMatchObject({ kind: 'deadLettered' });
    expect(task(api).status?.deadLetter).toMatchObject({ name: letters(api)[0]?.metadata.name, confirmed: true });
  });
  test.each([0, 1_000, -60_000])(
    'is another one for a letter that replaces a deleted one %i ms later, so that whoever fails the task for it must look again',
    (ms) => {
      const api = world();
      deliver(api);
      const before = task(api);
      api.remove('deadletters', letters(api)[0]!.metadata.name);
      const again = runModel(api, deliverResult(received(), { now: NOW + ms, onFailure: 'letter' }));
      expect(again).toMatchObject({ kind: 'deadLettered' });
      expect(task(api).metadata.resourceVersion).not.toBe(before.metadata.resourceVersion);
      expect(markKey(task(api).status!.deadLetter!)).not.toBe(markKey(before.status!.deadLetter!));
    },
  );
  test('is another one each time, so that an absence that was seen long ago never counts again', () => {
    const api = world();
    const seen = new Set<string>();
    for (const ms of [0, -1_000, 0, -1_000]) {
      runModel(api, deliverResult(received(), { now: NOW + ms, onFailure: 'letter' }));
      seen.add(markKey(task(api).status!.deadLetter!));
      api.remove('deadletters', letters(api)[0]!.metadata.name);
    }
    expect(seen.size).toBe(4);
  });
  test('is not written on a task that finished meanwhile', () => {
    const api = world();
    const solved = blocked.intended().submitted().solved(NOW, { value: 'other' }).build();
    api.faults.push((request) => {
      if (request.verb === 'patchStatus') {
        api.faults = [];
        api.seed('captchatasks', solved);
      }
      return undefined;
    });
    expect(deliver(api)).toMatchObject({ kind: 'conflict' });
    expect(letters(api)).toEqual([]);
    expect(task(api).status?.deadLetter).toBeUndefined();
  });
});

describe('proving that the API refuses a result', () => {
  test('needs a 422 to a PUT of an unchanged task, not only to a patch', () => {
    const api = plain();
    const verbs: string[] = [];
    const message = 'CaptchaTask "login" is invalid: status.solution.value: Invalid value: "solution-a": too odd';
    api.faults.push((request) => {
      if (!solves(request)) return undefined;
      verbs.push(request.verb);
      return refusal(422, 'Invalid', message);
    });
    const verdict = deliver(api);
    expect(verbs).toEqual(['patchStatus', 'replaceStatus']);
    expect(verdict).toMatchObject({ kind: 'deadLettered', stage: 'ApplyCallback', error: { class: 'Invalid' } });
    expect(letters(api)[0]?.spec.error.message).toBe(
      "The API server refuses writing the task's status as invalid: status.solution.value.",
    );
  });
  test('a patch that missed because the task moved on is written to what it became', () => {
    const api = plain();
    api.faults.push((request) => {
      if (!solves(request)) return undefined;
      api.faults = [];
      const task = aTask().intended().submitted().attemptEnded().intended().build();
      api.seed('captchatasks', task);
      return undefined;
    });
    expect(deliver(api)).toMatchObject({ kind: 'applied' });
    expect(task(api).status?.solution?.attempt).toBe(1);
  });
  test('a result too large for status is not even tried', () => {
    const api = plain();
    const verdict = deliver(api, received({ value: 'ö'.repeat(6_145) }));
    expect(verdict).toMatchObject({ kind: 'deadLettered', error: { class: 'TooLarge' } });
  });
  test('no error text ever quotes the result', () => {
    const api = plain();
    for (const status of [400, 403, 413, 422]) {
      api.faults = [
        (request) =>
          solves(request) ? refusal(status, 'x', 'solution-a is invalid: solution-a: quota solution-a') : undefined,
      ];
      expect(JSON.stringify({ ...(deliver(api) as object), task: undefined })).not.toContain('solution-a');
    }
  });
});
