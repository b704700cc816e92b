/**
 * What every step of `npm run e2e` works with: kubectl and Helm as a user has them, the API through `kubectl proxy`, the
 * simulator's remote control, and how one waits. Knows no step.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { run } from '../command.ts';
import { createProxiedAdmin, objectOf, type Admin } from '../control-plane/index.ts';
import { spawnGuarded } from '../control-plane/guard.ts';
import type { Log } from '../control-plane/progress.ts';
import { createSimulatorControl, type SimulatorControl } from '../simulator/control.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Where the operator is, as its manifests say. */
export const SYSTEM = 'captcha-system';
/** Ours: the simulator, the tasks, and the pod that kills. */
export const PROVIDER = { namespace: 'captcha-e2e-provider', name: 'provider', port: 8443 } as const;
export const TASKS = 'captcha-e2e';
export const SELECTOR = 'app.kubernetes.io/name=captcha-operator';

export interface Stage {
  kubectl(...args: string[]): Promise<string>;
  /** With the namespace `captcha-system`. */
  system(...args: string[]): Promise<string>;
  helm(...args: string[]): Promise<string>;
  /** Runs commands as somebody types them in the work tree: kubectl and this Node are on the PATH. Ends at the first fault. */
  shell(script: string, input?: string): Promise<string>;
  apply(objects: readonly object[]): Promise<void>;
  admin: Admin;
  control: SimulatorControl;
  image: string;
  /** A cluster that was started for this run: what it lacks is a failure. */
  isOurs: boolean;
  scratch: string;
  log: Log;
}

/** A step that this cluster cannot show. It is no failure, and the table says it. */
export class LeftOut extends Error {}

export interface StageOptions {
  kubectl: string;
  helm(): Promise<string>;
  kubeconfig: string;
  image: string;
  isOurs: boolean;
  scratch: string;
  log: Log;
}

/** `close` ends the proxy. */
export async function openStage(options: StageOptions): Promise<{ stage: Stage; close(): Promise<void> }> {
  const { kubeconfig, scratch, image, isOurs, log } = options;
  const env = { KUBECONFIG: kubeconfig, HOME: scratch };
  const kubectl = (...args: string[]): Promise<string> => run([options.kubectl, ...args], { env });
  const proxy = spawnGuarded('kubectl', ['env', `KUBECONFIG=${kubeconfig}`, options.kubectl, 'proxy', '--port=0'], {
    output: 'pipe',
    scratch,
  });
  const url = await proxyURL(proxy);
  const admin = createProxiedAdmin(url);
  let files = 0;
  const apply = async (objects: readonly object[]): Promise<void> => {
    files += 1;
    const file = join(scratch, `objects-${files}.json`);
    await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    await kubectl('apply', '-f', file);
  };
  const programs = [dirname(process.execPath), ...(isAbsolute(options.kubectl) ? [dirname(options.kubectl)] : [])];
  const shell = async (script: string, input = ''): Promise<string> => {
    files += 1;
    const file = join(scratch, `script-${files}`);
    await writeFile(file, script);
    await writeFile(`${file}-input`, `${input}\n`, { mode: 0o600 });
    const start = 'PATH="$0:$PATH" exec bash -e "$1" < "$1-input"';
    return run(['sh', '-c', start, programs.join(':'), file], { env, cwd: ROOT });
  };
  const { namespace, name, port } = PROVIDER;
  const control = createSimulatorControl(`${url}/api/v1/namespaces/${namespace}/services/${name}:${port}/proxy`);
  const stage: Stage = {
    kubectl,
    system: (...args) => kubectl('--namespace', SYSTEM, ...args),
    shell,
    helm: async (...args) => run([await options.helm(), ...args], { env }),
    apply,
    admin,
    control,
    image,
    isOurs,
    scratch,
    log,
  };
  const close = async (): Promise<void> => {
    await admin.close();
    proxy.kill('SIGKILL');
    await proxy.ended;
  };
  return { stage, close };
}

async function proxyURL(proxy: ReturnType<typeof spawnGuarded>): Promise<string> {
  let text = '';
  for await (const chunk of proxy.child.stdout ?? []) {
    text += String(chunk);
    const port = /Starting to serve on 127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (port !== undefined) return `http://127.0.0.1:${port}`;
  }
  throw new Error(`kubectl proxy did not start: ${text}`);
}

/** Looks until there is something, and then returns it. The bound is for runs that hang, not a measure of anything. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  boundMs = 180_000,
): Promise<T> {
  const deadlineMs = performance.now() + boundMs;
  let why = '';
  while (performance.now() < deadlineMs) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      why = `; last: ${(error as Error).message}`;
    }
    await delay(250);
  }
  throw new Error(`waited ${boundMs / 1_000} s for ${what}${why}`);
}

export function documentsOf<T = Record<string, unknown>>(yaml: string): T[] {
  return parseAllDocuments(yaml).map((document) => document.toJS() as T);
}

/** The object at this path of the API; throws with the server's words where there is none. */
export async function read<T>({ admin }: Stage, path: string): Promise<T> {
  return objectOf<T>(await admin.get(path));
}

export interface Pod {
  metadata: { name: string; uid: string; deletionTimestamp?: string };
  spec: { nodeName?: string };
  status: {
    phase: string;
    podIP?: string;
    containerStatuses?: {
      name: string;
      ready: boolean;
      restartCount: number;
      containerID?: string;
      state: { waiting?: { reason: string } };
    }[];
  };
}

export async function podsOf(stage: Stage): Promise<Pod[]> {
  const query = `labelSelector=${encodeURIComponent(SELECTOR)}`;
  return (await read<{ items: Pod[] }>(stage, `/api/v1/namespaces/${SYSTEM}/pods?${query}`)).items;
}

export function isReady({ metadata, status }: Pod): boolean {
  const all = status.containerStatuses ?? [];
  return metadata.deletionTimestamp === undefined && all.length > 0 && all.every(({ ready }) => ready);
}

/** Until so many pods of the operator, and no others, are ready. */
export async function untilPodsReady(stage: Stage, count: number): Promise<Pod[]> {
  return until(`${count} pods of the operator to be ready`, async () => {
    const pods = await podsOf(stage);
    return pods.length === count && pods.every(isReady) && pods;
  });
}

interface Lease {
  spec: { holderIdentity?: string };
}

/** The pod that leads; undefined when nobody does. */
export async function leaderOf(stage: Stage): Promise<string | undefined> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases/captcha-operator`;
  const reply = await stage.admin.get(path);
  if (reply.status !== 200) return undefined;
  // The name of the pod, and what makes each process of it another.
  return (reply.body as Lease).spec.holderIdentity?.replace(/_[^_]*$/, '') || undefined;
}
