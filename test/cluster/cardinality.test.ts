/**
 * Ten thousand tasks of all types, and two pages of metrics that do not grow with them. The tasks lie before a standby:
 * somebody else holds the Lease, so the caches are warm, every gauge is computed, and nothing is submitted. In a control
 * plane of its own: it is sooner thrown away than emptied.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { CAPTCHA_TYPES } from '../../src/api/names.ts';
import { OPERATOR, objectOf } from '../../dev/control-plane/index.ts';
import { startFleet, type Fleet } from '../../dev/fleet.ts';
import { startInstallation, type Installation } from '../../dev/installation.ts';
import { pathOf } from '../support/paths.ts';
import { taskManifest } from '../support/manifests.ts';
import { waitUntil } from '../support/wait-until.ts';

const TASKS = 10_000;
const AT_ONCE = 16;
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/captcha-system/leases';
const NAMESPACE = 'ten-thousand';
let installation: Installation;
let fleet: Fleet;

async function createTasks(): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < TASKS; index = next++) {
      const type = CAPTCHA_TYPES[index % CAPTCHA_TYPES.length] ?? 'Turnstile';
      const manifest = taskManifest(type, { name: `task-${index}` });
      objectOf(await installation.admin.create(pathOf('captchatasks', NAMESPACE), manifest));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Held by nobody that renews it: the operator waits a lease duration before it takes over, which is all we need. */
async function holdLease(): Promise<void> {
  const spec = { holderIdentity: 'somebody-else', leaseDurationSeconds: 3_600 };
  const metadata = { name: 'captcha-operator' };
  objectOf(
    await installation.admin.create(LEASES, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec }),
  );
}

beforeAll(async () => {
  installation = await startInstallation({ env: process.env });
  objectOf(await installation.admin.create('/api/v1/namespaces', { metadata: { name: NAMESPACE } }));
  await createTasks();
  await holdLease();
  fleet = await startFleet({
    kubeconfig: await installation.controlPlane.kubeconfigFor(OPERATOR),
    providerURL: 'http://127.0.0.1:9',
    operatorEnv: { WATCH_NAMESPACES: NAMESPACE, LEADER_ELECTION: 'true' },
    sidecarEnv: { WATCH_NAMESPACES: NAMESPACE },
  });
}, 400_000);
afterAll(async () => {
  await fleet?.stop();
  await installation?.stop();
});

async function scrape(url: string): Promise<{ series: string[]; ms: number }> {
  const startedMs = performance.now();
  const text = await (await fetch(url)).text();
  const ms = performance.now() - startedMs;
  return { ms, series: text.split('\n').filter((line) => line !== '' && !line.startsWith('#')) };
}

function pages(): Promise<{ series: string[]; ms: number }[]> {
  const members = [...fleet.operators, ...fleet.sidecars];
  return Promise.all(members.map(({ metricsURL }) => scrape(metricsURL)));
}

function tasksCounted(series: readonly string[]): number {
  const lines = series.filter((line) => line.startsWith('captcha_operator_tasks{'));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

describe('with 10,000 tasks of all types', () => {
  test('a standby counts them all, and both pages stay under 1,500 series', async () => {
    const found = await waitUntil('the operator to know every task', async () => {
      const both = await pages();
      return tasksCounted(both.flatMap(({ series }) => series)) === TASKS ? both : undefined;
    });
    const counts = found.map(({ series }) => series.length);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThan(1_500);
    const times: number[] = [];
    for (let index = 0; index < 10; index++) times.push((await scrape(fleet.operators[0]?.metricsURL ?? '')).ms);
    times.sort((a, b) => a - b);
    console.log(
      `${counts.join(' + ')} series; a scrape of the operator with ${TASKS} tasks takes ${times[5]?.toFixed(1)} ms ` +
        `(median of 10; largest ${times.at(-1)?.toFixed(1)} ms)`,
    );
  });

  test('no series names a task, a namespace or an id', async () => {
    for (const { series } of await pages()) {
      expect(
        series.filter((line) => line.includes(NAMESPACE) || /task-\d|[0-9a-f]{8}-[0-9a-f]{4}-/.test(line)),
      ).toEqual([]);
    }
  });
});
