/**
 * durable-spool on real volumes: callbacks that the API would not take are answered 200 from the spool, both pods are
 * deleted while they lie there, and every one of them is applied by the pods that get the volumes next.
 */
import { objectOf } from '../../control-plane/index.ts';
import { makeFolder, removeFolder } from '../hand.ts';
import { createTask, pageOf, settle, tasksOf } from '../load.ts';
import { writeOverlay } from '../settings.ts';
import { SYSTEM, podsOf, read, until, untilPodsReady, type Stage } from '../stage.ts';

const BATCH = 'durable';
const COUNT = 20;
const BINDING = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/captcha-operator';
const FOLDER = '/var/lib/captcha-operator-e2e';

export async function keepThroughDeletion(stage: Stage): Promise<string> {
  const volumes = await offerVolumes(stage);
  await stage.kubectl('apply', '-k', await writeOverlay('durable-spool', stage));
  // As the documents say: a switch of overlays leaves the Deployment to be deleted by hand.
  await stage.system('delete', 'deployment', 'captcha-operator', '--wait');
  await stage.system('rollout', 'status', 'statefulset/captcha-operator', '--timeout=240s');
  await untilPodsReady(stage, 2);
  const ids = await submitAll(stage);
  const binding = await takeRights(stage);
  const answers = await Promise.all(ids.map((id) => stage.control.pingback({ id })));
  if (answers.some((status) => status !== 200)) throw new Error(`callbacks were answered ${answers.join(', ')}`);
  const solved = (await tasksOf(stage, BATCH)).filter(({ status }) => status?.phase === 'Solved').length;
  if (solved > 0) throw new Error(`${solved} tasks were solved without the right to write them`);
  const before = (await podsOf(stage)).map(({ metadata }) => metadata.uid);
  await stage.system('delete', 'pods', '--selector=app.kubernetes.io/name=captcha-operator', '--wait');
  await giveBack(stage, binding);
  const after = await untilPodsReady(stage, 2);
  if (after.some(({ metadata }) => before.includes(metadata.uid))) throw new Error('a pod survived its deletion');
  const seen = await settle(stage, BATCH, COUNT);
  const others = (await tasksOf(stage, BATCH)).filter(({ status }) => status?.solution?.source !== 'Callback');
  if (others.length > 0) throw new Error(`not all by callback: ${seen}`);
  return `${volumes}; ${COUNT} callbacks answered 200 from the spool, both pods deleted; ${seen}`;
}

/** Where the cluster makes no volumes by itself, two folders of its node. */
async function offerVolumes(stage: Stage): Promise<string> {
  const { items } = await read<{ items: { metadata: { annotations?: Record<string, string> } }[] }>(
    stage,
    '/apis/storage.k8s.io/v1/storageclasses',
  );
  const isDefault = 'storageclass.kubernetes.io/is-default-class';
  if (items.some(({ metadata }) => metadata.annotations?.[isDefault] === 'true')) return 'volumes of the default class';
  const node = (await podsOf(stage))[0]?.spec.nodeName ?? '';
  for (const index of [0, 1]) await makeFolder(stage, `${FOLDER}/${index}`);
  await stage.apply([0, 1].map((index) => volumeOn(node, index)));
  return 'local volumes';
}

function volumeOn(node: string, index: number): object {
  const onNode = { key: 'kubernetes.io/hostname', operator: 'In', values: [node] };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: `captcha-e2e-${index}` },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOncePod'],
      persistentVolumeReclaimPolicy: 'Retain',
      local: { path: `${FOLDER}/${index}` },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onNode] }] } },
    },
  };
}

/** Tasks whose results the provider has and does not tell before it is told to. */
async function submitAll(stage: Stage): Promise<string[]> {
  const match = { field: 'pageurl', equals: pageOf(BATCH) } as const;
  await stage.control.script({ tasks: [{ pingbacks: [{ onCommand: true }] }] }, match);
  for (let index = 0; index < COUNT; index += 1) {
    await createTask(stage, BATCH, index, { callbackTimeoutSeconds: 600 });
  }
  return until('all of them to be solved at the provider', async () => {
    const { submissions } = await stage.control.ledger(match);
    const ids = submissions.flatMap(({ id, solvedTimeMs }) =>
      id === undefined || solvedTimeMs === undefined ? [] : [id],
    );
    const submitted = (await tasksOf(stage, BATCH)).filter(({ status }) => status?.phase === 'Submitted');
    return ids.length === COUNT && submitted.length === COUNT && ids;
  });
}

interface Binding {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
}

/** The operator may no longer read or write a task; resolves when the API server says so too. */
async function takeRights(stage: Stage): Promise<Binding> {
  const { apiVersion, kind, metadata, ...rest } = await read<Binding>(stage, BINDING);
  await stage.admin.delete(BINDING);
  const spec = {
    user: `system:serviceaccount:${SYSTEM}:captcha-operator`,
    resourceAttributes: {
      group: 'captcha-operator.io',
      resource: 'captchatasks',
      subresource: 'status',
      verb: 'patch',
    },
  };
  const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
  await until('the rights to be gone', async () => {
    const reply = await stage.admin.create('/apis/authorization.k8s.io/v1/subjectaccessreviews', review);
    return !objectOf<{ status: { allowed: boolean } }>(reply).status.allowed;
  });
  const { name, labels } = metadata;
  return { apiVersion, kind, metadata: { name, ...(labels === undefined ? {} : { labels }) }, ...rest };
}

async function giveBack(stage: Stage, binding: Binding): Promise<void> {
  objectOf(await stage.admin.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', binding));
}

/** Back to the shipped Deployment, and no volume of the step left. */
export async function leaveDurable(stage: Stage): Promise<string> {
  await stage.kubectl('apply', '-k', await writeOverlay('cluster-wide', stage));
  await stage.system('delete', 'statefulset', 'captcha-operator', '--wait');
  await stage.system('delete', 'persistentvolumeclaims', '--all', '--wait');
  await stage.kubectl('delete', 'persistentvolume', 'captcha-e2e-0', 'captcha-e2e-1', '--ignore-not-found');
  await removeFolder(stage, FOLDER);
  await stage.system('rollout', 'status', 'deployment/captcha-operator', '--timeout=240s');
  await untilPodsReady(stage, 2);
  return 'Deployment again, 2 pods ready';
}
