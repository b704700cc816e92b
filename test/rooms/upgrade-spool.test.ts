/**
 * A spool that an earlier version left behind is read by this one: what was answered 200 before an upgrade is applied
 * after it, with the token and the key of then.
 */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { createModelApi } from '../support/model-api.ts';
import { FIXTURES, RELEASES, readFixture, type ReleaseSpool } from '../support/release-fixture.ts';
import { startSidecar, temporaryDirectory, type Sidecar } from '../support/sidecar.ts';
import { waitUntil } from '../support/wait-until.ts';

let sidecar: Sidecar | undefined;
let spoolDir = '';

afterEach(async () => {
  await sidecar?.stop();
  await rm(spoolDir, { recursive: true, force: true });
});

describe.each(RELEASES)('the spool of %s', (release) => {
  test('is applied, and nothing of it is left', async () => {
    const { task, value } = readFixture<ReleaseSpool>(release, 'spool.json');
    spoolDir = await temporaryDirectory();
    await cp(join(FIXTURES, release, 'spool'), spoolDir, { recursive: true });
    const api = createModelApi(Date.now);
    api.seed('captchatasks', task);
    sidecar = await startSidecar({ api, spoolDir });
    const solved = await waitUntil('the task to be solved from the spool', () => {
      const now = api.read<CaptchaTask>('captchatasks', task.metadata.name);
      return now?.status?.phase === 'Solved' ? now : undefined;
    });
    expect(solved.status?.solution).toMatchObject({ value, source: 'Callback', attempt: 1 });
    expect(sidecar.faults).toEqual([]);
    expect(sidecar.crashes).toEqual([]);
  });
});

test('there is a recorded release to read', () => {
  expect(RELEASES).toContain('v0.1.0');
});
