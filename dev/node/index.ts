/**
 * A real Kubernetes cluster of one node on this machine, without an engine and without a registry: containerd, kubelet,
 * kube-proxy, CoreDNS and a control plane in namespaces of their own, NetworkPolicies enforced. The machine gets no package,
 * no interface, no rule; `stop()` takes the cgroups and the kernel settings back, and when this process dies in whatever
 * way, they, and every process, mount and interface of the node, go with it. Needs Linux, root, Go, npm, a Debian mirror.
 */
import { closeSync, openSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ensureAssets, type AssetOptions } from '../control-plane/assets.ts';
import { spawnGuarded, type GuardedProcess } from '../control-plane/guard.ts';
import { withProgress, type Log } from '../control-plane/progress.ts';
import { cacheDirectory } from '../control-plane/versions.ts';
import { ensureDebian, hasDebian, type DebianTrees } from './debian.ts';
import { openDoor, type Door } from './door.ts';
import { buildOperatorImage, packProgram } from './images.ts';
import { NAMESPACES, prepareMachine, whyNotAllowed } from './machine.ts';
import { dnsManifests } from './manifests.ts';
import { makePki, writeKubeconfig } from './pki.ts';
import { ensureNodePrograms, hasNodePrograms } from './programs.ts';
import { run } from '../command.ts';
import {
  ADDRESS,
  API_SERVER,
  CONTAINERD,
  DNS_IMAGE,
  ETCD,
  FIRST_SERVICE,
  LATER,
  NODE,
  PAUSE_IMAGE,
  POLICIES,
  filesOf,
  type Daemon,
} from './settings.ts';

const INIT = fileURLToPath(new URL('./init.sh', import.meta.url));
const READY_TIMEOUT_MS = 120_000;

export interface Node {
  /** An administrator's, for this machine: the API server has a port of 127.0.0.1. */
  kubeconfig: string;
  kubectl: string;
  /** Where its daemons write their logs. */
  logs: string;
  /** Gives containerd the images of an archive. */
  importImages(archive: string): Promise<void>;
  /** Builds the operator's image from the work tree and imports it. */
  importOperator(tag: string): Promise<void>;
  /** Returns what could not be put back. */
  stop(): Promise<string[]>;
}

/** Why this machine cannot have one, in words. With `warm` also where its programs would have to be built first. */
export async function whyNoNode(env: NodeJS.ProcessEnv, { warm }: { warm: boolean }): Promise<string | undefined> {
  if (process.platform !== 'linux') return `it needs Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'it needs root';
  const hasAll = (await hasNodePrograms(env)) && (await hasDebian(env));
  if (warm && !hasAll) return 'its programs are not built yet: without --warm they are, once, in about twenty minutes';
  const trees = hasAll ? await ensureDebian({ env, log: () => {} }) : undefined;
  const words = await whyNotAllowed(trees?.node);
  return words === undefined ? undefined : `this machine does not allow it: ${words}`;
}

interface Parts {
  programs: ReadonlyMap<string, string>;
  trees: DebianTrees;
  state: string;
  log: Log;
  cache: string;
}

/** Resolves when the node is Ready and its DNS answers. Throws with the last words of what failed, after ending the rest. */
export async function startNode({ log, env }: AssetOptions): Promise<Node> {
  const assets = await ensureAssets({ log, env });
  const others = await ensureNodePrograms({ log, env });
  const kubectl = assets.kubectl;
  if (kubectl === undefined) throw new Error(`${assets.origin} has no kubectl`);
  const programs = new Map([...others, ['etcd', assets.etcd], ['kube-apiserver', assets.kubeApiserver]]);
  const trees = await ensureDebian({ log, env });
  const state = await mkdtemp(join(tmpdir(), 'captcha-node-'));
  const parts = { programs, trees, state, log, cache: cacheDirectory(env) };
  return withProgress(log, 'starting a node', () => startIn(parts, kubectl));
}

async function startIn(parts: Parts, kubectl: string): Promise<Node> {
  const { state } = parts;
  const restore = await prepareMachine(state);
  const stops: (() => unknown)[] = [];
  const stop = async (): Promise<string[]> => {
    for (let end = stops.pop(); end !== undefined; end = stops.pop()) await end();
    return restore();
  };
  try {
    const share = await fillShare(parts);
    const first = startInit(parts);
    const daemons = daemonsIn(state);
    stops.push(() => endAll([first, ...daemons.started]));
    const pid = await pidOf(first, share, state);
    for (const daemon of [ETCD, API_SERVER, CONTAINERD]) daemons.start(pid, daemon);
    const door: Door = await openDoor(pid, state);
    stops.push(() => door.close());
    const kubeconfig = await writeKubeconfig(join(share, 'pki'), 'admin', `https://127.0.0.1:${door.port}`, 'outside');
    const ask = (...args: string[]): Promise<string> => run([kubectl, '--kubeconfig', kubeconfig, ...args]);
    await untilReady(daemons, async () => (await ask('get', '--raw', '/readyz')) === 'ok');
    for (const daemon of LATER) daemons.start(pid, daemon);
    const importImages = (archive: string): Promise<void> => importIn({ pid, share }, archive);
    await untilReady(daemons, async () => (await run([...inside(pid), 'ctr', 'version'])) !== '');
    await importImages(await packProgram(programOf(parts, 'pause'), PAUSE_IMAGE, state));
    await importImages(await packProgram(programOf(parts, 'coredns'), DNS_IMAGE, state));
    await untilReady(daemons, async () => (await ask('get', 'node', NODE, '-o', 'name')) !== '');
    await ask('wait', '--for=condition=Ready', `node/${NODE}`, '--timeout=120s');
    daemons.start(pid, POLICIES);
    await startDns(ask, state);
    const importOperator = (tag: string): Promise<void> => buildAndImport(parts, tag, importImages);
    return { kubeconfig, kubectl, logs: state, importImages, importOperator, stop };
  } catch (error) {
    await keepLogs(state);
    await stop();
    throw error;
  }
}

async function startDns(ask: (...args: string[]) => Promise<string>, state: string): Promise<void> {
  const file = join(state, 'dns.json');
  await writeFile(file, JSON.stringify(dnsManifests()));
  await ask('apply', '-f', file);
  await ask('-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=120s');
}

async function buildAndImport(
  { trees, state, log, cache }: Parts,
  tag: string,
  importImages: (archive: string) => Promise<void>,
): Promise<void> {
  const archive = await buildOperatorImage({ trees, storage: join(cache, 'node-images'), scratch: state, log }, tag);
  await withProgress(log, `importing ${tag}`, () => importImages(archive));
  await rm(archive, { force: true });
}

function programOf({ programs }: Parts, name: string): string {
  const path = programs.get(name);
  if (path === undefined) throw new Error(`no ${name} among the programs of the node`);
  return path;
}

/** What the node sees as `/node`. */
async function fillShare({ programs, state }: Parts): Promise<string> {
  const share = join(state, 'share');
  await mkdir(join(share, 'bin'), { recursive: true });
  for (const [name, text] of Object.entries(filesOf())) await writeFile(join(share, name), text);
  for (const [name, path] of programs) await cp(path, join(share, 'bin', name));
  await makePki(join(share, 'pki'), { node: NODE, address: ADDRESS, service: FIRST_SERVICE });
  return share;
}

function startInit({ state, trees }: Parts): GuardedProcess {
  return startLogged('init', ['unshare', ...NAMESPACES, INIT, trees.node, state, ADDRESS], state);
}

/** The first process takes everybody in its namespaces with it. */
async function endAll(processes: readonly GuardedProcess[]): Promise<void> {
  for (const one of processes) one.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
}

function startLogged(name: string, command: readonly string[], state: string): GuardedProcess {
  const output = openSync(join(state, `${name}.log`), 'a', 0o600);
  try {
    return spawnGuarded(name, command, { output });
  } finally {
    closeSync(output);
  }
}

/** The machine's number of the node's first process, once the node is made. */
async function pidOf(first: GuardedProcess, share: string, state: string): Promise<string> {
  for (;;) {
    const text = await readFile(join(share, 'pid'), 'utf8').catch(() => undefined);
    if (text !== undefined) return text.trim();
    if (!first.running())
      throw new Error(`the node did not start:\n${await readFile(join(state, 'init.log'), 'utf8')}`);
    await delay(50);
  }
}

interface Daemons {
  started: GuardedProcess[];
  start(pid: string, daemon: Daemon): void;
  /** Throws when one has ended, with its last words. */
  check(): Promise<void>;
}

/** Programs beside the node's first process: its files, its network, its processes. */
function daemonsIn(state: string): Daemons {
  const started: GuardedProcess[] = [];
  return {
    started,
    start(pid, { name, flags }) {
      started.push(startLogged(name, [...inside(pid), `/node/bin/${name}`, ...flags], state));
    },
    async check() {
      const ended = started.find((daemon) => !daemon.running());
      if (ended === undefined) return;
      const text = await readFile(join(state, `${ended.name}.log`), 'utf8');
      throw new Error(`${ended.name} ended; its last words:\n${text.trim().split('\n').slice(-8).join('\n')}`);
    },
  };
}

function inside(pid: string): string[] {
  const path = 'PATH=/node/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return ['nsenter', '-t', pid, '-m', '-n', '-p', '-u', '-i', '--', 'env', path];
}

async function importIn({ pid, share }: { pid: string; share: string }, archive: string): Promise<void> {
  const name = 'import.tar';
  await rename(archive, join(share, name)).catch(() => copyFile(archive, join(share, name)));
  await run([...inside(pid), 'ctr', '--namespace', 'k8s.io', 'images', 'import', `/node/${name}`]);
  await rm(join(share, name));
}

async function untilReady(daemons: Daemons, look: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  let why = 'no';
  while (performance.now() < deadlineMs) {
    await daemons.check();
    const ready = await look().catch((error: Error) => {
      why = error.message;
      return false;
    });
    if (ready) return;
    await delay(200);
  }
  throw new Error(`not ready after ${READY_TIMEOUT_MS / 1_000} s: ${why}`);
}

/** The scratch folder goes; what the daemons said stays, for whoever has to find out. */
async function keepLogs(state: string): Promise<void> {
  const kept = `${state}-logs`;
  await mkdir(kept, { recursive: true });
  await run(['sh', '-c', 'cp "$0"/*.log "$1"', state, kept]);
}
