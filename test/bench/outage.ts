/**
 * `npm run bench -- outage`: a real API server is killed for a minute under callbacks. Asked for: every callback
 * answered 200 within 1 s; once the server is back, the sidecar drains at 0.8 or more of what the server itself can do,
 * and everything is applied within three minutes. The server's own rate is measured with the same status bodies on
 * tasks of the same state, just before the outage and just after the drain.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { startChild } from '../../src/dev/child.ts';
import type { Child } from '../../src/dev/child.ts';
import { OPERATOR } from '../../src/dev/control-plane/index.ts';
import type { Admin, ControlPlane } from '../../src/dev/control-plane/index.ts';
import { CAPTCHA_ID } from '../support/builders.ts';
import { startInstallation } from '../../src/dev/installation.ts';
import { TORTURE_SECRET, torturePath } from '../torture/keys.ts';
import { startUsage, type Usage } from './cpu.ts';
import { quantile, runOpenLoop } from './open-loop.ts';
import { SOLUTION, writeRaw } from './raw.ts';
import { scrape } from './scrape.ts';
import { createSubmittedTasks, listTasks } from './seed-submitted.ts';
import { createBenchNamespace } from './seed-tasks.ts';
import { printRows, say } from './world.ts';

export interface OutageBenchOptions {
  seconds: number;
  rate: number;
}

const RAW_TASKS = 1_000;
const IN_FLIGHT = 16;
const DRAIN_BOUND_MS = 180_000;

export async function benchOutage(options: OutageBenchOptions): Promise<boolean> {
  const home = await mkdtemp(join(tmpdir(), 'bench-outage-'));
  const installation = await startInstallation({ log: say, env: process.env });
  const { controlPlane, admin } = installation;
  let sidecar: Child | undefined;
  try {
    const rawTasks = [await seedTasks(admin, 'raw-before', RAW_TASKS), await seedTasks(admin, 'raw-after', RAW_TASKS)];
    const tasks = await seedTasks(admin, 'outage', Math.ceil(options.rate * options.seconds * 1.1) + 50);
    sidecar = await startSidecar(controlPlane, home);
    return await measure({ options, controlPlane, admin, sidecar, tasks, rawTasks });
  } finally {
    await sidecar?.stop();
    await installation.stop();
    await rm(home, { recursive: true, force: true });
  }
}

interface Stage {
  options: OutageBenchOptions;
  controlPlane: ControlPlane;
  admin: Admin;
  sidecar: Child;
  tasks: CaptchaTask[];
  rawTasks: CaptchaTask[][];
}

/** Status writes, and what they cost. */
interface Writes {
  writes: number;
  seconds: number;
  /** CPU milliseconds by process. */
  cpu: Usage;
}

async function measure(stage: Stage): Promise<boolean> {
  const { options, controlPlane, admin, sidecar, tasks, rawTasks } = stage;
  const port = await portOf(sidecar, 'callback');
  const before = await measureRaw(controlPlane, rawTasks[0]!);
  await controlPlane.stopApiServer();
  const load = await runOpenLoop({
    port,
    ratePerSecond: options.rate,
    durationMs: options.seconds * 1_000,
    seed: 1,
    target: (n) => `${torturePath(tasks[n]!.metadata)}?id=${CAPTCHA_ID}&code=${SOLUTION}`,
  });
  const answered = load.statuses.get(200) ?? 0;
  await controlPlane.startApiServer();
  const readyMs = performance.now();
  const { whole, secondHalf } = await measureDrain(stage);
  const appliedMs = performance.now() - readyMs;
  const after = await measureRaw(controlPlane, rawTasks[1]!);
  const solved = [...(await listTasks(admin, 'outage')).values()].filter(({ status }) => status?.phase === 'Solved');
  const [p50 = 0, p99 = 0, slowest = 0] = [0.5, 0.99, 1].map((share) => quantile(load.latenciesMs, share));
  const drain = [whole, secondHalf];
  const raw = [before, after];
  const rawRate = (before.writes + after.writes) / (before.seconds + after.seconds);
  printRows(`outage: API server killed for ${options.seconds} s at ${options.rate} callbacks/s`, [
    ['answered 200', `${answered}`, `= ${load.sent} sent`],
    ['p50, p99 (ms)', `${p50.toFixed(1)}, ${p99.toFixed(1)}`, ''],
    ['slowest (ms)', slowest.toFixed(0), '≤ 1000'],
    ['applied', `${solved.length}`, `= ${answered} answered 200`],
    ['all applied after the API server was ready (s)', (appliedMs / 1_000).toFixed(1), '≤ 180'],
    ['drain, records/s, whole and second half', figures(drain, rateOf, 0), ''],
    ['raw status writes/s, before and after', figures(raw, rateOf, 0), ''],
    ['drain ÷ raw, whole and second half', figures(drain, (part) => rateOf(part) / rawRate, 2), '≥ 0.8'],
    ['server CPU per record (ms)', figures(drain, serverMs, 2), ''],
    ['server CPU per raw write (ms)', figures(raw, serverMs, 2), ''],
    ['sidecar CPU per record (ms)', figures(drain, clientMs, 2), ''],
    ['raw client CPU per write (ms)', figures(raw, clientMs, 2), ''],
  ]);
  return answered === load.sent && slowest <= 1_000 && solved.length === answered;
}

/**
 * From the first record that left the spool to the last, and the second half of it: for its first seconds a server that
 * was just started is busy with itself (five to seven seconds of CPU were seen).
 */
async function measureDrain({ controlPlane, sidecar }: Stage): Promise<{ whole: Writes; secondHalf: Writes }> {
  const metricsURL = `http://127.0.0.1:${await portOf(sidecar, 'metrics')}/metrics`;
  const records = async (): Promise<number> => (await scrape(metricsURL)).get('captcha_operator_spool_records') ?? 0;
  const first = await records();
  const untilMs = performance.now() + DRAIN_BOUND_MS;
  const begin = (left: number) => ({
    left,
    ms: performance.now(),
    usage: startUsage(pidsOf(controlPlane, sidecar.pid)),
  });
  let [whole, secondHalf] = [begin(first), begin(first)];
  let left = first;
  while (left > 0 && performance.now() < untilMs) {
    if (left === first) whole = begin(left);
    if (left > first / 2) secondHalf = begin(left);
    await delay(250);
    left = await records();
  }
  const writesSince = (start: typeof whole): Writes => ({
    writes: start.left - left,
    seconds: (performance.now() - start.ms) / 1_000,
    cpu: start.usage(),
  });
  return { whole: writesSince(whole), secondHalf: writesSince(secondHalf) };
}

async function measureRaw(controlPlane: ControlPlane, tasks: readonly CaptchaTask[]): Promise<Writes> {
  const { serverURL, caFile } = controlPlane;
  // Under the operator's identity: an administrator would skip RBAC and priority and fairness.
  const token = controlPlane.tokenOf(OPERATOR);
  const usage = startUsage(pidsOf(controlPlane, process.pid));
  const figures = await writeRaw(tasks, { serverURL, ca: readFileSync(caFile, 'utf8'), token, inFlight: IN_FLIGHT });
  return { ...figures, cpu: usage() };
}

function pidsOf(controlPlane: ControlPlane, client: number): Record<string, number> {
  const { etcd, kubeApiserver } = controlPlane.pids();
  return { etcd, 'kube-apiserver': kubeApiserver, client };
}

function figures(parts: readonly Writes[], figure: (part: Writes) => number, digits: number): string {
  return parts.map((part) => figure(part).toFixed(digits)).join(', ');
}

function rateOf({ writes, seconds }: Writes): number {
  return writes / seconds;
}

function serverMs({ cpu, writes }: Writes): number {
  return ((cpu['etcd'] ?? 0) + (cpu['kube-apiserver'] ?? 0)) / writes;
}

function clientMs({ cpu, writes }: Writes): number {
  return (cpu['client'] ?? 0) / writes;
}

async function seedTasks(admin: Admin, namespace: string, count: number): Promise<CaptchaTask[]> {
  await createBenchNamespace(admin, namespace);
  return createSubmittedTasks(admin, namespace, count);
}

async function startSidecar(controlPlane: ControlPlane, home: string): Promise<Child> {
  await writeFile(join(home, 'keys'), `k1:${TORTURE_SECRET.toString('base64')}\n`);
  const env = {
    KUBECONFIG: await controlPlane.kubeconfigFor(OPERATOR),
    CALLBACK_KEYS_FILE: join(home, 'keys'),
    SPOOL_DIR: join(home, 'spool'),
    CALLBACK_BIND_ADDRESS: '127.0.0.1:0',
    METRICS_BIND_ADDRESS: '127.0.0.1:0',
    HEALTH_BIND_ADDRESS: '127.0.0.1:0',
  };
  return startChild({ entry: 'callback', env, built: true });
}

async function portOf(child: Child, listener: string): Promise<number> {
  const line = await child.waitForLine(`its ${listener} listener`, (each) => each['listener'] === listener, 60_000);
  return Number(line['port']);
}
