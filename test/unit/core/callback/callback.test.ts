/** What an authentic callback does to its task, against the model of the API. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Captcha, CaptchaTask } from '../../../../src/api/captchatask.ts';
import { CAPTCHA_TASK, DEAD_LETTER } from '../../../../src/api/names.ts';
import { makePollDue, receiveCallback } from '../../../../src/core/callback/callback.ts';
import type { CallbackVerdict } from '../../../../src/core/callback/callback.ts';
import type { ApiRequest } from '../../../../src/core/protocol.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import type { TokenClaims } from '../../../../src/core/token.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import type { TaskBuilder } from '../../../support/builders.ts';
import { createModelApi, outage, refusal, runModel } from '../../../support/model-api.ts';
import type { ModelApi } from '../../../support/model-api.ts';

const NOW = T0 + 60_000;
const pageURL = 'https://example.com';
let api: ModelApi;
beforeEach(() => {
  api = createModelApi(() => NOW);
});

const submittedTask = (): TaskBuilder => aTask().intended(T0).submitted(T0);
const challenge = (): TaskBuilder =>
  aTask().spec({ captcha: { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL } } });
const image = (): TaskBuilder => aTask().spec({ captcha: { type: 'Image', image: { body: 'aGk=' } } });

function seed(builder: TaskBuilder): CaptchaTask {
  const task = builder.build();
  api.seed(CAPTCHA_TASK.plural, task);
  return task;
}
const claimsFor = ({ metadata }: CaptchaTask, attempt = 1): TokenClaims => ({
  kid: 'k1',
  namespace: metadata.namespace,
  name: metadata.name,
  uid: metadata.uid,
  attempt,
});
const stored = (): CaptchaTask => api.read<CaptchaTask>(CAPTCHA_TASK.plural, 'login')!;

interface Said {
  id?: string;
  code?: string;
  spacedCode?: string;
  attempt?: number;
  onFailure?: 'letter' | 'report';
}
function receive(task: CaptchaTask, { attempt = 1, onFailure = 'letter', ...said }: Said = {}): CallbackVerdict {
  const callback = { id: CAPTCHA_ID, code: 'the-token', ...said };
  const verdict = runModel(
    api,
    receiveCallback(claimsFor(task, attempt), callback, { now: NOW, receivedTime: NOW, onFailure }),
  );
  if (verdict === 'died') throw new Error('not asked to die');
  return verdict;
}

function makeDue(task: CaptchaTask): CallbackVerdict | 'died' {
  return runModel(api, makePollDue(claimsFor(task), NOW));
}

function forbidsSolutions(request: ApiRequest): ReturnType<typeof refusal> | undefined {
  const solves = request.verb === 'patchStatus' && JSON.stringify(request).includes('the-token');
  return solves ? refusal(403, 'Forbidden') : undefined;
}

describe('a result', () => {
  test.each([
    ['Submitted', submittedTask()],
    ['Submitting, before the submit call returned: it supplies the id', aTask().intended(T0)],
    ['Pending, after a refusal that was none', aTask().intended(T0).notAccepted('ProviderBusy', T0)],
  ])('solves a task that is %s', (_, builder) => {
    const task = seed(builder);
    expect(receive(task)).toMatchObject({ kind: 'accepted', effect: 'solved' });
    expect(stored().status).toMatchObject({ phase: 'Solved', solution: { value: 'the-token', captchaID: CAPTCHA_ID } });
  });

  test('of an earlier attempt solves an unfinished task', () => {
    const task = seed(
      submittedTask()
        .attemptEnded()
        .intended(T0 + 1_000),
    );
    expect(receive(task, { attempt: 1, code: 'early' })).toMatchObject({ kind: 'accepted' });
    expect(stored().status?.solution).toMatchObject({ value: 'early', attempt: 1 });
  });

  test('keeps its plus signs where tokens have them, and has spaces where texts have them', () => {
    const token = seed(submittedTask());
    receive(token, { code: 'a+b', spacedCode: 'a b' });
    expect(stored().status?.solution?.value).toBe('a+b');
    const text = seed(image().uid('b7b2a1c0-0000-4000-8000-000000000003').intended(T0).submitted(T0));
    receive(text, { code: 'a+b', spacedCode: 'a b' });
    expect(stored().status?.solution?.value).toBe('a b');
  });

  test('under another id than this attempt has is a conflict: not applied, and the task is due for a poll', () => {
    const task = seed(submittedTask());
    const before = stored();
    const verdict = receive(task, { id: '1' });
    expect(verdict).toEqual({ kind: 'conflict', before, after: stored() });
    expect(stored().status?.solution).toBeUndefined();
    expect(stored().status?.submission).toMatchObject({ captchaID: CAPTCHA_ID, pollAfterTime: formatTime(NOW) });
  });

  test('that the API refuses for good becomes a dead letter', () => {
    const task = seed(submittedTask());
    api.faults.push(forbidsSolutions);
    expect(receive(task)).toMatchObject({ kind: 'deadLettered', stage: 'ApplyCallback' });
    expect(api.all(DEAD_LETTER.plural)).toHaveLength(1);
  });

  test('that the API refuses for good changes nothing while it is not in the spool: it is to be kept and tried again', () => {
    const task = seed(submittedTask());
    api.faults.push(forbidsSolutions);
    expect(receive(task, { onFailure: 'report' })).toMatchObject({ kind: 'retry', error: { class: 'Forbidden' } });
    expect(api.writes).toEqual([]);
  });
});

describe('late', () => {
  test('is proved by a quorum read: a stale copy of another object of that name does not count', () => {
    seed(aTask().uid('b7b2a1c0-0000-4000-8000-00000000000a'));
    api.remove(CAPTCHA_TASK.plural, 'login');
    const task = seed(submittedTask());
    api.lag = 2;
    expect(receive(task)).toMatchObject({ kind: 'accepted' });
  });

  test('is what a deleted and a recreated task make of a callback', () => {
    const task = submittedTask().build();
    expect(receive(task)).toEqual({ kind: 'late', why: 'gone' });
    seed(aTask().uid('b7b2a1c0-0000-4000-8000-00000000000a').intended(T0).submitted(T0));
    expect(receive(task)).toEqual({ kind: 'late', why: 'recreated' });
  });

  test('is not what an API that does not answer makes of it', () => {
    const task = submittedTask().build();
    api.faults.push(() => outage());
    expect(receive(task)).toMatchObject({ kind: 'retry' });
  });
});

describe('nothing said', () => {
  test.each(['', 'CAPCHA_NOT_READY', 'CAPTCHA_NOT_READY'])('%j is ignored without a request', (code) => {
    api.faults.push(() => {
      throw new Error('no request expected');
    });
    expect(receive(submittedTask().build(), { code })).toEqual({ kind: 'ignored', why: 'notReady' });
  });
});

describe('an error word', () => {
  test.each(['ERROR_CAPTCHA_UNSOLVABLE', 'ERROR_BAD_DUPLICATES', 'ERROR_BAD_PROXY', 'ERROR_TOKEN_EXPIRED'])(
    '%s ends the current attempt, once',
    (code) => {
      const task = seed(submittedTask());
      expect(receive(task, { code })).toMatchObject({ kind: 'accepted', effect: 'ended' });
      expect(stored().status?.submission).toMatchObject({ code, endTime: formatTime(NOW) });
      expect(receive(task, { code })).toEqual({ kind: 'duplicate' });
      expect(api.writes).toHaveLength(1);
    },
  );

  test('that arrives before the submit call returned supplies the id as well', () => {
    const task = seed(aTask().intended(T0));
    receive(task, { code: 'ERROR_CAPTCHA_UNSOLVABLE' });
    expect(stored().status?.submission).toMatchObject({ captchaID: CAPTCHA_ID, code: 'ERROR_CAPTCHA_UNSOLVABLE' });
  });

  test.each(['ERROR_SERVER_ERROR', 'ERROR_ZERO_BALANCE', 'IP_BANNED', 'ERROR_SOMETHING_NEW'])(
    '%s ends nothing: only asking again can tell',
    (code) => {
      const task = seed(submittedTask());
      expect(receive(task, { code })).toMatchObject({ kind: 'accepted', effect: 'due' });
      expect(stored().status?.submission).toMatchObject({ pollAfterTime: formatTime(NOW) });
      expect(stored().status?.submission?.endTime).toBeUndefined();
    },
  );

  test('of an earlier attempt is late', () => {
    const task = seed(
      submittedTask()
        .attemptEnded()
        .intended(T0 + 1_000),
    );
    expect(receive(task, { attempt: 1, code: 'ERROR_BAD_PROXY' })).toEqual({ kind: 'late', why: 'earlierAttempt' });
    expect(api.writes).toEqual([]);
  });

  test('under another id is a conflict and ends nothing', () => {
    const task = seed(submittedTask());
    expect(receive(task, { id: '1', code: 'ERROR_CAPTCHA_UNSOLVABLE' })).toEqual({ kind: 'conflict' });
    expect(stored().status?.submission?.endTime).toBeUndefined();
  });

  test('cannot end an attempt whose result a dead letter holds', () => {
    const task = seed(submittedTask().marked());
    expect(receive(task, { code: 'ERROR_CAPTCHA_UNSOLVABLE' })).toEqual({ kind: 'conflict' });
    expect(api.writes).toEqual([]);
  });

  test('of a submission that was never answered leaves its id, when a dead letter holds or is about to hold the task', () => {
    for (const held of [aTask().intended(T0).marked(), aTask().intended(T0).marked().markConfirmed()]) {
      const task = seed(held);
      expect(receive(task, { code: 'ERROR_CAPTCHA_UNSOLVABLE' })).toMatchObject({ kind: 'accepted', effect: 'due' });
      expect(stored().status?.submission).toMatchObject({ captchaID: CAPTCHA_ID });
      expect(stored().status?.submission?.endTime).toBeUndefined();
      expect(stored().status?.deadLetter).toMatchObject({ name: 'login-letter' });
    }
  });

  test('for a finished task is late', () => {
    const task = seed(submittedTask().solved(T0));
    expect(receive(task, { code: 'ERROR_CAPTCHA_UNSOLVABLE' })).toEqual({ kind: 'late', why: 'finished' });
  });
});

describe('a hint: a callback whose code cannot carry the whole result', () => {
  test('makes the task due at once, and a repeat asks for nothing new', () => {
    const task = seed(challenge().intended(T0).submitted(T0));
    expect(receive(task)).toMatchObject({ kind: 'accepted', effect: 'due' });
    expect(stored().status).toMatchObject({ phase: 'Submitted', submission: { pollAfterTime: formatTime(NOW) } });
    expect(receive(task)).toEqual({ kind: 'duplicate' });
    expect(stored().status?.solution).toBeUndefined();
  });

  test.each([
    ['RecaptchaV2', { type: 'RecaptchaV2', recaptchaV2: { siteKey: 'K', pageURL, enterprise: true } }],
    ['RecaptchaV3', { type: 'RecaptchaV3', recaptchaV3: { siteKey: 'K', pageURL, enterprise: true } }],
  ] as const)('is what the token of %s Enterprise is: it is bound to a user agent', (_, captcha) => {
    const task = seed(aTask().spec({ captcha }).intended(T0).submitted(T0));
    expect(receive(task)).toMatchObject({ kind: 'accepted', effect: 'due' });
    expect(stored().status).toMatchObject({ phase: 'Submitted', submission: { pollAfterTime: formatTime(NOW) } });
    expect(stored().status?.solution).toBeUndefined();
  });

  test.each([
    ['a text where cells are due', { type: 'Grid', grid: { body: 'aGk=' } }, 'ABC123'],
    ['cells that the picture has not', { type: 'BLS', bls: { instructions: '1', images: [] } }, '[10]'],
  ] as const)('is what %s are: no result, but a reason to ask', (_, captcha, code) => {
    const task = seed(
      aTask()
        .spec({ captcha: captcha as Captcha })
        .intended(T0)
        .submitted(T0),
    );
    expect(receive(task, { code })).toMatchObject({ kind: 'accepted', effect: 'due' });
    expect(stored().status).toMatchObject({ phase: 'Submitted', submission: { pollAfterTime: formatTime(NOW) } });
    expect(stored().status?.solution).toBeUndefined();
  });

  test('adopts the id of a submission that was never answered', () => {
    const task = seed(challenge().intended(T0));
    expect(receive(task)).toMatchObject({ kind: 'accepted', effect: 'due' });
    expect(stored().status?.submission).toMatchObject({ captchaID: CAPTCHA_ID, pollAfterTime: formatTime(NOW) });
  });

  test('dates a submission that it adopts by its intent: the captcha was solved before the hint came', () => {
    const task = seed(challenge().intended(T0 + 7_000));
    receive(task);
    expect(stored().status?.submission).toMatchObject({ submittedTime: formatTime(T0 + 7_000) });
  });

  test('judged by an overtaken copy is judged again by a fresh one', () => {
    seed(challenge().intended(T0));
    const task = seed(challenge().intended(T0).submitted(T0, { captchaID: '42' }));
    api.lag = 1;
    expect(receive(task, { id: '7' })).toEqual({ kind: 'conflict' });
    expect(stored().status?.submission?.captchaID).toBe('42');
  });

  test('for an attempt that a restored status never had is ignored', () => {
    const task = seed(challenge());
    expect(receive(task, { attempt: 3 })).toEqual({ kind: 'ignored', why: 'unknownAttempt' });
  });

  test('stays with the caller while writes fail', () => {
    const task = seed(challenge().intended(T0).submitted(T0));
    api.faults.push(({ verb }) => (verb === 'replaceStatus' ? refusal(403, 'Forbidden') : undefined));
    expect(receive(task)).toMatchObject({ kind: 'retry', error: { class: 'Forbidden' } });
  });
});

describe('making a task due after a refused callback', () => {
  test('sets the poll time of the current, accepted attempt', () => {
    expect(makeDue(seed(submittedTask()))).toMatchObject({ kind: 'accepted', effect: 'due' });
    expect(stored().status?.submission?.pollAfterTime).toBe(formatTime(NOW));
  });

  test.each([
    ['there is no id to ask for', aTask().intended(T0)],
    ['the task is finished', submittedTask().solved(T0)],
    ['the attempt ended', submittedTask().attemptEnded()],
    ['the attempt is an earlier one', submittedTask().attemptEnded().intended(T0).submitted(T0)],
  ])('writes nothing when %s', (_, builder) => {
    makeDue(seed(builder));
    expect(api.writes).toEqual([]);
  });
});

function drain(task: CaptchaTask): CallbackVerdict | 'died' {
  const callback = { id: CAPTCHA_ID, code: 'the-token' };
  const options = { now: NOW, receivedTime: T0 + 1_000, write: 'put', onFailure: 'letter' } as const;
  return runModel(api, receiveCallback(claimsFor(task), callback, options));
}

describe('a callback that waited in the spool', () => {
  test('is written as a whole, against the version that was read', () => {
    expect(drain(seed(submittedTask()))).toMatchObject({ kind: 'accepted', effect: 'solved' });
    expect(api.writes.map(({ verb }) => verb)).toEqual(['replaceStatus']);
    expect(stored().status?.solution).toMatchObject({ value: 'the-token', receivedTime: formatTime(T0 + 1_000) });
  });
  test('is judged again when somebody wrote since, and never written over a solution', () => {
    const task = seed(submittedTask());
    api.faults.push((request) => {
      if (request.verb !== 'replaceStatus') return undefined;
      api.faults = [];
      seed(submittedTask().solved(T0 + 2_000, { value: 'another' }));
      return undefined;
    });
    expect(drain(task)).toEqual({ kind: 'conflict' });
    expect(stored().status?.solution?.value).toBe('another');
  });
});
