import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Stage } from '../../../support/task-controller.ts';
import { SECRET } from '../../../../src/api/names.ts';
import { aSecret, aTask } from '../../../support/builders.ts';
import { pollDue } from '../../../../src/core/task/transitions.ts';
import { outage } from '../../../support/model-api.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

const OLD = 'a'.repeat(32);
const NEW = 'b'.repeat(32);
const named = (name: string) => aTask().created(Date.now()).named(name).uid(`uid-of-${name}`);
const keyed = (name: string) => named(name).spec({ apiKeySecretRef: { name: 'tenant', key: 'api-key' } });
const seedKey = (key: string) => stage.api.seed(SECRET.plural, aSecret('tenant', { 'api-key': key }));
const phaseOf = (name: string) => stage.task(name)?.status?.phase;

/** The provider knows these keys only. */
function accept(...keys: string[]): void {
  let id = 1_000;
  stage.answer = ({ apiKey }) =>
    keys.includes(apiKey)
      ? { kind: 'accepted', captchaID: String((id += 1)) }
      : { kind: 'refused', class: 'keyRejected', code: 'ERROR_KEY_DOES_NOT_EXIST' };
}
async function submitted(name: string): Promise<void> {
  await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', name);
}

describe('a key that the provider rejects', () => {
  test('fails no task when its Secret holds another one by now: they go on with that, in the same attempt', async () => {
    stage = await startStage();
    seedKey(OLD);
    accept(OLD);
    stage.apply(keyed('first'));
    await submitted('first');
    seedKey(NEW);
    accept(NEW);
    for (const name of ['a', 'b', 'c']) stage.apply(keyed(name));
    for (const name of ['a', 'b', 'c']) await submitted(name);
    expect(stage.task('a')?.status).toMatchObject({ attempts: 1, unknownSubmissions: 0 });
    expect(stage.submissions.map(({ apiKey }) => apiKey).filter((key) => key === NEW)).toHaveLength(3);
  });
  test("fails no task when the file with the operator's own key holds another one by now", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'own-key-'));
    const file = join(folder, 'api-key');
    await writeFile(file, OLD);
    stage = await startStage({ ownKey: { file } });
    accept(OLD);
    stage.apply(named('first'));
    await submitted('first');
    accept(NEW);
    const { answer } = stage;
    stage.answer = async (request) => {
      await writeFile(file, NEW);
      return await answer(request);
    };
    stage.apply(named('next'));
    await submitted('next');
    await rm(folder, { recursive: true });
  });
  test('fails the task when its Secret still holds it', async () => {
    stage = await startStage();
    seedKey(OLD);
    accept(NEW);
    stage.apply(keyed('wrong'));
    await stage.until('failed', ({ status }) => status?.phase === 'Failed', 'wrong');
    expect(stage.task('wrong')?.status?.failure).toMatchObject({ code: 'ERROR_KEY_DOES_NOT_EXIST' });
  });
  test('fails nobody while its Secret cannot be read', async () => {
    stage = await startStage();
    seedKey(OLD);
    accept(NEW);
    const { answer } = stage;
    stage.answer = async (request) => {
      stage.api.faults.push(({ resource }) => (resource.plural === SECRET.plural ? outage() : undefined));
      return await answer(request);
    };
    stage.apply(keyed('waiting'));
    await waitUntil('the call', () => stage.submissions.length === 1);
    await stage.until('said', () => phaseOf('waiting') === 'Pending', 'waiting');
    expect(stage.task('waiting')?.status).toMatchObject({ attempts: 0 });
    expect(stage.submissions).toHaveLength(1);
  });
});

describe('a task that is given another API key while its first call is under way', () => {
  const other = { apiKeySecretRef: { name: 'other', key: 'api-key' } };
  const polls: string[] = [];

  /** The call is answered when the controller has seen the other key. */
  async function changeDuringCall(): Promise<void> {
    stage = await startStage();
    seedKey(OLD);
    stage.api.seed(SECRET.plural, aSecret('other', { 'api-key': NEW }));
    polls.length = 0;
    stage.pollAnswer = (_id, apiKey) => {
      polls.push(apiKey);
      return apiKey === OLD ? { kind: 'solved', value: 'token' } : { kind: 'pending' };
    };
    const answer = Promise.withResolvers<void>();
    stage.answer = async () => {
      await answer.promise;
      return { kind: 'accepted', captchaID: '1001' };
    };
    stage.apply(keyed('moved').spec({ ...keyed('moved').build().spec, delivery: 'Poll' }));
    await waitUntil('the call', () => stage.submissions.length === 1);
    stage.respec(other, 'moved');
    const isSeen = () => stage.controller.task('default', 'moved')?.spec.apiKeySecretRef?.name === 'other';
    await waitUntil('the other key to be seen', isSeen);
    answer.resolve();
  }

  test('is polled with the key that paid for it', async () => {
    await changeDuringCall();
    const task = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'moved');
    stage.write(pollDue(task, Date.now()), 'moved');
    await stage.until('solved', ({ status }) => status?.phase === 'Solved', 'moved');
    expect(stage.submissions.map(({ apiKey }) => apiKey)).toEqual([OLD]);
    expect(new Set(polls)).toEqual(new Set([OLD]));
  });
});
