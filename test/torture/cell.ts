/**
 * The place of a row of crash points: a namespace with a journal of its own, real operator processes one after another
 * (or beside each other, when one is paused), each behind its own checkpoints, and what every task must have come to at
 * the end. The provider and the sidecar may serve several cells at once. Nothing here knows where a process dies: that
 * is for the points.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CaptchaTask, CaptchaTaskSpec } from '../../src/api/captchatask.ts';
import { API_VERSION } from '../../src/api/names.ts';
import { type Child, type LogLine, startChild } from '../../dev/child.ts';
import { type Admin, OPERATOR, objectOf } from '../../dev/control-plane/index.ts';
import { DEMO_API_KEY } from '../../dev/fleet.ts';
import type { LedgerSubmission } from '../../dev/simulator/ledger.ts';
import type { Script } from '../../dev/simulator/script.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type Checkpoint, startCheckpoint } from './checkpoint.ts';
import { type Ground, behindCheckpoint } from './ground.ts';
import { calls } from './requests.ts';

/** One operator process, before its start, during its life and after it. */
export interface Life {
  readonly api: Checkpoint;
  readonly provider: Checkpoint;
  start(env?: Record<string, string>): void;
  /** SIGKILL. */
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  /** SIGTERM; resolves with the exit code. */
  end(): Promise<number | string>;
  askToEnd(): void;
  line(reason: string, matches: (line: LogLine) => boolean): Promise<LogLine>;
}

/** What a task must have come to. */
export interface End {
  /** Default: Solved. */
  reason?: string;
  /** Accepted submissions by the provider's books. `counted`: one, and one for each that is counted as unknown. */
  paid: number | 'counted';
  /** Default: 0. */
  unknown?: number;
  /** Default: as many as are paid, at least 1. */
  attempts?: number;
}

export interface Cell {
  readonly namespace: string;
  readonly ground: Ground;
  /** The process that leads now. */
  life: Life;
  page(name: string): string;
  /** A process that is not started yet, so that it can be stopped at its first request. */
  prepare(): Promise<Life>;
  /** Kills the one that leads, and starts this one in its place; by default a new one. */
  succeed(next?: Life, env?: Record<string, string>): Promise<Life>;
  /** Creates a task, and says what must become of it; `undefined` for one that is judged by its point. */
  apply(
    name: string,
    end: End | undefined,
    how?: { spec?: Partial<CaptchaTaskSpec>; script?: Script },
  ): Promise<CaptchaTask>;
  /** What must become of a task that was applied without a word about it. */
  expect(name: string, end: End): void;
  /** Every task so far has ended: none is hit by two deaths. */
  settle(): Promise<void>;
  /** A first accepted submission: after it this process makes several calls at once. */
  prime(): Promise<void>;
  task(name: string): Promise<CaptchaTask>;
  until(name: string, reason: string, matches: (task: CaptchaTask) => boolean): Promise<CaptchaTask>;
  submissions(name: string): Promise<LedgerSubmission[]>;
  /** The lines of its journal; undefined where there is none. */
  journal(): Promise<string[] | undefined>;
  readonly journalPath: string;
  /** Every task has ended as it must, no more was paid than is counted, and the journal is empty. Returns what is wrong. */
  judge(): Promise<string[]>;
  stop(): Promise<void>;
}

/** The callback of the first accepted submission is lost, so that a poll or nobody finds it; all later ones come. */
export const LOST: Script = { tasks: [{ pingbacks: [] }, {}] };

const PATIENCE_MS = 90_000;
const RESOURCES = { configmaps: '', leases: 'coordination.k8s.io', secrets: '' } as const;

/** @param delivery how its tasks get their results, where a point does not need callbacks */
export async function openCell(
  ground: Ground,
  namespace: string,
  delivery: CaptchaTaskSpec['delivery'] = 'Callback',
): Promise<Cell> {
  const { admin } = ground;
  objectOf(await admin.create('/api/v1/namespaces', { kind: 'Namespace', metadata: { name: namespace } }));
  await grant(admin, namespace);
  const home = await mkdtemp(join(tmpdir(), 'crash-cell-'));
  const lives: Life[] = [];
  const prepare = async (): Promise<Life> => {
    const life = await prepareLife(ground, namespace, join(home, `kubeconfig-${lives.length}`));
    lives.push(life);
    return life;
  };
  const ends = new Map<string, End>();
  let primed = 0;
  const cell: Cell = {
    namespace,
    ground,
    life: await prepare(),
    prepare,
    journalPath: `/api/v1/namespaces/${namespace}/configmaps/captcha-operator-journal`,
    page: (name) => `https://shop.example/${namespace}/${name}`,
    async succeed(next, env) {
      const successor = next ?? (await prepare());
      await cell.life.kill();
      successor.start(env);
      cell.life = successor;
      return successor;
    },
    async settle() {
      for (const name of ends.keys()) await cell.until(name, 'has ended', isEnded);
    },
    expect: (name, end) => void ends.set(name, end),
    async apply(name, end, { spec, script = LOST } = {}) {
      if (end !== undefined) ends.set(name, end);
      await ground.simulator.control.script(script, { field: 'pageurl', equals: cell.page(name) });
      return objectOf<CaptchaTask>(
        await admin.create(
          tasksPath(namespace),
          manifest(name, cell.page(name), { ...(needsCallback(script) ? {} : { delivery }), ...spec }),
        ),
      );
    },
    async prime() {
      const name = `first-${++primed}`;
      const called = cell.life.provider.pass(calls(cell.page(name)));
      await cell.apply(name, { paid: 1 }, { script: {} });
      await called;
      await cell.until(name, 'is solved', ({ status }) => status?.phase === 'Solved');
    },
    task: async (name) => objectOf<CaptchaTask>(await admin.get(`${tasksPath(namespace)}/${name}`)),
    until: (name, reason, matches) => untilTask(cell, name, { reason, matches }),
    submissions: async (name) =>
      (await ground.simulator.control.ledger({ field: 'pageurl', equals: cell.page(name) })).submissions,
    journal: async () => linesOf(await admin.get(cell.journalPath)),
    judge: () => judge(cell, ends),
    async stop() {
      await Promise.all(lives.map((life) => life.kill()));
      await Promise.all(lives.flatMap(({ api, provider }) => [api.close(), provider.close()]));
      await rm(home, { recursive: true, force: true });
    },
  };
  cell.life.start();
  return cell;
}

/** Lease, journal and Secrets of the cell's own namespace, as the shipped Roles give them elsewhere. */
async function grant(admin: Admin, namespace: string): Promise<void> {
  const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const metadata = { name: 'cell' };
  const verbs = ['get', 'create', 'update'];
  const rules = Object.entries(RESOURCES).map(([plural, group]) => ({
    apiGroups: [group],
    resources: [plural],
    verbs,
  }));
  objectOf(await admin.create(`${path}/roles`, { metadata, rules }));
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'cell' };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: OPERATOR.user }];
  objectOf(await admin.create(`${path}/rolebindings`, { metadata, roleRef, subjects }));
}

async function prepareLife(ground: Ground, namespace: string, kubeconfig: string): Promise<Life> {
  const { api } = await behindCheckpoint(ground, kubeconfig);
  const provider = await startCheckpoint(ground.simulator.url);
  const fixed = {
    KUBECONFIG: kubeconfig,
    PROVIDER_URL: provider.url,
    PROVIDER_API_KEY: DEMO_API_KEY,
    CALLBACK_URL: ground.callbackURL,
    CALLBACK_ALLOW_HTTP: 'true',
    CALLBACK_KEYS_FILE: ground.callbackKeysFile,
    CALLBACK_SILENCE_LIMIT: '0',
    WATCH_NAMESPACES: namespace,
    POD_NAMESPACE: namespace,
    POD_NAME: 'operator',
    // The journal alone fences them; with the Lease a successor would wait 15 s.
    LEADER_ELECTION: 'false',
    UNKNOWN_SUBMISSION_GRACE_SECONDS: '1',
    POLL_INTERVAL_SECONDS: '1',
    DEAD_LETTER_RETRY_MIN_SECONDS: '1',
    METRICS_BIND_ADDRESS: '127.0.0.1:0',
    HEALTH_BIND_ADDRESS: '127.0.0.1:0',
  };
  let child: Child | undefined;
  return {
    api,
    provider,
    start: (env) => {
      child = startChild({ entry: 'operator', env: { ...fixed, ...env } });
    },
    async kill() {
      child?.kill('SIGKILL');
      await child?.exited;
    },
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
    end: async () => (await child?.stop()) ?? 'never started',
    askToEnd: () => child?.kill('SIGTERM'),
    line(reason, matches) {
      if (child === undefined) throw new Error('it was never started');
      return child.waitForLine(reason, matches, PATIENCE_MS);
    },
  };
}

/** The point tells the provider when to call back. */
function needsCallback({ tasks = [] }: Script): boolean {
  return tasks.some(({ pingbacks = [] }) => pingbacks.some(({ onCommand }) => onCommand === true));
}

function tasksPath(namespace: string): string {
  return `/apis/${API_VERSION}/namespaces/${namespace}/captchatasks`;
}

function manifest(name: string, pageURL: string, spec: Partial<CaptchaTaskSpec> | undefined): object {
  const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4AAAAAAADnPIDROrmt1Wwj', pageURL } };
  const ours = { captcha, callbackTimeoutSeconds: 2, ...spec };
  return { apiVersion: API_VERSION, kind: 'CaptchaTask', metadata: { name }, spec: ours };
}

interface Wanted {
  reason: string;
  matches: (task: CaptchaTask) => boolean;
}

async function untilTask(cell: Cell, name: string, { reason, matches }: Wanted): Promise<CaptchaTask> {
  let last: CaptchaTask | undefined;
  try {
    await waitUntil(`${name} ${reason}`, async () => matches((last = await cell.task(name))), { boundMs: PATIENCE_MS });
  } catch (error) {
    throw new Error(`${String(error)}; its status: ${JSON.stringify(last?.status)}`, { cause: error });
  }
  return last as CaptchaTask;
}

function linesOf({ status, body }: { status: number; body: unknown }): string[] | undefined {
  if (status === 404) return undefined;
  const { data } = body as { data?: { entries?: string } };
  return (data?.entries ?? '').split('\n').filter((line) => line !== '');
}

async function judge(cell: Cell, ends: ReadonlyMap<string, End>): Promise<string[]> {
  const wrong: string[] = [];
  for (const name of ends.keys()) {
    await cell.until(name, 'has ended', isEnded).catch((error: Error) => wrong.push(`stuck: ${error.message}`));
  }
  // A holder that has nothing to do empties it, within 10 s; and what it holds may have to be counted yet.
  const empty = async (): Promise<boolean> => (await cell.journal())?.length === 0;
  await waitUntil('an empty journal', empty, { boundMs: PATIENCE_MS }).catch(async () => {
    wrong.push(`the journal of ${cell.namespace} holds ${JSON.stringify(await cell.journal())}`);
  });
  for (const [name, end] of ends) wrong.push(...(await judgeTask(cell, name, end)));
  return wrong;
}

const isEnded = (task: CaptchaTask): boolean => task.status?.completionTime !== undefined;

async function judgeTask(cell: Cell, name: string, end: End): Promise<string[]> {
  const task = await cell.task(name);
  const said = task.status?.conditions?.find(({ type }) => type === 'Solved')?.reason;
  const books = (await cell.submissions(name)).filter((one) => one.paid).length;
  const { attempts, unknownSubmissions = 0 } = task.status ?? {};
  const found = { reason: said, paid: books, unknown: unknownSubmissions, attempts };
  const wanted = wantedOf(end, found);
  if (JSON.stringify(found) === JSON.stringify(wanted)) return [];
  return [`${name} is ${JSON.stringify(found)}, and not ${JSON.stringify(wanted)}`];
}

interface Found {
  reason: string | undefined;
  paid: number;
  unknown: number;
  attempts: number | undefined;
}

function wantedOf({ paid, reason = 'Solved', unknown = 0, attempts }: End, found: Found): Found {
  if (paid !== 'counted') return { reason, paid, unknown, attempts: attempts ?? Math.max(1, paid) };
  const counted = 1 + found.unknown;
  return { reason, paid: Math.min(found.paid, counted), unknown: found.unknown, attempts: counted };
}
