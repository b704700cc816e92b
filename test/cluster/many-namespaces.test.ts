/**
 * Three hundred names in `WATCH_NAMESPACES`, and no right to one of them: real processes under the shipped roles, bound
 * namespace by namespace. The Lease is kept, the tasks of the others are solved, and the one is named.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { OPERATOR, objectOf, type Admin } from '../../dev/control-plane/index.ts';
import { startFleet, type Fleet } from '../../dev/fleet.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import { startBarePlane, type BarePlane } from '../support/bare-plane.ts';
import { pathOf } from '../support/paths.ts';
import { waitUntil } from '../support/wait-until.ts';

const SHUT = 'tenant-150';
const NAMESPACES = Array.from({ length: 300 }, (_, index) => `tenant-${index}`);
const BUSY = NAMESPACES.filter((name, index) => index % 30 === 0 && name !== SHUT);

let plane: BarePlane;
let admin: Admin;
let simulator: Simulator;
let fleet: Fleet;

beforeAll(async () => {
  plane = await startBarePlane();
  ({ admin } = plane);
  await plane.define('-k', 'deploy/overlays/single-namespace');
  for (const name of NAMESPACES) {
    objectOf(await admin.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
    if (name !== SHUT) await bind(name);
  }
  simulator = await startSimulator({ answerAfterMs: 200 });
  fleet = await startFleet({
    kubeconfig: await plane.controlPlane.kubeconfigFor(OPERATOR),
    providerURL: simulator.url,
    operatorEnv: { WATCH_NAMESPACES: NAMESPACES.join(','), LEADER_ELECTION: 'true' },
    sidecarEnv: { WATCH_NAMESPACES: NAMESPACES.join(',') },
  });
});

afterAll(async () => {
  await fleet?.stop();
  await simulator?.stop();
  await plane?.stop();
});

/** The shipped ClusterRole, for one namespace, as a tenant's RoleBinding. */
async function bind(namespace: string): Promise<void> {
  const group = 'rbac.authorization.k8s.io';
  const binding = {
    apiVersion: `${group}/v1`,
    kind: 'RoleBinding',
    metadata: { name: 'captcha-operator-tasks' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'captcha-operator' },
    subjects: [{ kind: 'ServiceAccount', name: 'captcha-operator', namespace: 'captcha-system' }],
  };
  objectOf(await admin.create(`/apis/${group}/v1/namespaces/${namespace}/rolebindings`, binding));
}

async function create(namespace: string): Promise<void> {
  const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4AAA', pageURL: `https://shop.example/${namespace}` } };
  const task = { apiVersion: 'captcha-operator.io/v1alpha1', kind: 'CaptchaTask', metadata: { name: 'login' } };
  objectOf(await admin.create(pathOf('captchatasks', namespace), { ...task, spec: { captcha } }));
}

const taskIn = async (namespace: string) =>
  objectOf<CaptchaTask>(await admin.get(pathOf('captchatasks', namespace, 'login')));

async function untilSolved(namespace: string): Promise<void> {
  await waitUntil(
    `the task in ${namespace} to be solved; the processes said: ${fleet.logText().slice(-2_000)}`,
    async () => (await taskIn(namespace)).status?.phase === 'Solved',
    { boundMs: 120_000, everyMs: 250 },
  );
}

const ask = async (base = '', path = '') => {
  const reply = await fetch(new URL(path, base));
  return [reply.status, await reply.text()] as const;
};

interface LeaseSpec {
  holderIdentity?: string;
  leaseTransitions?: number;
}
const lease = async () => {
  const path = '/apis/coordination.k8s.io/v1/namespaces/captcha-system/leases/captcha-operator';
  return objectOf<{ spec: LeaseSpec }>(await admin.get(path)).spec;
};

test('a namespace that may not be watched stops none of three hundred, and is named', async () => {
  for (const namespace of [SHUT, ...BUSY]) await create(namespace);
  for (const namespace of BUSY) await untilSolved(namespace);
  expect((await taskIn(SHUT)).status).toBeUndefined();
  expect(await lease()).toMatchObject({
    holderIdentity: expect.stringContaining('operator-0') as string,
    leaseTransitions: 0,
  });
  const [operator] = fleet.operators;
  expect(await ask(operator?.healthURL, '/readyz')).toEqual([
    200,
    `ok\n${['captchatasks', 'deadletters']
      .map((kind) => `${kind} in namespace ${SHUT} cannot be watched: Forbidden (403)\n`)
      .join('')}`,
  ]);
  expect(await ask(operator?.healthURL, '/healthz')).toEqual([200, 'ok\n']);
  const [, metrics] = await ask(operator?.metricsURL);
  expect(metrics).toContain('captcha_operator_watches_refused{resource="captchatasks"} 1\n');
  const refusals = fleet.logText().match(/.*watch refused.*/g) ?? [];
  expect(refusals.map((line) => line.includes(`"namespace":"${SHUT}"`))).toEqual([true, true]);
});

test('its tasks are worked on once it may be watched', async () => {
  await bind(SHUT);
  await untilSolved(SHUT);
  expect((await lease()).leaseTransitions).toBe(0);
});
