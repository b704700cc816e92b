import { describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { DeadLetter } from '../../../../src/api/deadletter.ts';
import type { Retry } from '../../../../src/core/deadletter/steps.ts';
import type { TaskBuilder } from '../../../support/builders.ts';
import type { ModelApi } from '../../../support/model-api.ts';
import { DEFAULT_LETTER_POLICY } from '../../../../src/core/deadletter/schedule.ts';
import { retryLetter } from '../../../../src/core/deadletter/steps.ts';
import { CAPTCHA_ID, T0, aTask } from '../../../support/builders.ts';
import { NEW_LETTER, aLetter } from '../../../support/letters.ts';
import { createModelApi, outage, refusal, runModel } from '../../../support/model-api.ts';

const NOW = T0 + 60_000;
const SECRET_NAME = 'login-solution';
const held = aTask().intended().submitted().marked(NEW_LETTER).markConfirmed();
const ref = { namespace: 'default', name: NEW_LETTER, uid: 'letter-uid' };

function world(task: TaskBuilder | undefined = held, letter: DeadLetter = aLetter().introduced().build()): ModelApi {
  const api = createModelApi(() => NOW);
  api.seed('deadletters', letter);
  if (task !== undefined) api.seed('captchatasks', task.build());
  return api;
}
function retry(api: ModelApi, options: { dieAfter?: number; exists?: (name: string) => boolean } = {}): Retry | 'died' {
  const exists = options.exists ?? (() => true);
  const protocol = retryLetter(ref, { now: NOW, random: 0.5, policy: DEFAULT_LETTER_POLICY, exists });
  return runModel(api, protocol, options.dieAfter);
}
/** Nothing solves the task: its solution Secret belongs to someone else. */
function blocked(task: TaskBuilder): ModelApi {
  const api = world(task.spec({ solutionSecretName: SECRET_NAME }));
  api.seed('secrets', { metadata: { name: SECRET_NAME }, data: {} });
  return api;
}
const task = (api: ModelApi): CaptchaTask => api.read<CaptchaTask>('captchatasks', 'login')!;
const letter = (api: ModelApi): DeadLetter => api.read<DeadLetter>('deadletters', NEW_LETTER)!;

describe('a retry', () => {
  test('solves the task, with the letter as its source, and resolves the letter', () => {
    const api = world();
    expect(retry(api)).toMatchObject({ kind: 'recorded', outcome: { kind: 'resolved' } });
    expect(task(api).status?.solution).toMatchObject({ value: 'solution-a', source: 'DeadLetter', attempt: 1 });
    expect(letter(api).status).toMatchObject({ phase: 'Resolved', attempts: 1 });
  });
  test('resolves the letter also when it was killed anywhere before, without a second effect', () => {
    for (let dieAfter = 0; dieAfter < 5; dieAfter += 1) {
      const api = world();
      retry(api, { dieAfter });
      retry(api);
      expect(letter(api).status?.phase).toBe('Resolved');
      expect(api.writes.filter((write) => write.resource.plural === 'captchatasks')).toHaveLength(1);
    }
  });
  test.each([
    ['gone', undefined],
    ['recreated', aTask().uid('another')],
    ['finished', aTask().intended().submitted().failed()],
    ['finished', aTask().intended().submitted().solved(T0, { value: 'other' })],
  ] as const)('of a task that is %s supersedes the letter and touches nothing', (why, start) => {
    const api = world(start);
    if (start === undefined) api.remove('captchatasks', 'login');
    expect(retry(api)).toMatchObject({ kind: 'recorded', outcome: { kind: 'superseded', why } });
    expect(api.writes.map((write) => write.resource.plural)).toEqual(['deadletters']);
  });
  test('does nothing to a letter that ended, is being redriven, or is another one by now', () => {
    const ended = aLetter().introduced().retried({ kind: 'resolved' }, T0);
    for (const [builder, kind] of [
      [ended, 'changed'],
      [aLetter().introduced().annotated('1'), 'changed'],
    ] as const) {
      const api = world(held, builder.build());
      expect(retry(api)).toMatchObject({ kind });
      expect(api.writes).toEqual([]);
    }
    const other = world();
    other.seed('deadletters', { ...letter(other), metadata: { ...letter(other).metadata, uid: 'another' } });
    expect(retry(other)).toEqual({ kind: 'gone' });
    other.remove('deadletters', NEW_LETTER);
    expect(retry(other)).toEqual({ kind: 'gone' });
  });
  test('says that it could not read or record, so that it comes again', () => {
    const unread = world();
    unread.faults.push(() => outage());
    expect(retry(unread)).toMatchObject({ kind: 'unread', error: { class: 'Unavailable' } });
    const overtaken = world();
    overtaken.faults.push((request) => (request.verb === 'replaceStatus' ? refusal(409, 'Conflict') : undefined));
    expect(retry(overtaken)).toMatchObject({ kind: 'unrecorded', conflict: true });
    expect(task(overtaken).status?.phase).toBe('Solved');
  });
});

describe('a retry that fails keeps the task held', () => {
  test('confirms the mark that its producer did not live to confirm', () => {
    const api = blocked(aTask().intended().submitted().marked(NEW_LETTER));
    expect(retry(api)).toMatchObject({ kind: 'recorded', outcome: { kind: 'failed' } });
    expect(task(api).status?.deadLetter).toMatchObject({ name: NEW_LETTER, confirmed: true });
  });
  test.each([
    ['there is none', aTask().intended().submitted()],
    ['it is another letter’s and unconfirmed', aTask().intended().submitted().marked('other')],
  ])('takes the mark when %s', (_when, start) => {
    const api = blocked(start);
    retry(api);
    expect(task(api).status?.deadLetter).toMatchObject({ name: NEW_LETTER, confirmed: true });
  });
  test('takes the mark of a letter that is gone, and leaves that of one that is there', () => {
    const start = aTask().intended().submitted().marked('other').markConfirmed();
    const gone = blocked(start);
    retry(gone, { exists: (name) => name !== 'other' });
    expect(task(gone).status?.deadLetter?.name).toBe(NEW_LETTER);
    const there = blocked(start);
    retry(there);
    expect(task(there).status?.deadLetter?.name).toBe('other');
  });
  test('writes nothing on the task when its own mark is confirmed', () => {
    const api = blocked(held);
    retry(api);
    expect(api.writes.map((write) => write.resource.plural)).toEqual(['deadletters']);
  });
});

describe('a letter whose id is not the task’s', () => {
  const wrong = aLetter({ captchaID: '42' }).introduced().build();
  test('gives its mark back, so that the provider is asked, and is superseded', () => {
    const api = world(held, wrong);
    expect(retry(api)).toMatchObject({ kind: 'recorded', outcome: { kind: 'superseded', why: 'otherId' } });
    expect(task(api).status?.deadLetter).toBeUndefined();
    expect(task(api).status?.submission).toMatchObject({
      captchaID: CAPTCHA_ID,
      pollAfterTime: '2026-01-01T00:01:00Z',
    });
  });
  test('leaves the mark of another letter alone', () => {
    const api = world(aTask().intended().submitted().marked('other').markConfirmed(), wrong);
    retry(api);
    expect(task(api).status?.deadLetter?.name).toBe('other');
    expect(letter(api).status?.phase).toBe('Superseded');
  });
  test('stays pending while the mark cannot be given back', () => {
    const api = world(held, wrong);
    api.faults.push((request) =>
      request.verb === 'replaceStatus' && request.resource.plural === 'captchatasks' ? outage() : undefined,
    );
    expect(retry(api)).toMatchObject({ kind: 'recorded', outcome: { kind: 'failed' } });
    expect(letter(api).status?.phase).toBe('Pending');
  });
});
