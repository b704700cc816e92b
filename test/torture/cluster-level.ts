/**
 * Level 2: two real sidecars under the shipped RBAC against a real kube-apiserver, each killed with SIGKILL again and
 * again, while the API server is killed and started again now and then. Every callback answered 200 has to be its
 * task's solution at the end. A watch counts how often each task was given a solution; no task may be given two.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import { startChild } from '../../dev/child.ts';
import type { Child } from '../../dev/child.ts';
import { OPERATOR } from '../../dev/control-plane/index.ts';
import type { ControlPlane } from '../../dev/control-plane/index.ts';
import { startInstallation } from '../../dev/installation.ts';
import { loadAccess } from '../../src/kube/access.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import { createSubmittedTasks, listTasks } from '../bench/seed-submitted.ts';
import { createBenchNamespace } from '../bench/seed-tasks.ts';
import { seededRandom } from '../bench/open-loop.ts';
import { CAPTCHA_ID } from '../support/builders.ts';
import { waitUntil } from '../support/wait-until.ts';
import { TORTURE_SECRET, torturePath } from './keys.ts';
import { startLedger } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import type { TortureReport } from './spool-level.ts';

export interface ClusterLevelOptions {
  kills: number;
  tasks: number;
  seed: number;
  onProgress?(text: string): void;
}

export type ClusterReport = Omit<TortureReport, 'fills' | 'bornFull'>;

interface SidecarProcess {
  env: Record<string, string>;
  child: Child | undefined;
  port: number;
}

interface Arena {
  options: ClusterLevelOptions;
  random: () => number;
  controlPlane: ControlPlane;
  sidecars: [SidecarProcess, SidecarProcess];
  ledger: Ledger;
  count: { kills: number; outages: number };
}

const NAMESPACE = 'torture';
const KILLS_PER_OUTAGE = 20;
/** A port where nobody listens. */
const NOBODY = 1;
const codeOf = (n: number): string => `solution-of-${n}`;

export async function tortureCluster(options: ClusterLevelOptions): Promise<ClusterReport> {
  const say = options.onProgress ?? (() => undefined);
  const home = await mkdtemp(join(tmpdir(), 'torture-'));
  const installation = await startInstallation({ log: say, env: process.env });
  const { controlPlane, admin } = installation;
  const client = await watcherClient(controlPlane);
  try {
    await createBenchNamespace(admin, NAMESPACE);
    say(`creating ${options.tasks} submitted tasks`);
    const tasks = await createSubmittedTasks(admin, NAMESPACE, options.tasks);
    const sightings = countSolutions(client, tasks.at(-1)!.metadata.resourceVersion);
    const sidecars = await prepareSidecars(controlPlane, home);
    const count = { kills: 0, outages: 0 };
    const ledger = startLedger({
      port: (which) => sidecars[which].port,
      target: (n) => `${torturePath(tasks[n]!.metadata)}?id=${CAPTCHA_ID}&code=${codeOf(n)}`,
      callbacks: options.tasks,
      connections: 32,
      duplicateEvery: 5,
      mayDeliver: (n) => n / options.tasks <= (count.kills + 1) / options.kills,
    });
    const arena: Arena = {
      options,
      random: seededRandom(options.seed),
      controlPlane,
      sidecars,
      ledger,
      count,
    };
    await killOften(arena);
    await ledger.finished;
    await drain(arena);
    const found = await listTasks(admin, NAMESPACE);
    const seenAll = await sightings.sawEvery(found);
    await sightings.stop();
    return report(arena, found, { counts: sightings.counts, seenAll });
  } finally {
    await client.close();
    await installation.stop();
    await rm(home, { recursive: true, force: true });
  }
}

async function watcherClient(controlPlane: ControlPlane): Promise<KubeClient> {
  const kubeconfigPath = controlPlane.adminKubeconfig;
  return createKubeClient({ access: await loadAccess({ kubeconfigPath }), userAgent: 'torture' });
}

/** Counts, for each task, the versions that brought a solution it did not have before. */
function countSolutions(client: KubeClient, since: string) {
  const counts = new Map<string, number>();
  const seen = new Map<string, string>();
  const stopping = new AbortController();
  let resourceVersion = since;
  const see = (object: KubeObject): void => {
    const { metadata, status } = object as unknown as CaptchaTask;
    const solution = JSON.stringify(status?.solution);
    if (solution === undefined || seen.get(metadata.name) === solution) return;
    seen.set(metadata.name, solution);
    counts.set(metadata.name, (counts.get(metadata.name) ?? 0) + 1);
  };
  /** The API server forgot where the watch was; what happened meanwhile shows in a list. */
  const relist = async (): Promise<void> => {
    let next: string | undefined;
    do {
      const page = await client.list(CAPTCHA_TASK, { namespace: NAMESPACE, limit: 500, continue: next });
      if (!page.ok) return;
      for (const item of page.items) see(item);
      resourceVersion = page.resourceVersion;
      next = page.continue;
    } while (next !== undefined);
  };
  const watch = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const end = await client.watch(CAPTCHA_TASK, {
        namespace: NAMESPACE,
        resourceVersion,
        signal: stopping.signal,
        silenceMs: 30_000,
        onEvent(_, object) {
          resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
          see(object);
        },
      });
      if (end.kind === 'expired') await relist();
      if (!stopping.signal.aborted) await delay(200);
    }
  };
  const watching = watch();
  return {
    counts,
    /** Whether the watch caught up with what is there. */
    sawEvery(found: Map<string, CaptchaTask>): Promise<boolean> {
      const solved = [...found.values()].filter(({ status }) => status?.solution !== undefined).length;
      const caughtUp = waitUntil('the watch to catch up', () => counts.size === solved, { boundMs: 120_000 });
      return caughtUp.catch(() => false);
    },
    async stop(): Promise<void> {
      stopping.abort();
      await watching;
    },
  };
}

async function prepareSidecars(controlPlane: ControlPlane, home: string): Promise<[SidecarProcess, SidecarProcess]> {
  await writeFile(join(home, 'keys'), `k1:${TORTURE_SECRET.toString('base64')}\n`, { mode: 0o600 });
  const kubeconfig = await controlPlane.kubeconfigFor(OPERATOR);
  const prepare = async (name: string): Promise<SidecarProcess> => {
    await mkdir(join(home, name));
    const env = {
      KUBECONFIG: kubeconfig,
      CALLBACK_KEYS_FILE: join(home, 'keys'),
      SPOOL_DIR: join(home, name),
      METRICS_BIND_ADDRESS: '127.0.0.1:0',
      HEALTH_BIND_ADDRESS: '127.0.0.1:0',
    };
    return { env, child: undefined, port: NOBODY };
  };
  return [await prepare('a'), await prepare('b')];
}

async function startSidecar(sidecar: SidecarProcess): Promise<void> {
  const bind = `127.0.0.1:${sidecar.port === NOBODY ? 0 : sidecar.port}`;
  sidecar.child = startChild({ entry: 'callback', env: { ...sidecar.env, CALLBACK_BIND_ADDRESS: bind } });
  sidecar.port = await portOf(sidecar.child, 'callback');
}

async function portOf(child: Child, listener: string): Promise<number> {
  const line = await child.waitForLine(`its ${listener} listener`, (each) => each['listener'] === listener, 120_000);
  return Number(line['port']);
}

async function killOften(arena: Arena): Promise<void> {
  const { options, random, sidecars, controlPlane, ledger, count } = arena;
  const all = ledger.finished.then(() => true);
  const lives = sidecars.map(async (sidecar) => {
    while (count.kills < options.kills || !(await Promise.race([all, Promise.resolve(false)]))) {
      await startSidecar(sidecar);
      await delay(50 + random() * 1_000);
      sidecar.child!.kill('SIGKILL');
      await sidecar.child!.exited;
      count.kills++;
      if (count.kills % 20 === 0) options.onProgress?.(`${count.kills} kills, ${ledger.answered()} answered`);
    }
  });
  const killing = Promise.all(lives).then(() => true);
  while (!(await Promise.race([killing, delay(1_000, false)]))) {
    if (count.kills < (count.outages + 1) * KILLS_PER_OUTAGE) continue;
    count.outages++;
    await controlPlane.stopApiServer();
    await delay(1_000 + random() * 3_000);
    await controlPlane.startApiServer();
  }
}

async function drain({ sidecars }: Arena): Promise<void> {
  for (const sidecar of sidecars) {
    await startSidecar(sidecar);
    const port = await portOf(sidecar.child!, 'metrics');
    await waitUntil(
      'the spool to be empty',
      async () => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        return /^captcha_operator_spool_records 0$/m.test(text);
      },
      { boundMs: 300_000, everyMs: 200 },
    );
    await sidecar.child!.stop();
  }
}

interface Sightings {
  counts: Map<string, number>;
  seenAll: boolean;
}

function report(arena: Arena, found: Map<string, CaptchaTask>, { counts, seenAll }: Sightings): ClusterReport {
  const { ledger, options } = arena;
  const wrong: string[] = seenAll ? [] : [`the watch saw only ${counts.size} tasks being solved`];
  let lost = 0;
  for (let n = 0; n < options.tasks; n++) {
    const value = found.get(`t-${n}`)?.status?.solution?.value;
    if (ledger.acknowledged[n] === 1 && value === undefined) lost++;
    if (value !== undefined && value !== codeOf(n)) wrong.push(`task ${n} has another task's solution`);
  }
  const twice = [...counts.values()].filter((count) => count > 1).length;
  const answered = ledger.acknowledged.reduce((sum, one) => sum + one, 0);
  const refused = [...ledger.refused].map(([status, count]) => `${status}: ${count}`).join(', ');
  return { ...arena.count, answered, lost, twice, wrong, refused, slowestMs: ledger.slowestMs() };
}
