/** What a cluster does to pods under load: each returns what was seen, and throws where a task was lost or paid twice. */
import { killContainer } from '../hand.ts';
import { underLoad, type Batch } from '../load.ts';
import { isReady, leaderOf, podsOf, until, untilPodsReady, type Pod, type Stage } from '../stage.ts';

const LOAD = { count: 100, everyMs: 150 };

function batch(name: string, graceful: boolean): Batch {
  return { name, graceful, ...LOAD };
}

export function deleteLeader(stage: Stage): Promise<string> {
  return underLoad(stage, batch('leader', true), async () => {
    const leader = await currentLeader(stage);
    await stage.system('delete', 'pod', leader.metadata.name, '--wait=false');
    await until('another leader', async () => {
      const now = await leaderOf(stage);
      return now !== undefined && now !== leader.metadata.name;
    });
    await untilPodsReady(stage, 2);
    return 'another pod led';
  });
}

export function killBoth(stage: Stage): Promise<string> {
  return underLoad(stage, batch('kill', false), async () => {
    const leader = await currentLeader(stage);
    const before = restartsOf(await podsOf(stage));
    await killContainer(stage, leader, 'operator');
    for (const pod of await podsOf(stage)) await killContainer(stage, pod, 'callback');
    await until('the killed containers to run again', async () => restartsOf(await podsOf(stage)) === before + 3);
    await untilPodsReady(stage, 2);
    return 'the leader’s operator and both sidecars killed and started again';
  });
}

export function restartRollout(stage: Stage): Promise<string> {
  return underLoad(stage, batch('rollout', true), async () => {
    await stage.system('rollout', 'restart', 'deployment/captcha-operator');
    await stage.system('rollout', 'status', 'deployment/captcha-operator', '--timeout=240s');
    return 'rolled out';
  });
}

/**
 * Evicts the operator's pods from their nodes. On a cluster of one node nothing can take their place while it is
 * cordoned, so the budget holds the second one back until it is uncordoned again: that is seen first.
 */
export function drain(stage: Stage): Promise<string> {
  return underLoad(stage, batch('drain', true), async () => {
    const before = await podsOf(stage);
    const nodes = [...new Set(before.map(({ spec }) => spec.nodeName ?? ''))];
    for (const node of nodes) await stage.kubectl('cordon', node);
    let refused = 0;
    try {
      refused = await evictAll(stage, before);
    } finally {
      for (const node of nodes) await stage.kubectl('uncordon', node);
    }
    for (const pod of await notYetGone(stage, before)) {
      await until(`the budget to let ${pod.metadata.name} go`, async () => (await evict(stage, pod)) !== 429);
    }
    await until('the evicted pods to be gone', async () => (await notYetGone(stage, before)).length === 0);
    await untilPodsReady(stage, 2);
    return `${before.length} pods evicted, ${refused} evictions refused by the budget meanwhile`;
  });
}

/** One round over all of them, as a drain makes it; how many the budget refused. */
async function evictAll(stage: Stage, pods: readonly Pod[]): Promise<number> {
  const answers: number[] = [];
  for (const pod of pods) answers.push(await evict(stage, pod));
  if (!answers.includes(201)) throw new Error(`no pod may be evicted: ${answers.join(', ')}`);
  return answers.filter((status) => status === 429).length;
}

async function evict({ admin }: Stage, { metadata }: Pod): Promise<number> {
  const path = `/api/v1/namespaces/captcha-system/pods/${metadata.name}`;
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: metadata.name } };
  return (await admin.create(`${path}/eviction`, eviction)).status;
}

async function notYetGone(stage: Stage, before: readonly Pod[]): Promise<Pod[]> {
  const now = await podsOf(stage);
  const old = new Set(before.map(({ metadata }) => metadata.uid));
  return now.filter(
    (pod) => old.has(pod.metadata.uid) && (isReady(pod) || pod.metadata.deletionTimestamp !== undefined),
  );
}

function restartsOf(pods: readonly Pod[]): number {
  return pods
    .flatMap(({ status }) => status.containerStatuses ?? [])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
}

function currentLeader(stage: Stage): Promise<Pod> {
  return until('a pod to lead', async () => {
    const name = await leaderOf(stage);
    return (await podsOf(stage)).find(({ metadata }) => metadata.name === name);
  });
}
