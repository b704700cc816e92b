/**
 * `kubectl captcha doctor` against a real API server with the shipped manifests, a real operator and a real sidecar: it
 * finds nothing wrong, and names each fault that is planted. What only a kubelet or a controller writes (a Deployment's
 * status, pods) is written by the test.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPERATOR, objectOf } from '../../dev/control-plane/index.ts';
import { startFleet, type Fleet } from '../../dev/fleet.ts';
import { startInstallation, type Installation } from '../../dev/installation.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import type { Finding } from '../../src/cli/doctor/facts.ts';
import { cli } from '../support/cli.ts';
import { corePathOf, pathOf } from '../support/paths.ts';
import { kubectlFor, outputOf, type Kubectl } from '../support/kubectl.ts';
import { waitUntil } from '../support/wait-until.ts';

const SYSTEM = 'captcha-system';
const DEPLOYMENT = `/apis/apps/v1/namespaces/${SYSTEM}/deployments/captcha-operator`;
const LEASE = `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases/captcha-operator`;

let installation: Installation;
let simulator: Simulator;
let fleet: Fleet;
let scratch: string;
let kubectl: Kubectl;
let settings: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'doctor-'));
  installation = await startInstallation({ env: process.env });
  const { controlPlane, kubectl: program = '' } = installation;
  kubectl = kubectlFor(program, controlPlane.adminKubeconfig, scratch);
  await outputOf(kubectl(['apply', '-k', 'deploy/overlays/cluster-wide']));
  await outputOf(
    kubectl([
      '-n',
      SYSTEM,
      'create',
      'secret',
      'generic',
      'captcha-operator-provider',
      '--from-literal=api-key=not-shown',
    ]),
  );
  await outputOf(
    kubectl(['-n', SYSTEM, 'annotate', 'secret', 'captcha-operator-provider', 'captcha-operator.io/private=true']),
  );
  await outputOf(
    kubectl([
      '-n',
      SYSTEM,
      'create',
      'secret',
      'generic',
      'captcha-operator-callback-keys',
      '--from-literal=keys=not-shown',
    ]),
  );
  simulator = await startSimulator({ answerAfterMs: 200 });
  fleet = await startFleet({
    kubeconfig: await controlPlane.kubeconfigFor(OPERATOR),
    providerURL: simulator.url,
    operatorEnv: { LEADER_ELECTION: 'true' },
  });
  const names = await outputOf(kubectl(['-n', SYSTEM, 'get', 'configmap', '-o', 'name']));
  settings = /configmap\/(captcha-operator-settings\S*)/.exec(names)?.[1] ?? '';
  await callbackURL(fleet.callbackURL);
  await readyReplicas(2);
  await waitUntil('an operator to lead', async () => (await installation.admin.get(LEASE)).status === 200);
});

afterAll(async () => {
  await fleet?.stop();
  await simulator?.stop();
  await installation?.stop();
  await rm(scratch, { recursive: true, force: true });
});

async function callbackURL(url: string): Promise<void> {
  const patch = { data: { CALLBACK_URL: url } };
  objectOf(await installation.admin.patch(corePathOf('configmaps', SYSTEM, settings), patch, 'merge'));
}

async function readyReplicas(ready: number): Promise<void> {
  const { metadata } = objectOf<{ metadata: { generation: number } }>(await installation.admin.get(DEPLOYMENT));
  const status = { replicas: 2, readyReplicas: ready, observedGeneration: metadata.generation };
  objectOf(await installation.admin.patch(`${DEPLOYMENT}/status`, { status }, 'merge'));
}

interface Examined {
  code: number;
  text: string;
  findings: Finding[];
}

async function examine(kubeconfig = installation.controlPlane.adminKubeconfig): Promise<Examined> {
  const { code, stdout } = await cli(kubeconfig, ['doctor', '-A', '-o', 'json']);
  return { code, text: stdout, findings: JSON.parse(stdout) as Finding[] };
}

const wrong = ({ findings }: Examined): string[] =>
  findings.filter(({ level }) => level === 'fault' || level === 'warning').map(({ id }) => id);

/** A pod as a kubelet would report it. */
async function pod(name: string, containerStatus: object): Promise<() => Promise<void>> {
  const path = corePathOf('pods', SYSTEM, name);
  const restricted = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  };
  const manifest = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { 'app.kubernetes.io/name': 'captcha-operator' } },
    spec: {
      automountServiceAccountToken: false,
      containers: [{ name: 'operator', image: 'captcha-operator', securityContext: restricted }],
    },
  };
  objectOf(await installation.admin.create(corePathOf('pods', SYSTEM), manifest));
  const status = {
    containerStatuses: [
      { name: 'operator', image: '', imageID: '', ready: false, restartCount: 0, ...containerStatus },
    ],
  };
  objectOf(await installation.admin.patch(`${path}/status`, { status }, 'merge'));
  return async () => void objectOf(await installation.admin.delete(`${path}?gracePeriodSeconds=0`));
}

/** Removes an object and gives the way to bring it back as it was. */
async function without(path: string): Promise<() => Promise<void>> {
  const object = objectOf<{ metadata: Record<string, unknown> }>(await installation.admin.get(path));
  objectOf(await installation.admin.delete(path));
  const { name, namespace, annotations, labels } = object.metadata;
  const again = { ...object, metadata: { name, namespace, annotations, labels } };
  return async () => void objectOf(await installation.admin.create(path.slice(0, path.lastIndexOf('/')), again));
}

async function changed(path: string, there: object, back: object): Promise<() => Promise<void>> {
  objectOf(await installation.admin.patch(path, there, 'merge'));
  return async () => void objectOf(await installation.admin.patch(path, back, 'merge'));
}

const secretPath = (name: string): string => corePathOf('secrets', SYSTEM, name);
const definitionPath = (plural: string): string =>
  `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.captcha-operator.io`;

/** The finding, and how its fault is planted; each returns how it is mended. */
const FAULTS: [id: string, plant: () => Promise<() => Promise<void>>][] = [
  [
    'scaled-to-zero',
    async () => {
      const mend = await changed(DEPLOYMENT, { spec: { replicas: 0 } }, { spec: { replicas: 2 } });
      return async () => {
        await mend();
        await readyReplicas(2);
      };
    },
  ],
  [
    'not-ready',
    async () => {
      await readyReplicas(0);
      return () => readyReplicas(2);
    },
  ],
  ['pod-waiting', () => pod('no-image', { state: { waiting: { reason: 'ImagePullBackOff' } } })],
  [
    'wrong-setting',
    () =>
      pod('wrong-setting', {
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { exitCode: 2 } },
      }),
  ],
  ['callback-keys-missing', () => without(secretPath('captcha-operator-callback-keys'))],
  ['provider-key-missing', () => without(secretPath('captcha-operator-provider'))],
  [
    'provider-key-open',
    () =>
      changed(
        secretPath('captcha-operator-provider'),
        { metadata: { annotations: { 'captcha-operator.io/private': null } } },
        { metadata: { annotations: { 'captcha-operator.io/private': 'true' } } },
      ),
  ],
  ['operator-forbidden', () => without('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/captcha-operator')],
  [
    'callback-foreign',
    async () => {
      const server = createServer((_request, response) => response.writeHead(404).end('default backend'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      await callbackURL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      return async () => {
        await new Promise((resolve) => server.close(resolve));
        await callbackURL(fleet.callbackURL);
      };
    },
  ],
  [
    'callback-unreachable',
    async () => {
      await callbackURL('http://127.0.0.1:9');
      return () => callbackURL(fleet.callbackURL);
    },
  ],
  [
    'MissingAPIKey',
    async () => {
      const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4A', pageURL: 'https://shop.example/' } };
      const spec = { captcha, apiKeySecretRef: { name: 'absent', key: 'api-key' } };
      const manifest = {
        apiVersion: 'captcha-operator.io/v1alpha1',
        kind: 'CaptchaTask',
        metadata: { name: 'keyless' },
        spec,
      };
      objectOf(await installation.admin.create(pathOf('captchatasks', 'default'), manifest));
      await waitUntil('the task to wait for its key', async () => wrong(await examine()).includes('MissingAPIKey'));
      return async () => void objectOf(await installation.admin.delete(pathOf('captchatasks', 'default', 'keyless')));
    },
  ],
  [
    'abandoned',
    async () => {
      const time = '2026-01-01T00:00:00Z';
      const spec = {
        taskRef: { name: 'gone', uid: 'b7b2a1c0-0000-4000-8000-000000000001' },
        attempt: 1,
        captchaID: '1',
        stage: 'WriteSecret',
        source: 'Callback',
        payload: { code: 'not-shown' },
        error: { class: 'Forbidden', message: 'not allowed' },
        receivedTime: time,
      };
      const manifest = {
        apiVersion: 'captcha-operator.io/v1alpha1',
        kind: 'DeadLetter',
        metadata: { name: 'given-up' },
        spec,
      };
      objectOf(await installation.admin.create(pathOf('deadletters', 'default'), manifest));
      const status = {
        phase: 'Abandoned',
        attempts: 30,
        completionTime: new Date().toISOString().replace(/\.\d+/, ''),
      };
      objectOf(
        await installation.admin.patch(pathOf('deadletters', 'default', 'given-up', 'status'), { status }, 'merge'),
      );
      return async () => void objectOf(await installation.admin.delete(pathOf('deadletters', 'default', 'given-up')));
    },
  ],
];

describe('doctor', () => {
  test('finds nothing wrong with a sound installation, and shows no key', async () => {
    const examined = await examine();
    expect(examined.findings.filter(({ level }) => level !== 'fine')).toEqual([]);
    expect(examined.code).toBe(0);
    expect(examined.text).not.toContain('not-shown');
  });

  test.each(FAULTS)('names %s where it is planted, with what to do, and not after it was mended', async (id, plant) => {
    const mend = await plant();
    const examined = await examine();
    await mend();
    expect(wrong(examined)).toContain(id);
    expect(examined.findings.find((one) => one.id === id)?.cure).toMatch(/\S/);
    expect(examined.text).not.toContain('not-shown');
    expect(wrong(await examine())).toEqual([]);
  });

  test('says what the caller may not see, and takes none of it for fine', async () => {
    const { code, findings } = await examine(await installation.controlPlane.kubeconfigFor(OPERATOR));
    const unseen = findings.filter(({ level }) => level === 'unseen').map(({ id }) => id);
    expect(unseen).toEqual(expect.arrayContaining(['crd', 'operator', 'pods', 'operator-rights']));
    expect(findings.filter(({ id, level }) => unseen.includes(id) && level === 'fine')).toEqual([]);
    expect(code).toBe(0);
  });

  test('names a Lease that is not renewed any more, and one that is gone', async () => {
    await fleet.operators[0]?.stop();
    const stale = { spec: { holderIdentity: 'a-dead-pod', renewTime: '2026-01-01T00:00:00.000000Z' } };
    objectOf(await installation.admin.patch(LEASE, stale, 'merge'));
    expect(wrong(await examine())).toEqual(['lease-stale']);
    objectOf(await installation.admin.delete(LEASE));
    expect(wrong(await examine())).toEqual(['no-lease']);
  });

  test('names a definition that is gone', async () => {
    objectOf(await installation.admin.delete(definitionPath('deadletters')));
    await waitUntil(
      'it to be gone',
      async () => (await installation.admin.get(definitionPath('deadletters'))).status === 404,
    );
    const { code, findings } = await examine();
    expect(findings.find(({ id }) => id === 'crd-missing')?.says).toBe('There is no definition of deadletters.');
    expect(code).toBe(1);
  });
});
