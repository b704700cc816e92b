/** What a callback does to a task whose status does not show its first submission yet, against the model of the API. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import { CAPTCHA_TASK } from '../../../../src/api/names.ts';
import { makePollDue, receiveCallback } from '../../../../src/core/callback/callback.ts';
import type { CallbackVerdict } from '../../../../src/core/callback/callback.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import type { TokenClaims } from '../../../../src/core/token.ts';
import { CAPTCHA_ID, T0, aSecret, aTask } from '../../../support/builders.ts';
import type { TaskBuilder } from '../../../support/builders.ts';
import { createModelApi, runModel } from '../../../support/model-api.ts';
import type { ModelApi } from '../../../support/model-api.ts';

const NOW = T0 + 60_000;
let api: ModelApi;
beforeEach(() => {
  api = createModelApi(() => NOW);
});

function seed(builder: TaskBuilder): CaptchaTask {
  const task = builder.build();
  api.seed(CAPTCHA_TASK.plural, task);
  return task;
}

const claimsFor = ({ metadata: { namespace, name, uid } }: CaptchaTask, attempt = 1): TokenClaims => ({
  kid: 'k1',
  namespace,
  name,
  uid,
  attempt,
});
const stored = (): CaptchaTask => api.read<CaptchaTask>(CAPTCHA_TASK.plural, 'login')!;

function receive(task: CaptchaTask, { attempt = 1, code = 'the-token' } = {}): CallbackVerdict | 'died' {
  const options = { now: NOW, receivedTime: NOW, onFailure: 'letter' } as const;
  return runModel(api, receiveCallback(claimsFor(task, attempt), { id: CAPTCHA_ID, code }, options));
}

const CHALLENGE = { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL: 'https://example.com' } } as const;

describe('a callback of the first submission, of which status does not tell yet,', () => {
  const untold = [
    ['no status', aTask()],
    ['a status that says why it waits', aTask().waiting('ProviderBusy', T0)],
  ] as const;
  const adoption = {
    attempt: 1,
    intentBy: 'adopted',
    pingback: true,
    captchaID: CAPTCHA_ID,
  };

  describe.each(untold)('for a task with %s', (_, builder) => {
    test('adopts the submission with the result that solves the task', () => {
      const task = seed(builder);
      expect(receive(task)).toMatchObject({
        kind: 'accepted',
        effect: 'solved',
      });
      expect(stored().status).toMatchObject({
        phase: 'Solved',
        attempts: 1,
        submission: adoption,
      });
      expect(stored().status?.conditions).toContainEqual(
        expect.objectContaining({ type: 'Submitted', status: 'True' }),
      );
    });

    test('is judged by any copy: its result costs no quorum read', () => {
      const task = seed(builder);
      const reads: unknown[] = [];
      api.faults.push((request) => void (request.verb === 'get' && reads.push(request.read)));
      receive(task);
      expect(reads).toEqual(['cached']);
      expect(api.writes).toMatchObject([{ verb: 'replaceStatus' }]);
    });

    test('adopts the submission with the word that ends it', () => {
      const task = seed(builder);
      expect(receive(task, { code: 'ERROR_CAPTCHA_UNSOLVABLE' })).toMatchObject({ kind: 'accepted', effect: 'ended' });
      const ended = {
        ...adoption,
        code: 'ERROR_CAPTCHA_UNSOLVABLE',
        endTime: formatTime(NOW),
      };
      expect(stored().status).toMatchObject({
        phase: 'Pending',
        attempts: 1,
        submission: ended,
      });
    });

    test('adopts the submission with a hint, and makes it due for a poll', () => {
      const task = seed(builder.spec({ captcha: CHALLENGE }));
      expect(receive(task)).toMatchObject({ kind: 'accepted', effect: 'due' });
      const due = { ...adoption, pollAfterTime: formatTime(NOW) };
      expect(stored().status).toMatchObject({
        phase: 'Submitted',
        attempts: 1,
        submission: due,
      });
    });

    test('adopts the submission with the mark of a result that becomes a dead letter', () => {
      const task = seed(builder.spec({ solutionSecretName: 'taken' }));
      api.seed('secrets', aSecret('taken', { value: 'not ours' }));
      expect(receive(task)).toMatchObject({
        kind: 'deadLettered',
        stage: 'WriteSecret',
      });
      expect(stored().status).toMatchObject({
        attempts: 1,
        submission: adoption,
        deadLetter: { confirmed: true },
      });
    });

    test('changes nothing where it had to be refused: its id is not known, and the operator polls by itself', () => {
      expect(runModel(api, makePollDue(claimsFor(seed(builder)), NOW))).toEqual({
        kind: 'ignored',
        why: 'notReady',
      });
      expect(api.writes).toEqual([]);
    });

    test.each(['the-token', 'ERROR_CAPTCHA_UNSOLVABLE'])('is written against the copy it was judged by: %s', (code) => {
      const task = seed(builder);
      api.seed(CAPTCHA_TASK.plural, builder.intended(T0).submitted(T0, { captchaID: '99' }).build());
      api.lag = 1;
      expect(receive(task, { code })).toMatchObject({ kind: 'conflict' });
      expect(stored().status).toMatchObject({
        phase: 'Submitted',
        submission: { captchaID: '99' },
      });
    });
  });

  test.each([2, 3])('is a thing of attempt 1 only: what is said about attempt %i is not adopted', (attempt) => {
    const task = seed(aTask());
    expect(receive(task, { attempt, code: 'ERROR_CAPTCHA_UNSOLVABLE' })).toMatchObject({ why: 'unknownAttempt' });
    expect(api.writes).toEqual([]);
  });
});
