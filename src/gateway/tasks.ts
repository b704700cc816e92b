/**
 * The gateway's tasks as a watch knows them: what each is to its client, how many are open in a namespace, and who waits
 * for one to end. What the watch does not know is read from the API server, because only that proves that there is no
 * such task; while the server is away, nothing is said but "not ready". It creates and deletes nothing.
 */
import type { CaptchaTask } from '../api/captchatask.ts';
import { CAPTCHA_TASK, GATEWAY_LABEL } from '../api/names.ts';
import { NOT_READY, viewOf, WRONG_ID, type Answer, type TaskView } from '../core/gateway/answers.ts';
import { findTask } from '../core/gateway/calls.ts';
import { taskNameOf } from '../core/gateway/ids.ts';
import type { KubeClient } from '../kube/client.ts';
import { pause } from '../kube/pause.ts';
import { startReflector, type Reflector, type ReflectorHooks } from '../kube/reflector.ts';
import { runProtocol } from '../kube/run.ts';
import { createStore } from '../kube/store.ts';
import { keyOf, type KubeObject } from '../kube/types.ts';
import { createPacer, type Pacer } from '../waiting/pace.ts';
import type { Limits } from './limits.ts';

export interface GatewayTasks {
  /** What the client of this id is told; held back for up to `holdMs` while that is "not ready". */
  answerOf(namespace: string, id: string, hold: { holdMs: number; signal: AbortSignal }): Promise<Answer>;
  openIn(namespace: string): number;
  open(): number;
  /** A task of ours was just created: it is known before the watch tells of it. */
  created(task: CaptchaTask): void;
  /** Called with the namespace where a task has ended or gone. */
  onRoom(listener: (namespace: string) => void): void;
  /** The first lists are there. */
  synced: Promise<unknown>;
  watches(): readonly Reflector[];
  stop(): Promise<void>;
}

export interface GatewayTasksOptions {
  client: KubeClient;
  namespaces: readonly string[] | undefined;
  watchHooks: ReflectorHooks;
  limits: Limits;
}

const SELECTOR = `${GATEWAY_LABEL}=true`;

export function startTasks(options: GatewayTasksOptions): GatewayTasks {
  const { client, namespaces = [undefined], watchHooks } = options;
  const store = createStore<TaskView>({ project: (raw) => viewOf(raw as unknown as CaptchaTask) });
  const counts = createCounts();
  const waiting = createWaiting();
  store.subscribe((key, _change, current, previous) => {
    counts.changed(key.slice(0, key.indexOf('/')), current?.isOpen === true, previous?.isOpen === true);
    waiting.changed(key);
  });
  const reflectors = namespaces.map((namespace) =>
    startReflector({
      client,
      resource: CAPTCHA_TASK,
      namespace,
      labelSelector: SELECTOR,
      store,
      hooks: watchHooks,
    }),
  );
  const put = (task: CaptchaTask): void => store.put(task as unknown as KubeObject);
  const look = createLookUp(options, put);
  const now = async (namespace: string, id: string): Promise<Answer> => {
    const known = store.get(keyOf({ namespace, name: taskNameOf(id) }));
    return known?.answer ?? look(namespace, id);
  };
  return {
    async answerOf(namespace, id, { holdMs, signal }) {
      const key = keyOf({ namespace, name: taskNameOf(id) });
      const untilMs = performance.now() + holdMs;
      for (;;) {
        const answer = await now(namespace, id);
        const leftMs = untilMs - performance.now();
        if (!isPending(answer) || leftMs <= 0 || signal.aborted) return answer;
        await waiting.forChange(key, leftMs, signal);
      }
    },
    openIn: counts.openIn,
    open: counts.open,
    created: put,
    onRoom: counts.onRoom,
    synced: Promise.all(reflectors.map(({ synced }) => synced)),
    watches: () => reflectors,
    stop: async () => void (await Promise.all(reflectors.map((reflector) => reflector.stop()))),
  };
}

function isPending(answer: Answer): boolean {
  return answer.kind === 'word' && answer.word === NOT_READY;
}

/**
 * Reads one task, once for all who ask for it at the same time. Ids can be made up: each namespace has its pace, so that
 * none can spend what the API server grants to all.
 */
function createLookUp({ client, limits }: GatewayTasksOptions, put: (task: CaptchaTask) => void) {
  const paces = new Map<string, Pacer>();
  const mayLookUp = (namespace: string): boolean => {
    const pace = paces.get(namespace) ?? createPacer(limits.lookUpsPerSecond);
    paces.set(namespace, pace);
    return pace.take(performance.now());
  };
  const underWay = new Map<string, Promise<Answer>>();
  const read = async (namespace: string, name: string): Promise<Answer> => {
    const found = await runProtocol(client, findTask(namespace, name), { withinMs: limits.lookUpMs });
    if (found.kind === 'gone') return { kind: 'word', word: WRONG_ID };
    if (found.kind === 'away') return { kind: 'word', word: NOT_READY };
    put(found.task);
    return viewOf(found.task).answer;
  };
  return (namespace: string, id: string): Promise<Answer> => {
    const name = taskNameOf(id);
    const key = keyOf({ namespace, name });
    const known = underWay.get(key);
    if (known !== undefined) return known;
    if (!mayLookUp(namespace)) return Promise.resolve({ kind: 'word', word: NOT_READY });
    const reading = read(namespace, name).finally(() => underWay.delete(key));
    underWay.set(key, reading);
    return reading;
  };
}

function createCounts() {
  const counts = new Map<string, number>();
  const listeners = new Set<(namespace: string) => void>();
  let all = 0;
  return {
    openIn: (namespace: string): number => counts.get(namespace) ?? 0,
    open: (): number => all,
    onRoom: (listener: (namespace: string) => void): void => void listeners.add(listener),
    changed(namespace: string, isOpen: boolean, wasOpen: boolean): void {
      if (isOpen === wasOpen) return;
      const step = isOpen ? 1 : -1;
      const count = (counts.get(namespace) ?? 0) + step;
      all += step;
      if (count === 0) counts.delete(namespace);
      else counts.set(namespace, count);
      if (!isOpen) for (const listener of listeners) listener(namespace);
    },
  };
}

function createWaiting() {
  const waiting = new Map<string, Set<() => void>>();
  return {
    changed(key: string): void {
      for (const wake of waiting.get(key) ?? []) wake();
    },
    /** Until the task changes, the time is over or the signal aborts. */
    async forChange(key: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
      const changed = new AbortController();
      const wake = (): void => changed.abort();
      const others = waiting.get(key) ?? new Set();
      waiting.set(key, others.add(wake));
      await pause(timeoutMs, AbortSignal.any([signal, changed.signal]));
      others.delete(wake);
      if (others.size === 0 && waiting.get(key) === others) waiting.delete(key);
    },
  };
}
