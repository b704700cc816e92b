/**
 * `npm run e2e`: installs the operator's image into the cluster of the current kubeconfig, with the provider simulator as
 * another pod, and proves there what only a cluster with real pods can show. The cluster must have the image already
 * (docs/installation.md says how) and must not be in use. `-- --local` first starts a cluster of one node on this machine
 * (Linux, root) and builds the image; `-- --keep` leaves that running until Ctrl-C; `-- --minutes N` breaks off after that
 * time. Ends 0 when every step is done, 1 when one failed or the time was over, 2 on a wrong call, 3 where `--local` cannot
 * be had here. However it ends, nothing of the cluster that it started is left.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureAssets } from '../control-plane/index.ts';
import { runSteps, tableOf, type Row } from '../e2e/run.ts';
import { ensureHelm } from '../helm/index.ts';
import { startNode, whyNoNode, type Node } from '../node/index.ts';

const USAGE = 'usage: npm run e2e -- [--image REF] [--from STEP] [--durable] [--minutes N] [--local [--warm] [--keep]]';
const { env } = process;
const startedMs = performance.now();

function log(line: string): void {
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6);
  for (const part of line.split('\n')) process.stdout.write(`${seconds} ${part}\n`);
}

function readArguments(): {
  image?: string;
  from?: string;
  durable?: boolean;
  minutes?: string;
  local?: boolean;
  warm?: boolean;
  keep?: boolean;
} {
  const [flag, text] = [{ type: 'boolean' }, { type: 'string' }] as const;
  try {
    const own = { image: text, from: text, minutes: text, durable: flag };
    return parseArgs({ options: { ...own, local: flag, warm: flag, keep: flag } }).values;
  } catch (error) {
    return fail((error as Error).message);
  }
}

function fail(message: string): never {
  process.stderr.write(`e2e: ${message}\n${USAGE}\n`);
  process.exit(2);
}

const args = readArguments();
const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const image = args.image ?? `docker.io/library/captcha-operator:${version}`;
const rows: Row[] = [];
/** For what is to be ended at the end, whatever happens then. */
const CLEANING_MS = 60_000;
let node: Node | undefined;
let scratch = '';
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void breakOff(`broken off by ${signal}`, 130));
}
if (args.minutes !== undefined) {
  const ms = Number(args.minutes) * 60_000;
  if (!(ms > 0)) fail(`--minutes ${args.minutes} is no number of minutes`);
  setTimeout(() => void breakOff(`broken off after ${args.minutes} minutes`, 1), ms).unref();
}

async function breakOff(why: string, code: number): Promise<void> {
  log(why);
  printTable();
  // What is being started just now goes with this process; `clean` knows what is there.
  setTimeout(() => process.exit(code), CLEANING_MS);
  await clean();
  process.exit(code);
}

async function clean(): Promise<void> {
  const running = node;
  node = undefined;
  for (const line of (await running?.stop()) ?? []) log(line);
  if (scratch !== '') await rm(scratch, { recursive: true, force: true });
}

function printTable(): void {
  if (rows.length > 0) process.stdout.write(`\n${tableOf(rows).join('\n')}\n`);
}

/** Undefined where it cannot be had; with `--warm` also where it would take twenty minutes. */
async function startLocal(): Promise<Node | undefined> {
  const reason = await whyNoNode(env, { warm: args.warm ?? false });
  if (reason !== undefined) {
    log(`no cluster on this machine: ${reason}`);
    return undefined;
  }
  const started = await startNode({ log, env });
  node = started;
  await started.importOperator(image);
  return started;
}

async function clusterOf(local: Node | undefined): Promise<{ kubeconfig: string; kubectl: string }> {
  if (local !== undefined) return local;
  const { kubectl = 'kubectl' } = await ensureAssets({ log, env });
  return { kubeconfig: env['KUBECONFIG'] ?? join(homedir(), '.kube/config'), kubectl };
}

async function main(): Promise<number> {
  const local = args.local ? await startLocal() : undefined;
  if (args.local && local === undefined) return 3;
  // What lies with the node goes with it.
  scratch = await mkdtemp(join(local?.logs ?? tmpdir(), 'captcha-e2e-'));
  const { kubeconfig, kubectl } = await clusterOf(local);
  const helm = (): Promise<string> => ensureHelm({ log, env });
  await runSteps(
    { kubectl, helm, kubeconfig, image, isOurs: local !== undefined, scratch, log },
    { from: args.from, durable: args.durable ?? false, rows },
  );
  printTable();
  if (args.keep && local !== undefined) await keep(local);
  return rows.some(({ end }) => end === 'FAILED') ? 1 : 0;
}

async function keep({ kubeconfig, kubectl, logs }: Node): Promise<void> {
  log(
    `It keeps running until Ctrl-C:\n  export KUBECONFIG=${kubeconfig}\n  alias kubectl=${kubectl}\n  ls ${logs}/*.log`,
  );
  await new Promise(() => {});
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`e2e: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  await clean();
}
