/** Installations as a user makes them: by overlay and by chart, and what is left after each is taken away. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEMO_API_KEY } from '../../fleet.ts';
import { createTask, settle } from '../load.ts';
import { RESTRICTED_CONTAINER } from '../provider.ts';
import { SETTINGS, splitImage, writeOverlay } from '../settings.ts';
import { ROOT, SYSTEM, TASKS, podsOf, until, untilPodsReady, type Stage } from '../stage.ts';

const CHART = join(ROOT, 'deploy/helm/captcha-operator');

/** The namespace and the two Secrets, as the README makes them. */
async function prepare(stage: Stage): Promise<void> {
  await stage.kubectl('apply', '-f', join(ROOT, 'deploy/base/namespace.yaml'));
  const keys = `keys=k1:${randomBytes(32).toString('base64')}`;
  await stage.system('create', 'secret', 'generic', 'captcha-operator-callback-keys', `--from-literal=${keys}`);
  await stage.system(
    'create',
    'secret',
    'generic',
    'captcha-operator-provider',
    `--from-literal=api-key=${DEMO_API_KEY}`,
  );
  await stage.system('annotate', 'secret', 'captcha-operator-provider', 'captcha-operator.io/private=true');
}

export async function installByOverlay(stage: Stage): Promise<string> {
  await prepare(stage);
  await stage.kubectl('apply', '-k', await writeOverlay('cluster-wide', stage));
  await stage.system('rollout', 'status', 'deployment/captcha-operator', '--timeout=240s');
  const pods = await untilPodsReady(stage, 2);
  return `${pods.length} pods ready`;
}

/** A pod that the restricted standard forbids is refused where the operator runs; one that it allows is not. */
export async function enforcePodSecurity(stage: Stage): Promise<string> {
  const allowed = {
    runAsNonRoot: true,
    runAsUser: 65532,
    seccompProfile: { type: 'RuntimeDefault' },
  };
  const pod = (name: string, security: object): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      securityContext: security,
      containers: [{ name, image: stage.image, securityContext: RESTRICTED_CONTAINER }],
    },
  });
  const path = `/api/v1/namespaces/${SYSTEM}/pods?dryRun=All`;
  const good = await stage.admin.create(path, pod('allowed', allowed));
  const bad = await stage.admin.create(path, pod('root', { ...allowed, runAsNonRoot: false, runAsUser: 0 }));
  const { message = '' } = bad.body as { message?: string };
  if (good.status !== 201) throw new Error(`a restricted pod was answered ${good.status}`);
  if (bad.status !== 403 || !message.includes('violates PodSecurity "restricted')) {
    throw new Error(`a pod that runs as root was answered ${bad.status}: ${message}`);
  }
  return 'a pod that runs as root is refused';
}

export async function installByChart(stage: Stage): Promise<string> {
  await prepare(stage);
  const { name, tag } = splitImage(stage.image);
  const values = join(stage.scratch, 'values.json');
  await writeFile(values, JSON.stringify({ image: { repository: name, tag }, settings: SETTINGS }));
  const chart = ['captcha-operator', CHART, '--namespace', SYSTEM, '--values', values, '--wait', '--timeout', '4m'];
  await stage.helm('install', ...chart);
  await untilPodsReady(stage, 2);
  const tested = await stage.helm('test', 'captcha-operator', '--namespace', SYSTEM, '--timeout', '2m');
  if (!/Phase:\s+Succeeded/.test(tested)) throw new Error(`helm test says:\n${tested}`);
  await createTask(stage, 'chart', 0);
  return `2 pods ready, helm test passed; ${await settle(stage, 'chart', 1)}`;
}

/** Uninstalls the chart; the definitions and their tasks stay, as the chart says. */
export async function uninstallChart(stage: Stage): Promise<string> {
  await stage.helm('uninstall', 'captcha-operator', '--namespace', SYSTEM, '--wait');
  // The Lease and the Secrets are not the chart's; they go with their namespace.
  await stage.kubectl('delete', 'namespace', SYSTEM, '--timeout=120s');
  const left = await leftOf(stage);
  const unexpected = left.filter((name) => !name.includes('/CustomResourceDefinition/'));
  if (unexpected.length > 0) throw new Error(`left: ${unexpected.join(', ')}`);
  return `nothing but the ${left.length} definitions is left`;
}

/** As the documents say; then nothing of it may be left anywhere, tasks and their Secrets included. */
export async function uninstallOverlay(stage: Stage): Promise<string> {
  await stage.kubectl(
    'delete',
    '-k',
    await writeOverlay('cluster-wide', stage),
    '--timeout=240s',
    '--ignore-not-found',
  );
  await until('the namespace of the operator to be gone', async () => {
    return (await stage.admin.get(`/api/v1/namespaces/${SYSTEM}`)).status === 404;
  });
  const left = [...(await leftOf(stage)), ...(await solutionSecrets(stage))];
  if (left.length > 0) throw new Error(`left: ${left.join(', ')}`);
  return 'no object of any kind, no solution Secret, no namespace is left';
}

const KINDS = [
  'customresourcedefinitions',
  'clusterroles',
  'clusterrolebindings',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'deployments,statefulsets,services,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,pods',
  'poddisruptionbudgets,leases',
];

/** Objects of the operator in the whole cluster, by name. The rights that a namespace gave it are the namespace's own. */
export async function leftOf({ kubectl }: Stage): Promise<string[]> {
  const template = '{range .items[*]}{.metadata.namespace}/{.kind}/{.metadata.name}{"\\n"}{end}';
  const lists = await Promise.all(KINDS.map((kind) => kubectl('get', kind, '-A', '-o', `jsonpath=${template}`)));
  return lists
    .join('\n')
    .split('\n')
    .filter((name) => /\/\w+\/.*captcha-(?:operator|gateway)/.test(name) && !name.startsWith(`${TASKS}/Role`));
}

async function solutionSecrets({ kubectl }: Stage): Promise<string[]> {
  const type = '--field-selector=type=captcha-operator.io/solution';
  return (await kubectl('get', 'secrets', '-A', type, '-o', 'name')).split('\n').filter((name) => name !== '');
}

/** A namespace with tasks goes within its own time: nothing of ours blocks it. */
export async function deleteNamespace(stage: Stage, name: string): Promise<string> {
  await stage.kubectl('delete', 'namespace', name, '--timeout=120s');
  return `namespace ${name} with its tasks is gone, ${(await podsOf(stage)).length} pods of the operator untouched`;
}
