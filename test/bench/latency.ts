/**
 * `npm run bench -- latency`: how long a task takes beyond the provider's own time, at a stated rate. Open loop: tasks
 * arrive by a seeded Poisson schedule, and each latency counts from the scheduled instant, so a slow system cannot hide
 * by slowing the load. Instants of status changes are those of the watch events in this process.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { CAPTCHA_TASK } from '../../src/api/names.ts';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { objectOf, type Admin } from '../../dev/control-plane/index.ts';
import { loadAccess } from '../../src/kube/access.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import { createStore } from '../../src/kube/store.ts';
import { createBenchNamespace, manifestOf, tasksPath } from './seed-tasks.ts';
import { inWorld, printRows, type BenchWorld } from './world.ts';
import { quantile, seededRandom } from './open-loop.ts';

const NAMESPACE = 'latency';
const SOLVING_MS = 2_000;
/** Tasks before the measurement: somebody has to lead, and what runs for the first time is slow in any runtime. */
const WARM_UP = 400;
const WARM_UP_FROM = 1_000_000;

export interface LatencyOptions {
  tasksPerSecond: number;
  seconds: number;
}

export async function benchLatency({ tasksPerSecond, seconds }: LatencyOptions): Promise<boolean> {
  return inWorld(SOLVING_MS, async (world) => {
    await createBenchNamespace(world.admin, NAMESPACE);
    const fleet = await world.startFleet(NAMESPACE);
    const seen = await watchPhases(world);
    try {
      await warmUp(world.admin);
      await untilSolved(seen, WARM_UP);
      const scheduled = await applyOpenLoop(world.admin, { tasksPerSecond, seconds });
      await untilSolved(seen, WARM_UP + scheduled.size);
      const submitted = sinceScheduled(scheduled, seen);
      const solved = Float64Array.from(await sinceCallbacks(world, scheduled, seen)).toSorted();
      printRows(`latency: ${tasksPerSecond} tasks/s for ${seconds} s (${scheduled.size} tasks, 4 writes each)`, [
        ['apply → Submitted p50 (ms)', quantile(submitted, 0.5).toFixed(0), '≤ 15'],
        ['apply → Submitted p99 (ms)', quantile(submitted, 0.99).toFixed(0), '≤ 100'],
        ['callback → Solved p50 (ms)', quantile(solved, 0.5).toFixed(0), '≤ 10'],
        ['callback → Solved p99 (ms)', quantile(solved, 0.99).toFixed(0), '≤ 60'],
      ]);
      return submitted.length > 0;
    } finally {
      await seen.stop();
      await fleet.stop();
    }
  });
}

interface Seen {
  /** Epoch milliseconds at which this phase of a task was first seen. */
  at(phase: string, name: string): number | undefined;
  count(phase: string): number;
  stop(): Promise<void>;
}

async function watchPhases({ controlPlane }: BenchWorld): Promise<Seen> {
  const access = await loadAccess({ kubeconfigPath: controlPlane.adminKubeconfig });
  const client = createKubeClient({ access, userAgent: 'benchmark' });
  const firsts = new Map<string, Map<string, number>>();
  const store = createStore({
    project: (raw) => {
      const { metadata, status } = raw as unknown as CaptchaTask;
      const phase = status?.phase ?? '';
      const names = firsts.get(phase) ?? new Map<string, number>();
      firsts.set(phase, names);
      if (!names.has(metadata.name)) names.set(metadata.name, Date.now());
      return phase;
    },
  });
  const reflector = startReflector({ client, resource: CAPTCHA_TASK, namespace: NAMESPACE, store });
  await reflector.synced;
  return {
    at: (phase, name) => firsts.get(phase)?.get(name),
    count: (phase) => firsts.get(phase)?.size ?? 0,
    stop: async () => {
      await reflector.stop();
      await client.close();
    },
  };
}

async function warmUp(admin: Admin): Promise<void> {
  for (let index = WARM_UP_FROM; index < WARM_UP_FROM + WARM_UP; index++) {
    objectOf(await admin.create(tasksPath(NAMESPACE), manifestOf(NAMESPACE, index)));
  }
}

/** Resolves with the scheduled instant of each task, in epoch milliseconds. */
async function applyOpenLoop(admin: Admin, { tasksPerSecond, seconds }: LatencyOptions): Promise<Map<string, number>> {
  const random = seededRandom(20_260);
  const scheduled = new Map<string, number>();
  const creations: Promise<unknown>[] = [];
  let atMs = Date.now() + 500;
  const endMs = atMs + seconds * 1000;
  for (let index = 0; atMs < endMs; index++) {
    const waitMs = atMs - Date.now();
    if (waitMs > 0) await delay(waitMs);
    scheduled.set(`t-${index}`, atMs);
    creations.push(admin.create(tasksPath(NAMESPACE), manifestOf(NAMESPACE, index)).then((reply) => objectOf(reply)));
    atMs += (-Math.log(1 - random()) * 1000) / tasksPerSecond;
  }
  await Promise.all(creations);
  return scheduled;
}

async function untilSolved(seen: Seen, count: number): Promise<void> {
  const deadlineMs = performance.now() + 180_000;
  while (seen.count('Solved') < count) {
    if (performance.now() > deadlineMs) throw new Error(`bench latency: ${seen.count('Solved')} of ${count} solved`);
    await delay(100);
  }
}

function sinceScheduled(scheduled: ReadonlyMap<string, number>, seen: Seen): Float64Array {
  const latencies = [...scheduled].flatMap(([name, atMs]) => {
    const seenMs = seen.at('Submitted', name);
    return seenMs === undefined ? [] : [seenMs - atMs];
  });
  return Float64Array.from(latencies).toSorted();
}

/** From the instant at which the provider sent the callback to the watch event of `Solved`. */
async function sinceCallbacks(
  { control }: BenchWorld,
  scheduled: ReadonlyMap<string, number>,
  seen: Seen,
): Promise<number[]> {
  const { submissions } = await control.ledger();
  return submissions.flatMap((submission) => {
    const name = submission.pageurl.split('/').at(-1) ?? '';
    if (!scheduled.has(name)) return [];
    const sentMs = submission.solvedTimeMs;
    const solvedMs = seen.at('Solved', name);
    return sentMs === undefined || solvedMs === undefined ? [] : [solvedMs - sentMs];
  });
}
