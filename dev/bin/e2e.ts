/**
 * `npm run e2e`: installs the operator's image into the cluster of the current kubeconfig, with the provider simulator as
 * another pod, and proves there what only a cluster with real pods can show. The cluster must have the image already
 * (docs/installation.md says how) and must not be in use. `-- --local` first starts a cluster of one node on this machine
 * (Linux, root) and builds the image; `-- --keep` leaves that running until Ctrl-C. Ends 0 when every step is done, 1 when
 * one failed, 2 on a wrong call, 3 where `--local` cannot be had here.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureAssets } from '../control-plane/index.ts';
import { runSteps, tableOf } from '../e2e/run.ts';
import { ensureHelm } from '../helm/index.ts';
import { startNode, whyNoNode, type Node } from '../node/index.ts';

const USAGE = 'usage: npm run e2e -- [--image REF] [--from STEP] [--durable] [--local [--warm] [--keep]]';
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
  local?: boolean;
  warm?: boolean;
  keep?: boolean;
} {
  const [flag, text] = [{ type: 'boolean' }, { type: 'string' }] as const;
  try {
    return parseArgs({ options: { image: text, from: text, durable: flag, local: flag, warm: flag, keep: flag } })
      .values;
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
const interrupt = new AbortController();
let node: Node | undefined;
let scratch = '';
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    interrupt.abort();
    void clean().then(() => process.exit(130));
  });
}

async function clean(): Promise<void> {
  const running = node;
  node = undefined;
  for (const line of (await running?.stop()) ?? []) log(line);
  if (scratch !== '') await rm(scratch, { recursive: true, force: true });
}

/** With `--warm` only where it takes no twenty minutes; undefined where it cannot be had. */
async function startLocal(): Promise<Node | undefined> {
  const reason = args.warm ? await whyNoNode(env) : undefined;
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
  scratch = await mkdtemp(join(tmpdir(), 'captcha-e2e-'));
  const { kubeconfig, kubectl } = await clusterOf(local);
  const helm = (): Promise<string> => ensureHelm({ log, env });
  const rows = await runSteps(
    { kubectl, helm, kubeconfig, image, isOurs: local !== undefined, scratch, log },
    { from: args.from, durable: args.durable ?? false },
  );
  process.stdout.write(`\n${tableOf(rows).join('\n')}\n`);
  if (args.keep && local !== undefined) await keep(local);
  return rows.some(({ end }) => end === 'FAILED') ? 1 : 0;
}

async function keep({ kubeconfig, kubectl, logs }: Node): Promise<void> {
  log(
    `It keeps running until Ctrl-C:\n  export KUBECONFIG=${kubeconfig}\n  alias kubectl=${kubectl}\n  ls ${logs}/*.log`,
  );
  await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve, { once: true }));
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`e2e: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  await clean();
}
