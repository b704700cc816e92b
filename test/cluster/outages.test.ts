/** The Kubernetes API or the provider is away: everything waits, says so, and goes on by itself. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { objectOf, OPERATOR } from '../../dev/control-plane/index.ts';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { startFleet, type Fleet } from '../../dev/fleet.ts';
import { startInstallation, type Installation } from '../../dev/installation.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import { createBenchNamespace, createTasks, tasksPath } from '../bench/seed-tasks.ts';
import { scrape, total } from '../bench/scrape.ts';
import { waitUntil } from '../support/wait-until.ts';

const NAMESPACE = 'outage';
let installation: Installation;
let controlPlane: Installation['controlPlane'];
let admin: Installation['admin'];
let simulator: Simulator;
let fleet: Fleet;

beforeAll(async () => {
  installation = await startInstallation({ env: process.env });
  ({ controlPlane, admin } = installation);
  await createBenchNamespace(admin, NAMESPACE);
  simulator = await startSimulator({ answerAfterMs: 300 });
});
afterAll(async () => {
  await fleet?.stop();
  await simulator?.stop();
  await installation?.stop();
});

async function tasks(): Promise<CaptchaTask[]> {
  return objectOf<{ items: CaptchaTask[] }>(await admin.get(tasksPath(NAMESPACE))).items;
}

async function untilSolved(count: number, boundMs: number): Promise<void> {
  await waitUntil(
    `${count} solved tasks`,
    async () => (await tasks()).filter((task) => task.status?.phase === 'Solved').length === count,
    { boundMs },
  );
}

describe('the Kubernetes API', () => {
  test('may be away when the processes start: they wait, stay alive, and begin when it is back', async () => {
    await controlPlane.stopApiServer();
    fleet = await startFleet({
      kubeconfig: await controlPlane.kubeconfigFor(OPERATOR),
      providerURL: simulator.url,
      operatorEnv: { WATCH_NAMESPACES: NAMESPACE },
    });
    const line = await fleet.operators[0]?.child().waitForLine('a word about it', (one) => /unavailable/.test(one.msg));
    expect(line?.level).toBe('warn');
    await controlPlane.startApiServer();
    await createTasks(admin, NAMESPACE, 3);
    await untilSolved(3, 90_000);
  });

  test('may go away under callbacks: every one is answered 200 and applied when it is back', async () => {
    await simulator.control.script({ tasks: [{ pingbacks: [{ onCommand: true }] }] });
    for (const task of await tasks()) objectOf(await admin.delete(`${tasksPath(NAMESPACE)}/${task.metadata.name}`));
    await createTasks(admin, NAMESPACE, 40);
    await waitUntil('40 submitted tasks', async () => {
      return (await tasks()).filter((task) => task.status?.phase === 'Submitted').length === 40;
    });
    const open = await waitUntil('the provider to have 40 results', async () => {
      const { submissions } = await simulator.control.ledger();
      const ready = submissions.filter((one) => one.pingbacks.length === 0 && one.solvedTimeMs !== undefined);
      return ready.length === 40 ? ready : undefined;
    });
    await controlPlane.stopApiServer();
    const answers = await Promise.all(open.map((one) => simulator.control.pingback({ id: one.id ?? '' })));
    expect(new Set(answers)).toEqual(new Set([200]));
    await controlPlane.startApiServer();
    await untilSolved(40, 90_000);
    const metrics = await scrape(fleet.sidecars[0]?.metricsURL ?? '');
    expect(total(metrics, 'captcha_operator_callbacks_total', 'result="spooled"')).toBeGreaterThan(0);
    expect(total(metrics, 'captcha_operator_callbacks_total', 'result="lost"')).toBe(0);
    await waitUntil('the spool to be empty', async () => {
      return total(await scrape(fleet.sidecars[0]?.metricsURL ?? ''), 'captcha_operator_spool_records') === 0;
    });
  });
});

describe('the provider', () => {
  test('may refuse connections: tasks wait, say ProviderUnreachable, and are submitted when it is back', async () => {
    await simulator.control.reset();
    await simulator.control.outage(6_000);
    await admin.create(tasksPath(NAMESPACE), {
      apiVersion: 'captcha-operator.io/v1alpha1',
      kind: 'CaptchaTask',
      metadata: { name: 'patient' },
      spec: {
        captcha: {
          type: 'GeeTestV4',
          geeTestV4: { captchaID: 'e392e1d7fd421dc63325744d5a2b9c73', pageURL: 'https://shop.example/patient' },
        },
      },
    });
    const path = `${tasksPath(NAMESPACE)}/patient`;
    const reason = async (): Promise<string | undefined> => {
      const task = objectOf<CaptchaTask>(await admin.get(path));
      return task.status?.conditions?.find((one) => one.type === 'Solved')?.reason;
    };
    await waitUntil('ProviderUnreachable', async () => (await reason()) === 'ProviderUnreachable');
    await waitUntil('the task to be solved', async () => (await reason()) === 'Solved', { boundMs: 60_000 });
    const ledger = await simulator.control.ledger({ field: 'pageurl', equals: 'https://shop.example/patient' });
    expect(ledger.submissions.filter((one) => one.paid)).toHaveLength(1);
  });
});
