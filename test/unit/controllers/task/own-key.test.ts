import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Stage } from '../../../support/task-controller.ts';
import { aTask } from '../../../support/builders.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const KEY = 'f'.repeat(32);
let stage: Stage;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'own-key-'));
});
afterEach(async () => {
  await stage.controller.stop({ drainMs: 0 });
  await rm(folder, { recursive: true });
});
const keyFile = () => join(folder, 'api-key');

describe('the API key in a file', () => {
  test('is read before anything is decided with it: a due poll waits for no second look', async () => {
    await writeFile(keyFile(), `${KEY}\n`);
    stage = await startStage({ ownKey: { file: keyFile() } });
    stage.pollAnswer = () => ({ kind: 'solved', value: 'the-solution' });
    const since = Date.now() - 200_000;
    stage.apply(aTask().created(since).intended(since).submitted(since, { pollAfter: Date.now() }));
    await stage.until('solved', ({ status }) => status?.phase === 'Solved');
    expect(stage.phases()).toHaveLength(1);
  });
  test('lets a task that waits at the start be submitted at once', async () => {
    await writeFile(keyFile(), KEY);
    stage = await startStage({ ownKey: { file: keyFile() } });
    stage.apply(aTask().created(Date.now()));
    await waitUntil('the call', () => stage.submissions.length === 1, { boundMs: 1_000, everyMs: 5 });
    expect(stage.submissions[0]?.apiKey).toBe(KEY);
  });
  test('that is not there yet is said to be missing', async () => {
    stage = await startStage({ ownKey: { file: keyFile() } });
    stage.apply(aTask().created(Date.now()));
    await stage.untilLater('waiting', () => stage.reason() === 'MissingAPIKey');
    expect(stage.submissions).toHaveLength(0);
  });
});
