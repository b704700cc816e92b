/**
 * `npm run bench -- drain`: tasks that already exist are drained through submit and callback by the real processes,
 * and the status writes per second are set against the API server's own limit, measured just before in the same run.
 * Prints figures; asserts nothing about time. It ends non-zero only where a task is not solved or a write is missing.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { objectOf, type Admin, type ControlPlane } from '../../dev/control-plane/index.ts';
import type { Child } from '../../dev/child.ts';
import type { Fleet } from '../../dev/fleet.ts';
import type { SimulatorControl } from '../../dev/simulator/control.ts';
import { residentBytes, startUsage, type Usage } from './cpu.ts';
import { samplesIn, scrape, total } from './scrape.ts';
import { createRawWriter } from './raw.ts';
import { createBenchNamespace, createTasks, tasksPath } from './seed-tasks.ts';
import { inWorld, printRows, type BenchWorld } from './world.ts';

/** `Submitted`, unless the result comes first, and the result. */
const MOST_WRITES_PER_TASK = 2;
/** What a write of the journal costs the API server beside one of a status (decision 0010). */
const JOURNAL_WRITE = 0.5;
/** Faster than any real solver; slower than a burst of submissions takes to be recorded. */
const SOLVING_MS = 2_000;

export interface DrainOptions {
  tasks: number;
  rawTasks: number;
}

export async function benchDrain(options: DrainOptions): Promise<boolean> {
  return inWorld(SOLVING_MS, async (world) => {
    const raw = await measureRaw(world, options.rawTasks);
    const drained = await measureDrain(world, options.tasks);
    printFigures(raw, drained, options.tasks);
    const { writes } = drained;
    return writes >= options.tasks && writes <= options.tasks * MOST_WRITES_PER_TASK;
  });
}

interface Figures {
  /** Of status. */
  writes: number;
  journalWrites?: number;
  seconds: number;
  /** CPU milliseconds by process. */
  cpu: Usage;
  rssMB?: number;
}

async function measureRaw({ controlPlane, admin }: BenchWorld, count: number): Promise<Figures> {
  await createBenchNamespace(admin, 'raw');
  const tasks = await createTasks(admin, 'raw', count);
  const raw = createRawWriter(controlPlane);
  const write = raw.prepare(tasks);
  const usage = startUsage({ ...serverPids(controlPlane), client: process.pid });
  const startMs = performance.now();
  const writes = await write();
  const figures = { writes, seconds: (performance.now() - startMs) / 1_000, cpu: usage() };
  await raw.close();
  return figures;
}

function serverPids(controlPlane: ControlPlane): Record<string, number> {
  const { etcd, kubeApiserver } = controlPlane.pids();
  return { etcd, 'kube-apiserver': kubeApiserver };
}

async function measureDrain(world: BenchWorld, tasks: number): Promise<Figures> {
  const { controlPlane, admin, simulator, control } = world;
  await createBenchNamespace(admin, 'drain');
  await createTasks(admin, 'drain', tasks);
  const counted = await serverCounts(admin);
  const beforeMs = performance.now();
  const servers = startUsage(serverPids(controlPlane));
  const fleet = await world.startFleet('drain');
  try {
    const own = startUsage(fleetPids(fleet, simulator));
    const firstMs = await untilFirstSubmission(control, beforeMs);
    await untilAnswered(control, fleet, tasks);
    // The last tasks wait for the solver, not for us.
    const seconds = (performance.now() - firstMs - SOLVING_MS) / 1000;
    const cpu = { ...servers(), ...own() };
    await expectSolved(admin, tasks);
    const { writes, journalWrites } = await countsSince(admin, counted);
    const rssMB = residentBytes(fleet.operators[0]?.child().pid ?? 0) / 1e6;
    return { writes, journalWrites, seconds, cpu, rssMB };
  } finally {
    await fleet.stop();
  }
}

function fleetPids(fleet: Fleet, simulator: Child): Record<string, number> {
  return {
    operator: fleet.operators[0]?.child().pid ?? 0,
    sidecar: fleet.sidecars[0]?.child().pid ?? 0,
    simulator: simulator.pid,
  };
}

async function untilFirstSubmission(control: SimulatorControl, sinceMs: number): Promise<number> {
  while ((await control.totals()).submissions === 0) {
    if (performance.now() - sinceMs > 120_000) throw new Error('bench drain: nothing was submitted within 120 s');
    await delay(20);
  }
  return performance.now();
}

/** Every callback applied, be it that its answer was too late for the provider, and none waiting in the spool. */
async function untilAnswered(control: SimulatorControl, fleet: Fleet, tasks: number): Promise<void> {
  const deadlineMs = performance.now() + 600_000;
  for (;;) {
    const came = (await control.totals()).pingbacks;
    // Scraping costs the sidecar, so it is left alone until it may be done.
    if (came >= tasks && (await applied(fleet)) >= tasks && (await spooledRecords(fleet)) === 0) return;
    if (performance.now() > deadlineMs) throw new Error(`bench drain: only ${came} of ${tasks} callbacks came`);
    await delay(100);
  }
}

async function spooledRecords(fleet: Fleet): Promise<number> {
  return total(await scrape(fleet.sidecars[0]?.metricsURL ?? ''), 'captcha_operator_spool_records');
}

async function expectSolved(admin: Admin, tasks: number): Promise<void> {
  const { items } = objectOf<{ items: CaptchaTask[] }>(await admin.get(tasksPath('drain')));
  const solved = items.filter((task) => task.status?.phase === 'Solved').length;
  if (solved !== tasks) throw new Error(`bench drain: ${solved} of ${tasks} tasks are solved`);
}

async function applied(fleet: Fleet): Promise<number> {
  return total(await scrape(fleet.sidecars[0]?.metricsURL ?? ''), 'captcha_operator_results_total');
}

interface ServerCounts {
  writes: number;
  journalWrites: number;
}

/** Writes that the API server made, by its own count. */
async function serverCounts(admin: Admin): Promise<ServerCounts> {
  const { message } = objectOf<{ message: string }>(await admin.get('/metrics'));
  const made = (...labels: string[]): number =>
    total(samplesIn(message), 'apiserver_request_total', 'code="200"', ...labels);
  const statuses = (verb: string): number => made('resource="captchatasks"', 'subresource="status"', `verb="${verb}"`);
  return {
    writes: statuses('PUT') + statuses('PATCH'),
    journalWrites: made('resource="configmaps"', 'verb="PUT"'),
  };
}

async function countsSince(admin: Admin, before: ServerCounts): Promise<ServerCounts> {
  const after = await serverCounts(admin);
  return { writes: after.writes - before.writes, journalWrites: after.journalWrites - before.journalWrites };
}

function printFigures(raw: Figures, drained: Figures, tasks: number): void {
  const perSecond = (figures: Figures): number => figures.writes / figures.seconds;
  const server = (figures: Figures): number =>
    ((figures.cpu['etcd'] ?? 0) + (figures.cpu['kube-apiserver'] ?? 0)) / figures.writes;
  const own = ((drained.cpu['operator'] ?? 0) + (drained.cpu['sidecar'] ?? 0)) / tasks;
  const { journalWrites = 0 } = drained;
  const weighted = drained.writes + JOURNAL_WRITE * journalWrites;
  const rows: [string, string, string][] = [
    ['raw status writes/s', perSecond(raw).toFixed(0), ''],
    ['operator status writes/s', perSecond(drained).toFixed(0), ''],
    ['tasks/s', (tasks / drained.seconds).toFixed(0), ''],
    ['status writes/s ÷ raw', (perSecond(drained) / perSecond(raw)).toFixed(2), '≥ 0.88'],
    ['status writes per task', (drained.writes / tasks).toFixed(2), ''],
    ['writes of the journal per task', (journalWrites / tasks).toFixed(2), ''],
    ['both, one of the journal as half a write', (weighted / tasks).toFixed(2), '≤ 1.5'],
    ['server CPU per write, raw (ms)', server(raw).toFixed(2), ''],
    ['raw client CPU per write (ms)', ((raw.cpu['client'] ?? 0) / raw.writes).toFixed(2), ''],
    ['server CPU per write ÷ raw', (server(drained) / server(raw)).toFixed(2), '≤ 1.10'],
    ['operator + sidecar CPU per task (ms)', own.toFixed(2), '≤ 0.8'],
    ['simulator CPU per task (ms)', ((drained.cpu['simulator'] ?? 0) / tasks).toFixed(2), ''],
    ['operator RSS (MB)', (drained.rssMB ?? 0).toFixed(0), ''],
  ];
  printRows(`drain: ${tasks} tasks, ${drained.seconds.toFixed(1)} s`, rows);
}
