/**
 * What the Kubernetes client costs beside a loop that does nothing but send prepared bodies: the same `/status` writes,
 * on one real API server, in alternating rounds. Run by hand: `node test/bench/kube-raw.ts [tasks] [rounds]`.
 * Prints writes per second and this process's CPU per write; asserts nothing.
 */
import { readFile } from 'node:fs/promises';
import { Pool } from 'undici';

import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import { OPERATOR } from '../../dev/control-plane/index.ts';
import type { ControlPlane } from '../../dev/control-plane/index.ts';
import { startInstallation } from '../../dev/installation.ts';
import type { Installation } from '../../dev/installation.ts';
import { loadAccess } from '../../src/kube/access.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { putStatus } from '../../src/core/status-write.ts';
import { runProtocol } from '../../src/kube/run.ts';
import { createBenchNamespace, createTasks, tasksPath } from './seed-tasks.ts';
import { cpuMs } from './cpu.ts';

const NAMESPACE = 'bench-kube';
const IN_FLIGHT = 16;

/** Writes a status to a task and resolves with its new resourceVersion. */
type Write = (task: CaptchaTask, status: object) => Promise<string>;

const [count = 1_000, rounds = 3] = process.argv.slice(2).map(Number);
const log = (line: string): void => console.log(line);
const installation = await startInstallation({ log, env: process.env });
try {
  await measure(installation);
} finally {
  await installation.stop();
}

async function measure({ controlPlane: plane, admin }: Installation): Promise<void> {
  const { serverURL, caFile } = plane;
  await createBenchNamespace(admin, NAMESPACE);
  const tasks = await createTasks(admin, NAMESPACE, count);
  const pool = new Pool(serverURL, { connections: IN_FLIGHT, allowH2: false, connect: { ca: await readFile(caFile) } });
  const access = await loadAccess({ kubeconfigPath: await plane.kubeconfigFor(OPERATOR) });
  const client = createKubeClient({
    access,
    userAgent: 'kube-raw',
    inFlight: { initial: IN_FLIGHT, floor: IN_FLIGHT, ceiling: IN_FLIGHT },
  });
  const bare = bareWriter(pool, plane.tokenOf(OPERATOR));
  const ours: Write = async (task, status) => {
    const result = await runProtocol(client, putStatus(CAPTCHA_TASK, { metadata: task.metadata, status: {} }, status));
    if (result.kind !== 'written') throw new Error(JSON.stringify(result));
    return result.object.metadata.resourceVersion;
  };
  for (let round = 1; round <= rounds; round++) {
    await runRound(`bare loop    ${round}`, { tasks, write: bare, generation: 2 * round, plane });
    await runRound(`status writer ${round}`, { tasks, write: ours, generation: 2 * round + 1, plane });
  }
  await pool.close();
  await client.close();
}

interface Round {
  tasks: CaptchaTask[];
  write: Write;
  generation: number;
  plane: ControlPlane;
}

async function runRound(title: string, { tasks, write, generation, plane }: Round): Promise<void> {
  const pids = plane.pids();
  const serverMs = (): number => cpuMs(pids.etcd) + cpuMs(pids.kubeApiserver);
  const before = { wall: performance.now(), own: process.cpuUsage(), server: serverMs() };
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let task = tasks[next++]; task !== undefined; task = tasks[next++]) {
      task.metadata.resourceVersion = await write(task, { phase: 'Pending', observedGeneration: generation });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  const own = process.cpuUsage(before.own);
  const seconds = (performance.now() - before.wall) / 1000;
  const perWrite = (ms: number): string => `${(ms / tasks.length).toFixed(3)} ms`;
  log(
    `${title}: ${(tasks.length / seconds).toFixed(0)} writes/s, own CPU ${perWrite((own.user + own.system) / 1000)}, ` +
      `servers' CPU ${perWrite(serverMs() - before.server)} a write`,
  );
}

function bareWriter(pool: Pool, token: string): Write {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return async (task, status) => {
    const { namespace, name, uid, resourceVersion } = task.metadata;
    const metadata = { namespace, name, uid, resourceVersion };
    const body = JSON.stringify({ apiVersion: task.apiVersion, kind: task.kind, metadata, status });
    const path = `${tasksPath(NAMESPACE)}/${name}/status`;
    const reply = await pool.request({ path, method: 'PUT', headers, body });
    const text = await reply.body.text();
    if (reply.statusCode !== 200) throw new Error(`${reply.statusCode} ${text.slice(0, 200)}`);
    return /"resourceVersion":"(\d+)"/.exec(text)?.[1] ?? '';
  };
}
