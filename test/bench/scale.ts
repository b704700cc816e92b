/**
 * `npm run bench -- scale`: many unfinished tasks at once (`BENCH_UNFINISHED`, 50,000): how soon a starting operator
 * knows them all, what it holds in memory, and that a quiet operator costs next to nothing and writes nothing. A
 * standby measures the first two, because its caches are the leader's and it needs no status on the tasks.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { objectOf, type Admin } from '../../dev/control-plane/index.ts';
import type { Fleet } from '../../dev/fleet.ts';
import { cpuMs, residentBytes } from './cpu.ts';
import { scrape, total } from './scrape.ts';
import { createBenchNamespace, createTasks } from './seed-tasks.ts';
import { inWorld, printRows, say, type BenchWorld } from './world.ts';

const QUIET_MS = 60_000;

export async function benchScale(unfinished: number): Promise<boolean> {
  return inWorld(600_000, async (world) => {
    const known = await measureKnowing(world, unfinished);
    const quiet = await measureQuiet(world);
    printRows(`scale: ${unfinished} unfinished tasks on a standby; a leader with 200 submitted tasks`, [
      ['all tasks known after (s)', (known.knownMs / 1000).toFixed(1), '≤ 5'],
      ['operator RSS (MB)', known.rssMB.toFixed(0), '≤ 160'],
      ['bytes per unfinished task (RSS beyond empty)', known.bytesPerTask.toFixed(0), '≤ 1024'],
      ['quiet leader: CPU of one core (%)', quiet.cpuPercent.toFixed(2), '≤ 1'],
      ['quiet leader and sidecar: status writes in 60 s', String(quiet.writes), '0'],
    ]);
    return quiet.writes === 0;
  });
}

async function measureKnowing(world: BenchWorld, count: number) {
  await createBenchNamespace(world.admin, 'many');
  await holdLease(world.admin);
  const empty = await knowTasks(world);
  say(`creating ${count} tasks`);
  await createTasks(world.admin, 'many', count);
  const full = await knowTasks(world);
  const bytesPerTask = ((full.rssMB - empty.rssMB) * 1e6) / count;
  return { knownMs: full.knownMs, rssMB: full.rssMB, bytesPerTask };
}

/** Somebody else holds the Lease for the whole benchmark, so the operator under test only watches. */
async function holdLease(admin: Admin): Promise<void> {
  const lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'captcha-operator' },
    spec: { holderIdentity: 'benchmark', leaseDurationSeconds: 86_400, leaseTransitions: 0 },
  };
  objectOf(await admin.create('/apis/coordination.k8s.io/v1/namespaces/captcha-system/leases', lease));
}

async function knowTasks(world: BenchWorld): Promise<{ knownMs: number; rssMB: number }> {
  const startMs = performance.now();
  const fleet = await world.startFleet('many', { LEADER_ELECTION: 'true' });
  try {
    await operatorOf(fleet)
      .child()
      .waitForLine('all tasks to be known', (line) => line.msg === 'tasks known', 120_000);
    const knownMs = performance.now() - startMs;
    // Garbage of the listing goes in the first quiet seconds.
    await delay(10_000);
    return { knownMs, rssMB: residentBytes(operatorOf(fleet).child().pid) / 1e6 };
  } finally {
    await fleet.stop();
  }
}

function operatorOf(fleet: Fleet): Fleet['operators'][number] {
  const [operator] = fleet.operators;
  if (operator === undefined) throw new Error('bench: the fleet has no operator');
  return operator;
}

async function measureQuiet(world: BenchWorld): Promise<{ cpuPercent: number; writes: number }> {
  await createBenchNamespace(world.admin, 'quiet');
  await createTasks(world.admin, 'quiet', 200);
  const fleet = await world.startFleet('quiet');
  try {
    while ((await world.control.totals()).paid < 200) await delay(100);
    await delay(5_000);
    const pid = operatorOf(fleet).child().pid;
    const before = { cpu: cpuMs(pid), writes: await statusWrites(fleet) };
    await delay(QUIET_MS);
    const cpuPercent = ((cpuMs(pid) - before.cpu) / QUIET_MS) * 100;
    return { cpuPercent, writes: (await statusWrites(fleet)) - before.writes };
  } finally {
    await fleet.stop();
  }
}

async function statusWrites(fleet: Fleet): Promise<number> {
  const pages = [...fleet.operators, ...fleet.sidecars].map(({ metricsURL }) => scrape(metricsURL));
  const totals = (await Promise.all(pages)).map((page) => total(page, 'captcha_operator_status_writes_total'));
  return totals.reduce((sum, each) => sum + each, 0);
}
