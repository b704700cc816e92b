/**
 * The overlay single-namespace is enough for its namespace and reaches no other: real processes run under what
 * `kubectl apply -k` granted, take the paths that need rights, and the API server's record shows no refused request.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { OPERATOR, objectOf, type Admin } from '../../dev/control-plane/index.ts';
import { startFleet, type Fleet } from '../../dev/fleet.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import { startBarePlane, type BarePlane } from '../support/bare-plane.ts';
import { corePathOf, pathOf } from '../support/paths.ts';
import { waitUntil } from '../support/wait-until.ts';

const NAMESPACE = 'captcha-system';

let plane: BarePlane;
let admin: Admin;
let simulator: Simulator;
let fleet: Fleet;

beforeAll(async () => {
  plane = await startBarePlane({ audit: true });
  ({ admin } = plane);
  await plane.define('-k', 'deploy/overlays/single-namespace');
  simulator = await startSimulator({ answerAfterMs: 200 });
  fleet = await startFleet({
    kubeconfig: await plane.controlPlane.kubeconfigFor(OPERATOR),
    providerURL: simulator.url,
    operatorEnv: { WATCH_NAMESPACES: NAMESPACE, LEADER_ELECTION: 'true' },
    sidecarEnv: { WATCH_NAMESPACES: NAMESPACE },
  });
});

afterAll(async () => {
  await fleet?.stop();
  await simulator?.stop();
  await plane?.stop();
});

async function create(namespace: string, name: string, spec: object = {}): Promise<void> {
  const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4AAA', pageURL: `https://shop.example/${name}` } };
  const task = {
    apiVersion: 'captcha-operator.io/v1alpha1',
    kind: 'CaptchaTask',
    metadata: { name },
    spec: { captcha, ...spec },
  };
  await waitUntil(
    'the new kind to be served',
    async () => (await admin.create(pathOf('captchatasks', namespace), task)).status === 201,
  );
}

async function untilSolved(name: string): Promise<CaptchaTask> {
  return waitUntil(
    `${name} to be solved; the processes said: ${fleet.logText().slice(-2_000)}`,
    async () => {
      const task = objectOf<CaptchaTask>(await admin.get(pathOf('captchatasks', NAMESPACE, name)));
      return task.status?.phase === 'Solved' ? task : undefined;
    },
    { boundMs: 60_000 },
  );
}

test('tasks of the namespace are solved, also into a Secret and with a key of their own', async () => {
  const key = { metadata: { name: 'own-key' }, stringData: { 'api-key': 'another0key0another0key0another0' } };
  objectOf(await admin.create(corePathOf('secrets', NAMESPACE), key));
  await create(NAMESPACE, 'plain');
  await create(NAMESPACE, 'into-a-secret', {
    solutionSecretName: 'solution',
    apiKeySecretRef: { name: 'own-key', key: 'api-key' },
  });
  await untilSolved('plain');
  const task = await untilSolved('into-a-secret');
  expect(task.status?.solution).toMatchObject({ secretRef: { name: 'solution' } });
});

test('tasks of other namespaces are left alone, and nothing was asked for that is not granted', async () => {
  await create('default', 'elsewhere');
  await create(NAMESPACE, 'afterwards');
  await untilSolved('afterwards');
  const elsewhere = objectOf<CaptchaTask>(await admin.get(pathOf('captchatasks', 'default', 'elsewhere')));
  expect(elsewhere.status).toBeUndefined();
  const requests = await plane.controlPlane.auditOf(OPERATOR);
  expect(requests.length).toBeGreaterThan(10);
  expect(requests.filter(({ allowed, namespace }) => !allowed || namespace !== NAMESPACE)).toEqual([]);
});
