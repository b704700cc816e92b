/**
 * Everything under deploy/ is applied by the real kubectl to a real API server with strict validation, in a control
 * plane of its own, because an admission policy or an uninstall would disturb other tests. No pods run here: what the
 * API server can judge is judged (schemas, admission, Pod Security), what a kubelet would do is not.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { startBarePlane, type BarePlane } from '../support/bare-plane.ts';
import { ROOT, outputOf, type Kubectl } from '../support/kubectl.ts';
import { waitUntil } from '../support/wait-until.ts';

let plane: BarePlane;
let kubectl: Kubectl;
let program: string;

beforeAll(async () => {
  plane = await startBarePlane();
  ({ kubectl, program } = plane);
  await plane.define('-f', 'test/fixtures/foreign-crds');
});

afterAll(async () => {
  await plane?.stop();
});

/** A new kind is served some moments after its definition; kubectl's own advice is to apply again. */
async function apply(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return waitUntil(`the new kinds to be served, for kubectl apply ${args.join(' ')}`, async () => {
    const result = await kubectl(['apply', '--validate=strict', ...args]);
    return /no matches for kind|the server could not find the requested resource/.test(result.stderr)
      ? undefined
      : result;
  });
}

interface PodSpec {
  containers: {
    name: string;
    env: { name: string; value?: string }[];
    resources?: unknown;
    securityContext: Record<string, unknown>;
    volumeMounts: { name: string }[];
  }[];
  volumes: { name: string }[];
}

interface Workload {
  kind: string;
  metadata: { name: string; namespace: string };
  spec: { template: { metadata: object; spec: PodSpec }; volumeClaimTemplates?: { metadata: { name: string } }[] };
}

interface Role {
  rules: { resources: string[]; resourceNames?: string[] }[];
}

async function render(folder: string): Promise<Workload[]> {
  const text = await outputOf(kubectl(['kustomize', folder]));
  return parseAllDocuments(text).map((document) => document.toJS() as Workload);
}

const OVERLAYS = ['cluster-wide', 'single-namespace', 'monitoring', 'durable-spool'];

describe('the overlays', () => {
  test.each(OVERLAYS)('%s applies with strict validation and without a warning', async (overlay) => {
    const { stdout, stderr } = await apply('-k', `deploy/overlays/${overlay}`);
    expect(stderr).toBe('');
    expect(stdout).toContain('customresourcedefinition.apiextensions.k8s.io/captchatasks.captcha-operator.io');
    expect(stdout).toMatch(/(deployment|statefulset)\.apps\/captcha-operator/);
  });

  test.each(OVERLAYS)('%s changes nothing when it is applied again', async (overlay) => {
    const versions = (): Promise<string> => {
      const each = '{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}';
      return outputOf(kubectl(['get', '-k', `deploy/overlays/${overlay}`, '-o', `jsonpath=${each}`]));
    };
    await apply('-k', `deploy/overlays/${overlay}`);
    const before = await versions();
    // kubectl says "configured" for a budget in any case; the resourceVersion tells whether anything was written.
    await apply('-k', `deploy/overlays/${overlay}`);
    expect(await versions()).toBe(before);
  });

  test.each(OVERLAYS)('%s makes pods that the restricted Pod Security Standard admits', async (overlay) => {
    const workload = (await render(`deploy/overlays/${overlay}`)).find(({ kind }) =>
      /Deployment|StatefulSet/.test(kind),
    );
    const pod = podOf(workload);
    const { stdout, stderr, code } = await createPod(pod);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('created (server dry run)');
    // The same pod with one right too many is refused, so the check above means something.
    pod.spec.containers[0]!.securityContext['allowPrivilegeEscalation'] = true;
    expect((await createPod(pod)).stderr).toContain('violates PodSecurity "restricted:latest"');
  });

  test.each(OVERLAYS)('%s lets the operator hold its Lease', async (overlay) => {
    const roles = (await render(`deploy/overlays/${overlay}`)).filter(
      ({ kind }) => kind === 'Role',
    ) as unknown as Role[];
    const leases = roles.flatMap(({ rules }) => rules).filter(({ resources }) => resources.includes('leases'));
    expect(leases.flatMap(({ resourceNames }) => resourceNames ?? [])).toEqual(['captcha-operator']);
  });

  test.each([
    ['cluster-wide', 'install.yaml'],
    ['single-namespace', 'install-single-namespace.yaml'],
    ['monitoring', 'install-monitoring.yaml'],
    ['durable-spool', 'install-durable-spool.yaml'],
  ])('%s becomes one file, %s, that differs from it in the image only', async (overlay, file) => {
    const image = `registry.example.com/captcha@sha256:${'0a'.repeat(32)}`;
    const released = await readFile(join(await releaseWith(image), file), 'utf8');
    expect(released.match(/^ +image: .*$/gm)?.map((line) => line.trim())).toEqual([
      `image: ${image}`,
      `image: ${image}`,
    ]);
    const rendered = await outputOf(kubectl(['kustomize', `deploy/overlays/${overlay}`]));
    expect(released).toBe(rendered.replaceAll(/(image: )captcha-operator:.*$/gm, `$1${image}`));
  });

  test('single-namespace grants nothing outside its namespace', async () => {
    const kinds = (await render('deploy/overlays/single-namespace')).map(({ kind }) => kind);
    expect(kinds).not.toContain('ClusterRoleBinding');
  });

  test('single-namespace moves to another namespace by one line of an overlay', async () => {
    const moved = await outputOf(kubectl(['kustomize', 'test/fixtures/moved-overlay']));
    expect(moved).not.toContain('captcha-system');
    expect(moved.match(/namespace: team-a/g)?.length).toBeGreaterThan(8);
  });

  test('durable-spool differs from the Deployment in its volume only', async () => {
    const [deployment] = (await render('deploy/overlays/cluster-wide')).filter(({ kind }) => kind === 'Deployment');
    const rendered = await render('deploy/overlays/durable-spool');
    const [set] = rendered.filter(({ kind }) => kind === 'StatefulSet');
    expect(rendered.filter(({ kind }) => kind === 'Deployment')).toEqual([]);
    expect(withoutSpool(set)).toEqual(withoutSpool(deployment));
  });
});

let release: Promise<string> | undefined;

/** The folder that `npm run manifests` fills, with the kubectl of this control plane. */
function releaseWith(image: string): Promise<string> {
  const out = join(plane.scratch, 'release');
  release ??= promisify(execFile)(process.execPath, ['scripts/manifests.ts', '--image', image, '--out', out], {
    cwd: ROOT,
    env: { PATH: `${dirname(program)}:/usr/bin:/bin` },
  }).then(() => out);
  return release;
}

/** A Pod as the workload's controller makes it; the controller adds a volume for each claim template. */
function podOf(workload: Workload | undefined): { apiVersion: string; kind: string; metadata: object; spec: PodSpec } {
  if (workload === undefined) throw new Error('the overlay has neither Deployment nor StatefulSet');
  const { template, volumeClaimTemplates = [] } = structuredClone(workload.spec);
  const claims = volumeClaimTemplates.map(({ metadata: { name } }) => ({
    name,
    persistentVolumeClaim: { claimName: name },
  }));
  const metadata = { ...template.metadata, name: 'pod', namespace: 'captcha-system' };
  const spec = { ...template.spec, volumes: [...template.spec.volumes, ...claims] };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec };
}

function createPod(pod: object): ReturnType<Kubectl> {
  return kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(pod));
}

function withoutSpool(workload: Workload | undefined): unknown {
  const spec = structuredClone(workload?.spec.template.spec) as PodSpec;
  const callback = spec.containers.find(({ name }) => name === 'callback');
  if (callback !== undefined) delete callback.resources;
  const volumes = spec.volumes.filter(({ name }) => name !== 'spool');
  const containers = spec.containers.toSorted((a, b) => a.name.localeCompare(b.name));
  return { ...spec, volumes, containers, metadata: workload?.spec.template.metadata };
}

describe('the examples', () => {
  beforeAll(async () => {
    await apply('-k', 'deploy/overlays/cluster-wide');
    for (const name of ['shop', 'team-a']) await outputOf(kubectl(['create', 'namespace', name]));
  });

  test.each(['ingress', 'gateway', 'flow-schema', 'resource-quota', 'program'])(
    '%s applies without a warning',
    async (name) => {
      expect((await apply('-f', `deploy/examples/${name}.yaml`)).stderr).toBe('');
    },
  );

  test.each(['task', 'tasks', 'job'])('examples/%s.yaml is accepted without a warning', async (name) => {
    const { stdout, stderr } = await apply('--dry-run=server', '-f', `examples/${name}.yaml`);
    expect(stderr).toBe('');
    expect(stdout).toContain('captchatask.captcha-operator.io/');
  });

  test('the tenant template applies to a namespace by kubectl --namespace', async () => {
    const { stdout, stderr } = await apply('--namespace', 'team-a', '-k', 'deploy/tenant');
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n')).toHaveLength(2);
    expect(await may('get', 'team-a')).toBe('yes');
    expect(await may('list', 'team-a')).toBe('no');
    expect(await may('get', 'shop')).toBe('no');
  });

  test('the operator may create the solution Secret of a task and no other: a token Secret would make it any account', async () => {
    const tokenOf = { annotations: { 'kubernetes.io/service-account.name': 'default' } };
    const token = 'kubernetes.io/service-account-token';
    await waitUntil('the API server to enforce the policy', async () => {
      return (await createSecret(token, tokenOf, AS_OPERATOR)).stderr.includes('and no others');
    });
    const owner = { apiVersion: 'captcha-operator.io/v1alpha1', kind: 'CaptchaTask', name: 'login', uid: 'u' };
    const ofTask = { ownerReferences: [owner] };
    const ofPod = { ownerReferences: [{ ...owner, apiVersion: 'v1', kind: 'Pod' }] };
    const solution = 'captcha-operator.io/solution';
    expect(await createSecret(solution, ofTask, AS_OPERATOR)).toMatchObject({ code: 0 });
    for (const [type, metadata] of [
      [solution, {}],
      [solution, ofPod],
      ['Opaque', ofTask],
    ] as const) {
      expect((await createSecret(type, metadata, AS_OPERATOR)).stderr).toContain('and no others');
    }
    expect(await createSecret('Opaque', {})).toMatchObject({ code: 0 });
  });

  test('the overlay of your own renders with its host and its image', async () => {
    const text = await outputOf(kubectl(['kustomize', 'deploy/examples/overlay']));
    expect(text).toContain('CALLBACK_URL: https://captcha.example.com');
    expect(text).toContain('image: registry.example.com/captcha-operator:0.1.0');
  });

  test('a shard is an installation of its own whose operator and sidecar watch its namespaces', async () => {
    const rendered = await render('deploy/examples/shard');
    const workload = rendered.find(({ kind }) => kind === 'Deployment');
    const watched = workload?.spec.template.spec.containers.map(({ env }) =>
      env.filter(({ name }) => name === 'WATCH_NAMESPACES'),
    );
    const entry = { name: 'WATCH_NAMESPACES', value: 'team-a,team-b' };
    expect(watched).toEqual([[entry], [entry]]);
    expect(workload?.metadata.namespace).toBe('captcha-shard-a');
    expect(rendered.some(({ kind }) => kind === 'ClusterRoleBinding')).toBe(false);
  });

  test.each(['moved-deployment', 'statefulset'])(
    'the component with root files gives them to the sidecar alone, and applies (%s)',
    async (name) => {
      const folder = `test/fixtures/root-files/${name}`;
      const rendered = await render(folder);
      const workload = rendered.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
      const { containers, volumes } = workload!.spec.template.spec;
      const mount = { name: 'root-files', mountPath: '/etc/captcha-operator/root-files', readOnly: true };
      expect(
        containers.map((container) => [container.name, container.volumeMounts.some((it) => it.name === mount.name)]),
      ).toEqual([
        ['operator', false],
        ['callback', true],
      ]);
      expect(containers[1]?.volumeMounts).toContainEqual(mount);
      expect(volumes.filter(({ name: volume }) => volume === mount.name)).toEqual([
        { name: mount.name, configMap: { name: 'captcha-operator-root-files', optional: true, defaultMode: 0o444 } },
      ]);
      const text = await outputOf(kubectl(['kustomize', folder]));
      expect(text).toContain(`CALLBACK_ROOT_FILES: ${mount.mountPath}\n`);
      expect(text).toContain('LOG_LEVEL: info\n');
      const { namespace } = workload!.metadata;
      const files = rendered.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.endsWith('root-files'));
      expect(files?.metadata.namespace).toBe(namespace);
      if (name === 'statefulset') expect((await apply('-k', folder)).stderr).toBe('');
    },
  );

  test('the admission policy demands an own key outside the listed namespaces', async () => {
    expect((await apply('-f', 'deploy/examples/admission-policy.yaml')).stderr).toBe('');
    await waitUntil('the API server to enforce the policy', async () => (await createTask('team-a')).code !== 0);
    expect((await createTask('team-a')).stderr).toContain('need spec.apiKeySecretRef');
    expect(await createTask('shop')).toMatchObject({ code: 0 });
    const own = { apiKeySecretRef: { name: 'captchaai', key: 'api-key' } };
    expect(await createTask('team-a', own)).toMatchObject({ code: 0 });
    await outputOf(kubectl(['delete', '-f', 'deploy/examples/admission-policy.yaml']));
  });

  test('the policy for Secrets lets a task name only what its author may read', async () => {
    const ci = '--as=system:serviceaccount:team-a:captcha-program';
    await waitUntil('the policy before to be forgotten', async () => (await createTask('team-a')).code === 0);
    await apply('-n', 'team-a', '-f', 'deploy/examples/program.yaml');
    const readOne = ['create', 'role', 'read-one', '--verb=get', '--resource=secrets', '--resource-name=captchaai'];
    await outputOf(kubectl([...readOne, '-n', 'team-a']));
    const bind = ['create', 'rolebinding', 'read-one', '--role=read-one', '--serviceaccount=team-a:captcha-program'];
    await outputOf(kubectl([...bind, '-n', 'team-a']));
    expect((await apply('-f', 'deploy/examples/admission-policy-secrets.yaml')).stderr).toBe('');
    const proxy = { proxy: { type: 'HTTP', secretRef: { name: 'database', key: 'url' } } };
    const picture = { bodyFrom: { secretKeyRef: { name: 'database', key: 'url' } } };
    const named = [
      key('database'),
      proxy,
      { captcha: { type: 'Image', image: picture } },
      { captcha: { type: 'Grid', grid: { ...picture, rows: 3, columns: 3, instructions: 'select all buses' } } },
    ];
    await waitUntil('the policy to be enforced', async () =>
      (await createTask('team-a', named[0], ci)).stderr.includes('you may not read'),
    );
    for (const more of named) {
      expect((await createTask('team-a', more, ci)).stderr).toContain('you may not read the Secret database');
      // The administrator may read it.
      expect(await createTask('team-a', more)).toMatchObject({ code: 0 });
    }
    expect(await createTask('team-a', key('captchaai'), ci)).toMatchObject({ code: 0 });
    // Three at once are asked about within what the API server lets a policy cost.
    expect(await createTask('team-a', { ...key('captchaai'), ...proxy, ...named[2] })).toMatchObject({ code: 0 });
    expect(await createTask('team-a', {}, ci)).toMatchObject({ code: 0 });
    await outputOf(kubectl(['delete', '-f', 'deploy/examples/admission-policy-secrets.yaml']));
  });
});

const AS_OPERATOR = '--as=system:serviceaccount:captcha-system:captcha-operator';

/** Whether the operator may do this to Secrets of that namespace. */
async function may(verb: string, namespace: string): Promise<string> {
  return (await kubectl(['auth', 'can-i', verb, 'secrets', '--namespace', namespace, AS_OPERATOR])).stdout.trim();
}

/** Asks the API server to judge a Secret in a tenant's namespace. */
function createSecret(type: string, metadata: object, ...who: string[]): ReturnType<Kubectl> {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'one', namespace: 'team-a', ...metadata },
    type,
  };
  return kubectl(['create', '--dry-run=server', '-f', '-', ...who], JSON.stringify(secret));
}

const key = (name: string): object => ({ apiKeySecretRef: { name, key: 'api-key' } });

/** Asks the API server to judge a task in that namespace. */
function createTask(namespace: string, more: object = {}, ...who: string[]): ReturnType<Kubectl> {
  const captcha = { type: 'GeeTestV4', geeTestV4: { captchaID: 'a', pageURL: 'https://example.com' } };
  const task = { ...objectOf('CaptchaTask', 'login', namespace), spec: { captcha, ...more } };
  return kubectl(['create', '--dry-run=server', '-f', '-', ...who], JSON.stringify(task));
}

function objectOf(kind: string, name: string, namespace: string): object {
  return { apiVersion: 'captcha-operator.io/v1alpha1', kind, metadata: { name, namespace } };
}

const LETTER = {
  ...objectOf('DeadLetter', 'login-letter', 'default'),
  spec: {
    taskRef: { name: 'login', uid: '4c8a3f0e-0000-4000-8000-000000000001' },
    attempt: 1,
    captchaID: '7383820914',
    stage: 'WriteSecret',
    source: 'Callback',
    payload: { code: 'a-solution' },
    error: { class: 'Forbidden', message: 'secrets is forbidden' },
    receivedTime: '2026-01-01T00:00:00Z',
  },
};

describe('uninstalling', () => {
  test('leaves nothing behind that blocks a namespace, with tasks and letters still there', async () => {
    await apply('-k', 'deploy/overlays/cluster-wide');
    await waitUntil(
      'a task to be accepted',
      async () => (await kubectl(['create', '-f', 'examples/task.yaml'])).code === 0,
    );
    await outputOf(kubectl(['create', '-f', '-'], JSON.stringify(LETTER)));
    const objects = await outputOf(
      kubectl(['get', 'captchatasks,deadletters', '-A', '-o', 'jsonpath={.items[*].metadata.finalizers}']),
    );
    expect(objects).toBe('');
    // Namespaces are emptied by a controller that does not run here, so they are not waited for.
    await outputOf(kubectl(['delete', '-k', 'deploy/overlays/cluster-wide', '--wait=false']));
    await waitUntil('the definitions, and with them every task and letter, to be gone', async () => {
      const { stdout } = await kubectl(['get', 'crd', '-o', 'name']);
      return !stdout.includes('captcha-operator.io');
    });
    expect((await kubectl(['get', 'captchatasks', '-A'])).code).not.toBe(0);
  });
});
