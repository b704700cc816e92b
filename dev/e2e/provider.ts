/**
 * The provider simulator as a pod: the files of dev/simulator in a ConfigMap, run by the Node of the operator's own image,
 * so that a cluster needs that one image. Its port is one of those that the operator's NetworkPolicy lets out.
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT, PROVIDER, type Stage } from './stage.ts';

const PROGRAM = `
import { startSimulator } from '/simulator/index.ts';
await startSimulator({ host: '0.0.0.0', port: ${PROVIDER.port}, answerAfterMs: 1000 });
process.on('SIGTERM', () => process.exit(0));
`;
const LABELS = { app: PROVIDER.name };
/** As a pod of a namespace that enforces the restricted Pod Security standard must be. */
export const RESTRICTED_POD = { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } };
export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

export async function startProvider(stage: Stage): Promise<void> {
  const folder = join(ROOT, 'dev/simulator');
  const data: Record<string, string> = {};
  for (const name of await readdir(folder)) {
    if (name.endsWith('.ts')) data[name] = await readFile(join(folder, name), 'utf8');
  }
  const metadata = { name: PROVIDER.name, namespace: PROVIDER.namespace };
  await stage.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: PROVIDER.namespace } }]);
  const file = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
  await stage.admin.patch(`/api/v1/namespaces/${PROVIDER.namespace}/configmaps/${PROVIDER.name}`, file, 'apply');
  await stage.apply([
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: deployment(stage.image) },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: LABELS, ports: [{ name: 'http', port: PROVIDER.port, targetPort: PROVIDER.port }] },
    },
  ]);
  await stage.kubectl('-n', PROVIDER.namespace, 'rollout', 'status', 'deployment/provider', '--timeout=180s');
}

function deployment(image: string): object {
  const container = {
    name: 'provider',
    image,
    command: ['node', '--input-type=module', '--eval', PROGRAM],
    ports: [{ containerPort: PROVIDER.port }],
    readinessProbe: { tcpSocket: { port: PROVIDER.port }, periodSeconds: 1 },
    securityContext: RESTRICTED_CONTAINER,
    volumeMounts: [{ name: 'simulator', mountPath: '/simulator' }],
  };
  const spec = {
    // Its books are in memory: no drain may move it.
    tolerations: [{ operator: 'Exists' }],
    terminationGracePeriodSeconds: 2,
    automountServiceAccountToken: false,
    securityContext: RESTRICTED_POD,
    containers: [container],
    volumes: [{ name: 'simulator', configMap: { name: PROVIDER.name } }],
  };
  return { selector: { matchLabels: LABELS }, template: { metadata: { labels: LABELS }, spec } };
}
