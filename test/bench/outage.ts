/**
 * `npm run bench -- outage`: a real API server is killed for a minute under callbacks. Asked for: every callback
 * answered 200 within 1 s; once the server is back, the sidecar drains at 0.8 or more of what the server itself can do
 * (measured in the same run), and everything is applied within three minutes.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { startChild } from '../../src/dev/child.ts';
import type { Child } from '../../src/dev/child.ts';
import {
  ADMINISTRATOR,
  OPERATOR,
  createAdmin,
  ensureAssets,
  installOperator,
  startControlPlane,
} from '../../src/dev/control-plane/index.ts';
import type { Admin, ControlPlane } from '../../src/dev/control-plane/index.ts';
import { CAPTCHA_ID } from '../support/builders.ts';
import { TORTURE_SECRET, torturePath } from '../torture/keys.ts';
import { quantile, runOpenLoop } from './open-loop.ts';
import { writeRaw } from './raw.ts';
import { scrape } from './scrape.ts';
import { createSubmittedTasks, listTasks } from './seed-submitted.ts';
import { createBenchNamespace, createTasks } from './seed-tasks.ts';

export interface OutageBenchOptions {
  seconds: number;
  rate: number;
}

const RAW_TASKS = 400;
const IN_FLIGHT = 16;
const DRAIN_BOUND_MS = 180_000;

export async function benchOutage(options: OutageBenchOptions): Promise<boolean> {
  const home = await mkdtemp(join(tmpdir(), 'bench-outage-'));
  const controlPlane = await startControlPlane({
    assets: await ensureAssets({ log: say, env: process.env }),
    log: say,
  });
  const { serverURL, caFile } = controlPlane;
  const admin = createAdmin({ serverURL, caFile, token: controlPlane.tokenOf(ADMINISTRATOR) });
  let sidecar: Child | undefined;
  try {
    await installOperator(admin);
    const rawRate = await measureRaw(controlPlane, admin);
    await createBenchNamespace(admin, 'outage');
    const tasks = await createSubmittedTasks(admin, 'outage', Math.ceil(options.rate * options.seconds * 1.1) + 50);
    sidecar = await startSidecar(controlPlane, home);
    return await measure({ options, controlPlane, admin, sidecar, tasks, rawRate });
  } finally {
    await sidecar?.stop();
    await admin.close();
    await controlPlane.stop();
    await rm(home, { recursive: true, force: true });
  }
}

interface Stage {
  options: OutageBenchOptions;
  controlPlane: ControlPlane;
  admin: Admin;
  sidecar: Child;
  tasks: CaptchaTask[];
  rawRate: number;
}

async function measure({ options, controlPlane, admin, sidecar, tasks, rawRate }: Stage): Promise<boolean> {
  const port = await portOf(sidecar, 'callback');
  const metricsURL = `http://127.0.0.1:${await portOf(sidecar, 'metrics')}/metrics`;
  await controlPlane.stopApiServer();
  const load = await runOpenLoop({
    port,
    ratePerSecond: options.rate,
    durationMs: options.seconds * 1_000,
    seed: 1,
    target: (n) => `${torturePath(tasks[n]!.metadata)}?id=${CAPTCHA_ID}&code=solution-of-${n}`,
  });
  const answered = load.statuses.get(200) ?? 0;
  const [p50 = 0, p99 = 0, slowest = 0] = [0.5, 0.99, 1].map((share) => quantile(load.latenciesMs, share));
  await controlPlane.startApiServer();
  const { sinceReadyMs, rate } = await watchDrain(metricsURL);
  const found = await listTasks(admin, 'outage');
  const solved = [...found.values()].filter(({ status }) => status?.phase === 'Solved').length;
  console.log(`\noutage: API server killed for ${options.seconds} s at ${options.rate} callbacks/s`);
  console.log(
    `  answered 200: ${answered} of ${load.sent}; p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, slowest ${slowest.toFixed(0)} ms (≤ 1000)`,
  );
  console.log(
    `  applied after the server was ready again: ${solved} of ${answered} within ${(sinceReadyMs / 1_000).toFixed(1)} s (≤ 180)`,
  );
  console.log(
    `  drain ${rate.toFixed(0)}/s, server itself ${rawRate.toFixed(0)}/s: ratio ${(rate / rawRate).toFixed(2)} (≥ 0.8)`,
  );
  return answered === load.sent && slowest <= 1_000 && solved === answered;
}

async function watchDrain(metricsURL: string): Promise<{ sinceReadyMs: number; rate: number }> {
  const readyMs = performance.now();
  const records = async (): Promise<number> => (await scrape(metricsURL)).get('captcha_operator_spool_records') ?? 0;
  const first = await records();
  let left = first;
  let begunMs = readyMs;
  while (left > 0 && performance.now() - readyMs < DRAIN_BOUND_MS) {
    if (left === first) begunMs = performance.now();
    await delay(250);
    left = await records();
  }
  const nowMs = performance.now();
  return { sinceReadyMs: nowMs - readyMs, rate: ((first - left) * 1_000) / (nowMs - begunMs) };
}

async function measureRaw(controlPlane: ControlPlane, admin: Admin): Promise<number> {
  await createBenchNamespace(admin, 'raw');
  const tasks = await createTasks(admin, 'raw', RAW_TASKS);
  const { serverURL, caFile } = controlPlane;
  const token = controlPlane.tokenOf(OPERATOR);
  const { writes, seconds } = await writeRaw(tasks, {
    serverURL,
    ca: readFileSync(caFile, 'utf8'),
    token,
    inFlight: IN_FLIGHT,
  });
  return writes / seconds;
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

function say(line: string): void {
  console.error(line);
}
