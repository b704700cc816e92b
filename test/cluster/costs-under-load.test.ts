/**
 * How often a task is written under load, by the API server's own record: while a backlog drains, and at thirty tasks a
 * second. A write of the journal counts as half of one of a status, which is what it costs the API server (decision 0010).
 * Counted, not timed; that requests queue while a backlog drains follows from how many submissions go on at once.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { OPERATOR, objectOf } from '../../dev/control-plane/index.ts';
import { startFleet, type Fleet } from '../../dev/fleet.ts';
import { startInstallation, type Installation } from '../../dev/installation.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import { createTasks, manifestOf, tasksPath } from '../bench/seed-tasks.ts';
import { pathOf } from '../support/cluster.ts';
import { waitUntil } from '../support/wait-until.ts';

const SOLVED_AFTER_MS = 1_000;
const JOURNAL_WRITE = 0.5;
/** The result, `Submitted` of a few, and a share of the journal's writes. */
const MOST_WRITES_OF_A_BACKLOG = 1.5;
/** `Submitted` and the result; intents that come thirty times a second seldom share a write of the journal, nor do ids. */
const MOST_WRITES_AT_A_STEADY_RATE = 2.8;
const BACKLOG = 600;
const STEADY = 300;
const MS_BETWEEN = 1_000 / 30;

let installation: Installation;
let simulator: Simulator;
let fleet: Fleet | undefined;

beforeAll(async () => {
  installation = await startInstallation({ env: process.env, audit: true });
  for (const name of ['backlog', 'steady']) {
    objectOf(await installation.admin.create('/api/v1/namespaces', { metadata: { name } }));
  }
  simulator = await startSimulator({ answerAfterMs: SOLVED_AFTER_MS });
});
afterAll(async () => {
  await fleet?.stop();
  await simulator?.stop();
  await installation?.stop();
});

interface Counts {
  status: number;
  journal: number;
}

async function counts(): Promise<Counts> {
  const made = { status: 0, journal: 0 };
  for (const { verb, resource } of await installation.controlPlane.auditOf(OPERATOR)) {
    if (resource === 'captchatasks/status' && (verb === 'update' || verb === 'patch')) made.status += 1;
    if (resource === 'configmaps' && verb === 'update') made.journal += 1;
  }
  return made;
}

async function untilSolved(namespace: string, count: number): Promise<void> {
  await waitUntil(
    `all tasks of ${namespace} to be solved`,
    async () => {
      const { items } = objectOf<{ items: CaptchaTask[] }>(
        await installation.admin.get(pathOf('captchatasks', namespace)),
      );
      return items.length === count && items.every((task) => task.status?.phase === 'Solved');
    },
    { boundMs: 120_000, everyMs: 500 },
  );
}

/** For each of so many tasks, since `before`. */
async function writesEach(before: Counts, tasks: number): Promise<{ status: number; weighted: number }> {
  const after = await counts();
  const status = (after.status - before.status) / tasks;
  const journal = (after.journal - before.journal) / tasks;
  const weighted = status + JOURNAL_WRITE * journal;
  console.log(`${status.toFixed(2)} of status, ${journal.toFixed(2)} of the journal: ${weighted.toFixed(2)} a task`);
  return { status, weighted };
}

test('a task of a backlog that drains, its callback after a second, costs little more than the write of its result', async () => {
  await createTasks(installation.admin, 'backlog', BACKLOG);
  const before = await counts();
  const kubeconfig = await installation.controlPlane.kubeconfigFor(OPERATOR);
  fleet = await startFleet({ kubeconfig, providerURL: simulator.url });
  await untilSolved('backlog', BACKLOG);
  const { status, weighted } = await writesEach(before, BACKLOG);
  expect(status).toBeGreaterThanOrEqual(1);
  expect(weighted).toBeLessThanOrEqual(MOST_WRITES_OF_A_BACKLOG);
  expect(await simulator.control.totals()).toMatchObject({ submissions: BACKLOG, paid: BACKLOG });
});

test('a task at thirty a second costs two writes of status and a share of the journal', async () => {
  const before = await counts();
  for (let index = 0; index < STEADY; index += 1) {
    objectOf(await installation.admin.create(tasksPath('steady'), manifestOf('steady', index)));
    await delay(MS_BETWEEN);
  }
  await untilSolved('steady', STEADY);
  const { status, weighted } = await writesEach(before, STEADY);
  expect(status).toBeLessThanOrEqual(2);
  expect(weighted).toBeLessThanOrEqual(MOST_WRITES_AT_A_STEADY_RATE);
});

test('an idle installation writes nothing: the journal is emptied once, and then it is quiet', async () => {
  await waitUntil(
    'the journal to be empty',
    async () => {
      const path = '/api/v1/namespaces/captcha-system/configmaps/captcha-operator-journal';
      const { data } = objectOf<{ data: { entries?: string } }>(await installation.admin.get(path));
      return (data.entries ?? '') === '';
    },
    { boundMs: 60_000, everyMs: 500 },
  );
  const before = await counts();
  await delay(15_000);
  expect(await counts()).toEqual(before);
});
