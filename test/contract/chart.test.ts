/**
 * The chart and the kustomize overlays install the same: both are rendered by the real programs and compared object by
 * object, and what values change is looked at. test/cluster/chart.test.ts installs it.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { IMAGE_FLAGS } from '../../dev/child.ts';
import { ensureAssets } from '../../dev/control-plane/index.ts';
import { ensureHelm } from '../../dev/helm/index.ts';
import { CHART, helmFor, parseManifests, renderChart, type Helm, type Rendered } from '../support/helm.ts';
import { kubectlFor, outputOf, type Kubectl } from '../support/kubectl.ts';
import { listenOnLoopback } from '../support/loopback-server.ts';

/** The first run on a machine builds Helm, and perhaps kubectl. */
const BUILD_MS = 900_000;
let helm: Helm;
let kubectl: Kubectl;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'chart-'));
  const { kubectl: program = '' } = await ensureAssets({ log: () => {}, env: process.env });
  helm = helmFor(await ensureHelm({ log: () => {}, env: process.env }), scratch);
  kubectl = kubectlFor(program, join(scratch, 'none'), scratch);
}, BUILD_MS);

afterAll(() => rm(scratch, { recursive: true, force: true }));

const BY_TOOL = [
  'app.kubernetes.io/version',
  'app.kubernetes.io/part-of',
  'app.kubernetes.io/managed-by',
  'helm.sh/chart',
];

/** What the two tools are known to do differently, and nothing else, is taken away. */
function comparable(objects: Rendered[]): Record<string, unknown> {
  const kept = objects.filter(({ kind, metadata }) => {
    // Helm makes the namespace by itself (--create-namespace); its test is no part of the installation.
    return kind !== 'Namespace' && metadata.annotations?.['helm.sh/hook'] === undefined;
  });
  return Object.fromEntries(kept.map((object) => [`${object.kind}/${object.metadata.name}`, withoutTool(object)]));
}

function withoutTool(object: Rendered): unknown {
  const { metadata } = object;
  for (const label of BY_TOOL) delete metadata.labels?.[label];
  if (Object.keys(metadata.labels ?? {}).length === 0) delete metadata.labels;
  delete metadata.annotations?.['helm.sh/resource-policy'];
  if (Object.keys(metadata.annotations ?? {}).length === 0) delete metadata.annotations;
  // kustomize takes the admission policy for a namespaced object; the API server drops the field.
  if (object.kind.startsWith('ValidatingAdmissionPolicy')) delete metadata.namespace;
  return { ...object, spec: withComparablePod(object['spec'] as Spec | undefined) };
}

interface Spec {
  template?: PodTemplate;
}

function withComparablePod(spec: Spec | undefined): Spec | undefined {
  if (spec?.template === undefined) return spec;
  const { metadata, spec: pod } = spec.template;
  // Helm rolls the pods by a sum of the settings, kustomize by a ConfigMap with another name.
  delete metadata.annotations?.['checksum/settings'];
  pod.containers.sort((a, b) => a.name.localeCompare(b.name));
  return spec;
}

interface PodTemplate {
  metadata: { annotations?: Record<string, string> };
  spec: { containers: { name: string; image: string }[]; imagePullSecrets?: object[] };
}

async function renderOverlay(name: string): Promise<Rendered[]> {
  const text = await outputOf(kubectl(['kustomize', `deploy/overlays/${name}`]));
  return parseManifests(text.replaceAll(/(captcha-operator-settings)-[a-z0-9]{10}\b/g, '$1'));
}

describe('the chart makes the objects of the overlay', () => {
  test.each([
    ['cluster-wide', {}],
    ['single-namespace', { singleNamespace: true }],
    ['durable-spool', { durableSpool: { enabled: true } }],
    ['monitoring', { monitoring: { enabled: true } }],
  ])('%s', async (overlay, values) => {
    const chart = await renderChart(helm, values);
    expect(chart.filter(({ metadata }) => metadata.labels?.['app.kubernetes.io/managed-by'] !== 'Helm')).toEqual([]);
    expect(comparable(chart)).toEqual(comparable(await renderOverlay(overlay)));
  });
});

function podOf(objects: Rendered[]): PodTemplate {
  const workload = objects.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  if (workload === undefined) throw new Error('the chart has neither Deployment nor StatefulSet');
  return (workload['spec'] as { template: PodTemplate }).template;
}

describe('the gateway', () => {
  test('is what its component adds to an overlay', async () => {
    const text = await outputOf(kubectl(['kustomize', 'deploy/examples/client-gateway']));
    const overlay = parseManifests(text.replaceAll(/(captcha-operator-settings)-[a-z0-9]{10}\b/g, '$1'));
    expect(comparable(await renderChart(helm, { gateway: { enabled: true } }))).toEqual(comparable(overlay));
  });

  test('speaks https as its second component adds it', async () => {
    const text = await outputOf(kubectl(['kustomize', 'deploy/examples/client-gateway-tls']));
    const overlay = parseManifests(text.replaceAll(/(captcha-operator-settings)-[a-z0-9]{10}\b/g, '$1'));
    const ours = overlay.filter(({ apiVersion }) => !String(apiVersion).startsWith('cert-manager.io/'));
    const chart = await renderChart(helm, { gateway: { enabled: true, tls: { enabled: true } } });
    expect(comparable(chart)).toEqual(comparable(ours));
  });

  test('has rights in one namespace, and watches it alone, where the operator does', async () => {
    const objects = await renderChart(helm, { singleNamespace: true, gateway: { enabled: true } }, 'team-a');
    const own = objects.filter(({ metadata }) => metadata.name === 'captcha-gateway');
    const [binding] = own.filter(({ kind }) => kind.endsWith('Binding'));
    expect([binding?.kind, binding?.metadata.namespace]).toEqual(['RoleBinding', 'team-a']);
    const workload = own.find(({ kind }) => kind === 'Deployment');
    expect(JSON.stringify(workload)).toContain('"name":"WATCH_NAMESPACES","valueFrom"');
  });
});

describe('the values', () => {
  test('are found good by helm lint', async () => {
    const { code, stdout } = await helm(['lint', '--strict', CHART]);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('0 chart(s) failed') as string });
  });

  test('move everything to the namespace of the release', async () => {
    const objects = await renderChart(helm, { singleNamespace: true }, 'team-a');
    expect(JSON.stringify(objects)).not.toContain('captcha-system');
    expect(objects.map(({ kind }) => kind)).not.toContain('ClusterRoleBinding');
  });

  test('leave out what belongs to the whole cluster where another release has it', async () => {
    const objects = await renderChart(helm, { clusterObjects: false, crds: { enabled: false }, singleNamespace: true });
    expect(objects.filter(({ kind }) => /^(Cluster|Custom|Validating)/.test(kind))).toEqual([]);
  });

  test('name the image by its digest, a registry with a port, and a secret for it', async () => {
    const image = { repository: 'registry.example.com:5000/captcha', digest: `sha256:${'0a'.repeat(32)}` };
    const { spec } = podOf(await renderChart(helm, { image, imagePullSecrets: [{ name: 'pull' }] }));
    const names = new Set(spec.containers.map((container) => container.image));
    expect(names).toEqual(new Set([`${image.repository}@${image.digest}`]));
    expect(spec.imagePullSecrets).toEqual([{ name: 'pull' }]);
  });

  test('become environment variables as they are written, and a change rolls the pods', async () => {
    const settings = { DEAD_LETTER_TTL_SECONDS: 1_000_000, LEADER_ELECTION: true, CALLBACK_URL: 'https://a.example' };
    const [before, after] = [await renderChart(helm), await renderChart(helm, { settings })];
    const made = after.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.endsWith('settings'));
    expect(made?.['data']).toEqual({
      LOG_LEVEL: 'info',
      DEAD_LETTER_TTL_SECONDS: '1000000',
      LEADER_ELECTION: 'true',
      CALLBACK_URL: 'https://a.example',
    });
    const sums = [before, after].map((objects) => podOf(objects).metadata.annotations?.['checksum/settings']);
    expect(sums[0]).not.toBe(sums[1]);
  });

  test('open further ports, and take the user of the pods from the cluster where they name none', async () => {
    const podSecurityContext = { runAsUser: null, runAsGroup: null, fsGroup: null };
    const objects = await renderChart(helm, { networkPolicy: { egressPorts: [3128] }, podSecurityContext });
    const policy = objects.find(({ kind }) => kind === 'NetworkPolicy');
    expect(JSON.stringify(policy)).toContain('{"ports":[{"port":3128,"protocol":"TCP"}]}');
    expect(JSON.stringify(podOf(objects))).not.toContain('65532');
  });

  test('give the operator the Secrets of the namespaces that they name, as deploy/tenant does, and of no others', async () => {
    const objects = await renderChart(helm, { tenantNamespaces: ['shop', 'team-a'] });
    const ofTenants = objects.filter(({ metadata }) => metadata.name === 'captcha-operator-tenant');
    const places = ofTenants.map(({ kind, metadata }) => `${metadata.namespace}/${kind}`);
    expect(places.toSorted()).toEqual(['shop/Role', 'shop/RoleBinding', 'team-a/Role', 'team-a/RoleBinding']);
    const template = parseManifests(await outputOf(kubectl(['kustomize', 'deploy/tenant'])));
    for (const { metadata } of template) metadata.namespace = 'team-a';
    expect(comparable(ofTenants.filter(({ metadata }) => metadata.namespace === 'team-a'))).toEqual(
      comparable(template),
    );
  });

  test('let the operator hold a Lease of another name', async () => {
    const objects = await renderChart(helm, { settings: { LEASE_NAME: 'second' } });
    const role = objects.find(({ metadata }) => metadata.name === 'captcha-operator-lease');
    expect(JSON.stringify(role)).toContain('"resourceNames":["second"]');
  });

  test.each([
    ['a key in clear', { settings: { PROVIDER_API_KEY: 'CANARY' } }, 'PROVIDER_API_KEY'],
    ['a name that does not exist', { replicaCount: 3 }, 'replicaCount'],
    ['an image with capitals', { image: { repository: 'ghcr.io/Example/captcha' } }, 'repository'],
    ['a setting in lower case', { settings: { log_level: 'debug' } }, 'log_level'],
  ])('that are wrong are refused by name: %s', async (_, values, name) => {
    const { code, stderr } = await helm(['template', 'x', CHART], values);
    expect(code).not.toBe(0);
    expect(stderr).toContain(name);
    expect(stderr).not.toContain('CANARY');
  });
});

/** How the program of the chart's test pod ends when the Service answers with this status. */
async function answered(status: number): Promise<number | null> {
  const pods = (await renderChart(helm)).filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'test');
  const [args = []] = pods.map(({ spec }) => (spec as { containers: { args: string[] }[] }).containers[0]?.args);
  const server = createServer((_request, response) => response.writeHead(status).end());
  const closers: (() => unknown)[] = [];
  const url = `http://127.0.0.1:${await listenOnLoopback(server, closers)}`;
  const here = args.map((arg) => arg.replace('http://captcha-operator-callback', url));
  const child = spawn(process.execPath, [...IMAGE_FLAGS, ...here]);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  for (const close of closers) await close();
  return code;
}

describe('helm test', () => {
  test('passes when a sidecar refuses a callback that nobody signed, and only then', async () => {
    expect(await answered(404)).toBe(0);
    expect(await answered(200)).toBe(1);
    expect(await answered(503)).toBe(1);
  });
});
