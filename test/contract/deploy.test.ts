/**
 * What must agree between deploy/ and the rest, read as YAML without a cluster: copies of the CRDs, ports, versions,
 * and the promises about rights and pods that a careless edit would break. test/cluster/manifests.test.ts applies it all.
 */
import { GATEWAY_FLAGS, IMAGE_ENV, IMAGE_FLAGS } from '../../dev/child.ts';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { STOP_MS as CALLBACK_STOP_MS } from '../../src/callback/server.ts';
import { STOP_MS as GATEWAY_STOP_MS } from '../../src/gateway/server.ts';
import { parseGatewayConfig } from '../../src/ops/config.ts';
import { DRAIN_MS } from '../../src/core/task/policy.ts';
import { copies } from '../../scripts/generate-deploy.ts';
import { CHART } from '../support/helm.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}
interface Manifest {
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  rules?: Rule[];
}

const files = readdirSync(join(ROOT, 'deploy'), { recursive: true, encoding: 'utf8' })
  // Of the chart only copies are plain YAML; test/contract/chart.test.ts renders it.
  .filter((name) => name.endsWith('.yaml') && !name.startsWith('helm/'))
  .map((name) => `deploy/${name}`);
const manifests = files.flatMap((file) =>
  parseAllDocuments(read(file)).map((document) => ({ file, manifest: document.toJS() as Manifest })),
);

interface Container {
  name: string;
  image: string;
  args: string[];
  ports: { name: string; containerPort: number }[];
  readinessProbe?: object;
  livenessProbe: object;
  resources: { requests: object; limits: Record<string, string> };
}
interface WeightedTerm {
  podAffinityTerm: { topologyKey: string; labelSelector: { matchLabels: object } };
}
const deployment = parse(read('deploy/base/deployment.yaml')) as {
  spec: {
    strategy: { rollingUpdate: object };
    template: {
      spec: {
        terminationGracePeriodSeconds: number;
        containers: Container[];
        volumes: { secret?: { secretName: string; optional?: boolean } }[];
        topologySpreadConstraints?: unknown;
        affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: WeightedTerm[] } };
      };
    };
  };
};
const pod = deployment.spec.template.spec;
const containerNamed = (name: string): Container => {
  const found = pod.containers.find((container) => container.name === name);
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
};

function portsOf(name: string): number[] {
  return containerNamed(name).ports.map((port) => port.containerPort);
}

describe('the definitions', () => {
  test('crds/ holds the two CRDs and nothing else', () => {
    expect(readdirSync(join(ROOT, 'crds')).toSorted()).toEqual(['captchatask.yaml', 'deadletter.yaml']);
  });

  test.each(copies())('%s has its copy in %s', (from, to) => {
    const isCopy = existsSync(join(ROOT, to)) && read(from) === read(to);
    expect(isCopy, 'run: npm run generate:deploy').toBe(true);
  });

  test('the chart holds no copies but those', () => {
    const made = new Set(copies().map(([, to]) => to));
    const files = readdirSync(join(ROOT, CHART, 'files'), { recursive: true, withFileTypes: true });
    const found = files.filter((file) => file.isFile()).map((file) => relative(ROOT, join(file.parentPath, file.name)));
    expect(found.filter((file) => !made.has(file))).toEqual([]);
  });
});

describe('rights', () => {
  const rules = manifests.flatMap(({ file, manifest }) =>
    (manifest.rules ?? []).map((rule) => ({ file, manifest, rule })),
  );

  test('nothing is added to the role view: tasks and letters hold solutions', () => {
    const labels = manifests.flatMap(({ manifest }) => Object.keys(manifest.metadata?.labels ?? {}));
    expect(labels.filter((label) => label.endsWith('aggregate-to-view'))).toEqual([]);
    expect(labels).toContain('rbac.authorization.k8s.io/aggregate-to-edit');
    expect(labels).toContain('rbac.authorization.k8s.io/aggregate-to-admin');
  });

  test('no ClusterRole reaches Secrets or ConfigMaps, and no rule has a wildcard', () => {
    const cluster = rules.filter(({ manifest }) => manifest.kind === 'ClusterRole');
    expect(cluster.filter(({ rule }) => rule.resources.some((name) => /secrets|configmaps/.test(name)))).toEqual([]);
    const wild = rules.filter(({ rule }) => [...rule.apiGroups, ...rule.resources, ...rule.verbs].includes('*'));
    expect(wild.map(({ file }) => file)).toEqual([]);
  });

  test('a tenant lets the operator get and create Secrets, never list them', () => {
    const tenant = rules.filter(({ file }) => file.startsWith('deploy/tenant/'));
    expect(tenant.map(({ rule }) => [rule.resources, rule.verbs])).toEqual([
      [['secrets'], ['get', 'create']],
      [['configmaps'], ['get']],
    ]);
  });
});

describe('the pods', () => {
  test('listen where the defaults of the configuration say', () => {
    expect(portsOf('operator')).toEqual([9090, 8081]);
    expect(portsOf('callback')).toEqual([8080, 9091, 8082]);
  });

  test('start what the image has', () => {
    for (const { args } of pod.containers) expect(args[0]).toMatch(/^dist\/bin\/(operator|callback)\.js$/);
  });

  test('are ready when the sidecar is, and only then', () => {
    expect(containerNamed('operator').readinessProbe).toBeUndefined();
    expect(containerNamed('callback').readinessProbe).toBeDefined();
  });

  test('have memory limits and no CPU limits', () => {
    for (const { resources } of pod.containers) {
      expect(Object.keys(resources.limits)).toContain('memory');
      expect(Object.keys(resources.limits)).not.toContain('cpu');
    }
  });

  test('are replaced without a gap', () => {
    expect(deployment.spec.strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
  });

  test('have longer to end than the worst drain of either container', () => {
    // What each closes before and after its drain is bounded as well (bin/): 40 s and 20 s.
    const operatorMs = DRAIN_MS + 40_000;
    const callbackMs = 5_000 + CALLBACK_STOP_MS + 10_000;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(Math.max(operatorMs, callbackMs) / 1_000);
  });

  test('start without the Secrets: neither is needed while every task is polled and brings its own key', () => {
    const secrets = pod.volumes.flatMap(({ secret }) => secret ?? []);
    expect(secrets.map(({ secretName, optional }) => [secretName, optional])).toEqual([
      ['captcha-operator-callback-keys', true],
      ['captcha-operator-provider', true],
    ]);
  });

  test('never block a drain', () => {
    const budget = parse(read('deploy/base/poddisruptionbudget.yaml')) as { spec: object };
    expect(budget.spec).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' });
    expect(budget.spec).not.toHaveProperty('minAvailable');
  });

  test('prefer other nodes and other zones, each for itself: a node without a zone label costs nothing but the zone', () => {
    const { topologySpreadConstraints, affinity } = pod;
    expect(topologySpreadConstraints).toBeUndefined();
    const terms = affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution;
    expect(terms.map(({ podAffinityTerm }) => podAffinityTerm.topologyKey)).toEqual([
      'kubernetes.io/hostname',
      'topology.kubernetes.io/zone',
    ]);
    for (const { podAffinityTerm } of terms) {
      expect(podAffinityTerm.labelSelector.matchLabels).toEqual({ 'app.kubernetes.io/name': 'captcha-operator' });
    }
  });

  test('may reach DNS, the API server and the provider wherever they are: an address range leaves out nodes with Cilium', () => {
    const policy = parse(read('deploy/base/networkpolicy.yaml')) as {
      spec: { egress: { to?: unknown; ports: { port: number }[] }[] };
    };
    expect(policy.spec.egress.filter(({ to }) => to !== undefined)).toEqual([]);
    const ports = policy.spec.egress.flatMap((rule) => rule.ports.map(({ port }) => port));
    expect(new Set(ports)).toEqual(new Set([53, 5353, 443, 6443, 8443, 16443]));
  });
});

describe('the gateway', () => {
  const place = 'deploy/components/gateway';
  const of = parse(read(`${place}/deployment.yaml`)) as typeof deployment;
  const [container] = of.spec.template.spec.containers;
  const env = parseGatewayConfig({ GATEWAY_KEYS_FILE: '/keys' });

  test('may do with tasks what it does, and nothing with anything else', () => {
    const found = manifests.flatMap(({ file, manifest }) => (file.startsWith(place) ? (manifest.rules ?? []) : []));
    expect(found.map(({ resources, verbs }) => [resources, verbs])).toEqual([
      [['captchatasks'], ['create', 'get', 'list', 'watch', 'delete']],
    ]);
  });

  test('listens where the defaults of its configuration say', () => {
    const { gatewayBind, metricsBind, healthBind } = env.ok ? env.config : ({} as never);
    const ports = [gatewayBind, metricsBind, healthBind].map(({ port }) => port);
    expect(container?.ports.map(({ containerPort }) => containerPort)).toEqual(ports);
  });

  test('listens by TLS where the default of its configuration says, with the certificate of the example', () => {
    const patches = read('deploy/components/gateway-tls/kustomization.yaml');
    expect(patches).toContain(`containerPort: ${env.ok ? env.config.gatewayTlsBind.port : 0}`);
    const [certificate] = parseAllDocuments(read('deploy/examples/client-gateway-tls/certificate.yaml'))
      .map((document) => document.toJS() as { metadata: { name: string }; spec: { secretName: string } })
      .filter(({ metadata }) => metadata.name === 'captcha-gateway')
      .slice(-1);
    expect(patches).toContain(`secretName: ${certificate?.spec.secretName}`);
  });

  test('runs Node as figures and tests do', () => {
    expect(container?.args).toEqual([...GATEWAY_FLAGS, 'dist/bin/gateway.js']);
  });

  test('has longer to end than its worst drain', () => {
    const preStopMs = 5_000;
    expect(of.spec.template.spec.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(preStopMs + GATEWAY_STOP_MS);
  });

  test('has the version of the operator, and a memory limit', () => {
    const { images } = parse(read(`${place}/kustomization.yaml`)) as { images: { newTag: string }[] };
    const base = parse(read('deploy/base/kustomization.yaml')) as { images: { newTag: string }[] };
    expect(images[0]?.newTag).toBe(base.images[0]?.newTag);
    expect(container?.resources.limits['memory']).toBeDefined();
  });

  test('is in no overlay: whoever wants it names the component', () => {
    const overlays = files.filter((file) => file.startsWith('deploy/overlays/') || file.startsWith('deploy/base/'));
    expect(overlays.filter((file) => read(file).includes('components/gateway'))).toEqual([]);
  });
});

describe('the routes of the examples', () => {
  test('lead to callbacks by their prefix, and to each file of callback-root-files by exactly its name', () => {
    const component = parse(read('deploy/examples/callback-root-files/kustomization.yaml')) as {
      configMapGenerator: { literals: string[] }[];
    };
    const names = component.configMapGenerator[0]!.literals.map((literal) => `/${literal.split('=', 1)[0]}`);
    expect(names).toEqual(['/2captcha.txt']);
    const exact = names.map((name) => ['Exact', name]);
    const ingress = parse(read('deploy/examples/ingress.yaml')) as {
      spec: { rules: { http: { paths: { path: string; pathType: string; backend: object }[] } }[] };
    };
    const paths = ingress.spec.rules.flatMap(({ http }) => http.paths);
    expect(paths.map(({ pathType, path }) => [pathType, path])).toEqual([['Prefix', '/v1/callback/'], ...exact]);
    expect(paths.map(({ backend }) => backend)).toEqual(paths.map(() => paths[0]?.backend));
    const route = parseAllDocuments(read('deploy/examples/gateway.yaml'))[1]?.toJS() as {
      spec: { rules: { matches: { path: { type: string; value: string } }[] }[] };
    };
    const matches = route.spec.rules.flatMap((rule) => rule.matches.map(({ path }) => [path.type, path.value]));
    expect(matches).toEqual([['PathPrefix', '/v1/callback'], ...exact]);
  });
});

describe('the version', () => {
  test('of the package is the one in the manifests', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    const base = parse(read('deploy/base/kustomization.yaml')) as {
      images: { newTag: string }[];
      labels: { pairs: Record<string, string> }[];
    };
    expect(base.images.map((image) => image.newTag)).toEqual([version]);
    expect(base.labels[0]?.pairs['app.kubernetes.io/version']).toBe(version);
  });

  test('of the package is the one of the chart and of the image that it installs', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    const chart = parse(read(`${CHART}/Chart.yaml`)) as { version: string; appVersion: string };
    expect([chart.version, chart.appVersion]).toEqual([version, version]);
    expect(parse(read(`${CHART}/values.yaml`))).toMatchObject({ image: { tag: '', digest: '' } });
    const named = [...read('docs/installation.md').matchAll(/captcha-operator:(\d+\.\d+\.\d+)/g)];
    expect(new Set(named.map(([, tag]) => tag))).toEqual(new Set([version]));
  });

  test('of Node is the same in the image, the package and .node-version', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> };
    const images = [...read('Dockerfile').matchAll(/^FROM (?:--platform=\S+ )?node:([\d.]+)-/gm)].map(
      (match) => match[1],
    );
    expect(new Set(images)).toEqual(new Set([devDependencies['node']]));
    expect(devDependencies['node']?.split('.')[0]).toBe(read('.node-version').trim());
  });

  test('of Node runs in the image as the demo, the benchmarks and the cluster tests run it', () => {
    const entry = /^ENTRYPOINT (.+)$/m.exec(read('Dockerfile'))?.[1] ?? '';
    expect(JSON.parse(entry)).toEqual(['node', ...IMAGE_FLAGS]);
    const variables = [...read('Dockerfile').matchAll(/^ENV (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]);
    expect(Object.fromEntries(variables)).toEqual(IMAGE_ENV);
  });
});
