/**
 * Two shards on one control plane: two operators with a Lease each and no watched namespace in common. Each acts on its
 * own tasks alone, also while the other is dead; and what becomes of a callback that reaches the other shard's sidecar.
 * Each shard has a provider of its own here, so that its books say which shard submitted.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import { scrape, total } from '../bench/scrape.ts';
import { createTasks, tasksPath } from '../bench/seed-tasks.ts';
import { admin } from '../support/cluster.ts';
import { pageOf, startWorld, type World } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

const TASKS = 20;
const SYSTEM = 'captcha-system';
const LEASES = ['shard-a', 'shard-b'] as const;

let first: World;
let second: World;

beforeAll(async () => {
  for (const lease of LEASES) await grantLease(lease);
  first = await startShard('shard-a');
  second = await startShard('shard-b', first.fleet.callbackKeysFile);
});
afterAll(async () => {
  await second?.stop();
  await first?.stop();
});

/** One host and one file of keys would do for both; here each has a host of its own. */
function startShard(lease: string, keys?: string): Promise<World> {
  const shared = keys === undefined ? {} : { CALLBACK_KEYS_FILE: keys };
  return startWorld({
    operatorEnv: { LEADER_ELECTION: 'true', LEASE_NAME: lease, POD_NAME: lease, ...shared },
    sidecarEnv: shared,
  });
}

/** The shipped Role and its binding once more, under another name and for another Lease. */
async function grantLease(lease: string): Promise<void> {
  const text = await readFile(new URL('../../deploy/base/rbac.yaml', import.meta.url), 'utf8');
  for (const document of parseAllDocuments(
    text.replaceAll('resourceNames: [captcha-operator', `resourceNames: [${lease}`),
  )) {
    const object = document.toJS() as Granted;
    if (object.kind !== 'Role' && object.kind !== 'RoleBinding') continue;
    object.metadata.name += `-${lease}`;
    if (object.roleRef !== undefined) object.roleRef.name += `-${lease}`;
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${SYSTEM}/${object.kind.toLowerCase()}s`;
    objectOf(await admin.patch(`${path}/${object.metadata.name}`, object, 'apply'));
  }
}

interface Granted {
  kind: string;
  metadata: { name: string };
  roleRef?: { name: string };
}

async function holderOf(lease: string): Promise<string | undefined> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases/${lease}`;
  return objectOf<{ spec: { holderIdentity?: string } }>(await admin.get(path)).spec.holderIdentity;
}

async function tasksOf({ namespace }: World): Promise<CaptchaTask[]> {
  return objectOf<{ items: CaptchaTask[] }>(await admin.get(tasksPath(namespace))).items;
}

async function untilAllSolved(shard: World): Promise<CaptchaTask[]> {
  return waitUntil(
    `the tasks of ${shard.namespace} to be solved`,
    async () => {
      const tasks = await tasksOf(shard);
      return tasks.every(({ status }) => status?.phase === 'Solved') ? tasks : undefined;
    },
    { boundMs: 60_000, everyMs: 200 },
  );
}

/** Submissions of this namespace's tasks that the provider of a shard was paid for. */
async function paidBy(shard: World, { namespace }: World): Promise<number> {
  const { submissions } = await shard.simulator.control.ledger();
  const ours = pageOf(namespace, '');
  return submissions.filter(({ paid, pageurl }) => paid && pageurl.startsWith(ours)).length;
}

async function misrouted(shard: World): Promise<number> {
  const samples = await scrape(shard.fleet.sidecars[0]?.metricsURL ?? '');
  return total(samples, 'captcha_operator_callbacks_total', 'result="misrouted"');
}

describe('two shards', () => {
  test('each lead by a Lease of their own, act on their own tasks alone, and pay for each once', async () => {
    await Promise.all([first, second].map(({ namespace }) => createTasks(admin, namespace, TASKS)));
    for (const [index, [shard, other]] of (
      [
        [first, second],
        [second, first],
      ] as const
    ).entries()) {
      const lease = LEASES[index] ?? '';
      expect(await holderOf(lease)).toContain(lease);
      for (const { status } of await untilAllSolved(shard)) {
        // Where the callback came before `Submitted` was written, the sidecar has adopted the submission.
        expect(status?.submission?.intentBy).toMatch(new RegExp(`${lease}|^adopted$`, 'v'));
        expect(status).toMatchObject({ attempts: 1, solution: { source: 'Callback' } });
      }
      expect(await paidBy(shard, shard)).toBe(TASKS);
      expect(await paidBy(other, shard)).toBe(0);
    }
  });

  test('do not stop each other: while one is dead the tasks of the other go on, and its own go on when it is back', async () => {
    const operator = first.fleet.operators[0];
    operator?.kill('SIGKILL');
    await operator?.child().exited;
    await first.apply('left');
    for (const name of ['a', 'b', 'c']) await second.apply(name);
    for (const name of ['a', 'b', 'c']) await second.untilPhase(name, 'Solved');
    expect((await first.task('left')).status).toBeUndefined();
    await operator?.start();
    await first.untilPhase('left', 'Solved');
    expect(await first.paid('left')).toBe(1);
    expect(await paidBy(second, first)).toBe(0);
  });
});

describe("a callback that reaches another shard's sidecar", () => {
  test('is answered like a bad token and counted, and its result is found by a poll', async () => {
    const before = await misrouted(second);
    first.fleet.front.setBackends([second.fleet.sidecars[0]?.callbackPort ?? 0]);
    // The provider keeps its connections: those that lead to the right sidecar end.
    first.fleet.front.cut(true);
    first.fleet.front.cut(false);
    await first.apply('misrouted', { spec: { callbackTimeoutSeconds: 1 } });
    const task = await first.untilPhase('misrouted', 'Solved');
    expect(task.status?.solution?.source).toBe('Poll');
    await waitUntil('the callback to be counted', async () => (await misrouted(second)) > before);
    expect(await first.paid('misrouted')).toBe(1);
  });

  test('is applied where that sidecar watches the namespaces of all shards and has their keys', async () => {
    await second.fleet.sidecars[0]?.restart({ WATCH_NAMESPACES: `${first.namespace},${second.namespace}` });
    const before = await misrouted(second);
    for (const shard of [first, second]) {
      await shard.apply('shared');
      const task = await shard.untilPhase('shared', 'Solved');
      expect(task.status?.solution?.source).toBe('Callback');
    }
    expect(await misrouted(second)).toBe(before);
  });
});
