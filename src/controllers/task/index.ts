/**
 * The task controller: wires cache, queue, lanes and memory to the loop and to the rules of `core/task`. Every replica
 * keeps its cache warm; only the leader starts anything. Losing leadership or stopping ends new intents, calls and
 * polls in the same instant, while replies of calls already sent are still read and recorded. Started by
 * `bin/operator`.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { Moment } from '../../core/task/facts.ts';
import type { KubeObject } from '../../kube/types.ts';
import type { TaskClock, TaskController, TaskControllerOptions } from './ports.ts';
import { CAPTCHA_TASK } from '../../api/names.ts';
import { decideTask } from '../../core/task/decide.ts';
import { type PackedTask, packTask, unpackTask } from '../../core/task/packed.ts';
import { createWorkQueue } from '../../kube/queue.ts';
import { type Reflector, startReflector } from '../../kube/reflector.ts';
import { createStatusWriter } from '../../kube/status-writer.ts';
import { type Change, createStore } from '../../kube/store.ts';
import { createPass } from '../loop.ts';
import type { TaskContext } from './context.ts';
import { type GatheredFacts, gather } from './gather.ts';
import { createKeyRing } from './keys.ts';
import { createLanes } from './lanes.ts';
import { queueHooks, registerGauges } from './meters.ts';
import { createOwnKey } from './own-key.ts';
import { perform } from './perform.ts';
import { createTimeToLive } from './ttl.ts';

export type { LetterLookup, TaskController, TaskControllerOptions } from './ports.ts';

/** As many writes as keep a small API server busy; more would only make its watches lag. */
const WORKERS = 16;
const UNFINISHED = 'status.phase!=Solved,status.phase!=Failed';
const REAL_CLOCK: TaskClock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => Math.random(),
};

export function startTaskController(options: TaskControllerOptions): TaskController {
  const { client, namespaces, watchHooks } = options;
  const reflectors: Reflector[] = [];
  const context = createContext(options, reflectors);
  registerGauges(options.metrics, {
    store: context.store,
    lanes: context.lanes,
    now: () => context.moment().now,
    depth: () => context.queue.depth(),
  });
  context.store.subscribe((key, change, current, previous) => changed(context, { key, change, current, previous }));
  for (const namespace of namespaces ?? [undefined]) {
    reflectors.push(
      startReflector({
        client,
        resource: CAPTCHA_TASK,
        namespace,
        fieldSelector: UNFINISHED,
        store: context.store,
        ...(watchHooks === undefined ? {} : { hooks: watchHooks }),
      }),
    );
  }
  let isSynced = false;
  const becomeSynced = async (): Promise<void> => {
    await Promise.all(reflectors.map((reflector) => reflector.synced));
    isSynced = true;
    lead(context, true);
  };
  const synced = becomeSynced();
  // In the same instant: a change of the Lease must not be seen later than what follows from it.
  const unsubscribe = options.leadership.onChange(() => isSynced && lead(context));
  return {
    synced,
    wake: (namespace, name) => context.queue.add(`${namespace}/${name}`),
    lastActivityMs: () => Math.max(...reflectors.map((reflector) => reflector.lastActivityMs())),
    task(namespace, name) {
      const packed = context.store.get(`${namespace}/${name}`);
      return packed === undefined ? undefined : unpackTask(packed);
    },
    async stop({ drainMs }) {
      unsubscribe();
      context.stopping.abort();
      lead(context);
      const open = await drain(context, drainMs);
      await context.queue.stop({ drainMs: 1_000 });
      await context.ttl.stop();
      await Promise.all(reflectors.map((reflector) => reflector.stop()));
      return open;
    },
  };
}

function createContext(options: TaskControllerOptions, reflectors: readonly Reflector[]): TaskContext {
  const { client, log, leadership, clock = REAL_CLOCK } = options;
  const stopping = new AbortController();
  const moment = (): Moment => ({ now: clock.now(), mono: clock.monotonicMs(), random: clock.random() });
  const mayAct = (): boolean =>
    context.actingSinceMono !== undefined && !stopping.signal.aborted && leadership.isLeader();
  const context: TaskContext = {
    options,
    store: createStore({ project: (raw: KubeObject): PackedTask => packTask(raw as unknown as CaptchaTask) }),
    memories: new Map(),
    writer: createStatusWriter({ client, resource: CAPTCHA_TASK }),
    ...createRooms(options, { moment, mayAct, wake: (key) => context.queue.add(key) }),
    queue: createWorkQueue({
      name: 'captchatask',
      concurrency: WORKERS,
      process: (key, signal) => pass(key, signal),
      now: clock.monotonicMs,
      hooks: queueHooks(options.metrics, (key, error) => log.error('A pass over a task failed', { key, error })),
    }),
    calls: new Set(),
    stopping,
    actingSinceMono: undefined,
    intents: 0,
    waitingWrites: 0,
    ownWrite: undefined,
    moment,
    mayAct,
    watchedMs: () => Math.min(...reflectors.map((reflector) => watchedMs(reflector, clock.monotonicMs()))),
  };
  const pass = createTaskPass(context);
  return context;
}

function createRooms(
  options: TaskControllerOptions,
  parts: { moment: () => Moment; mayAct: () => boolean; wake: (key: string) => void },
): Pick<TaskContext, 'keys' | 'lanes' | 'ttl'> {
  const { client, policy, provider, log, namespaces } = options;
  const { moment, mayAct, wake } = parts;
  const keys = createKeyRing({
    client,
    ownKey: createOwnKey(options.ownKey, log),
    mono: () => moment().mono,
    onChange: (oldKey) => lanes.wakeQueued(oldKey),
  });
  const lanes = createLanes({ policy, provider, moment, wake, onBlocked: (apiKeys) => void keys.reread(apiKeys) });
  const { defaultTtlSeconds } = policy;
  const ttl = createTimeToLive({ client, namespaces, defaultTtlSeconds, now: () => moment().now, mayAct, log });
  return { keys, lanes, ttl };
}

function createTaskPass(context: TaskContext): (key: string, signal: AbortSignal) => Promise<{ retryAtMs?: number }> {
  const { metrics, policy } = context.options;
  const loop = createPass<GatheredFacts, ReturnType<typeof decideTask>['effects'][number]>({
    gather: (key) => gather(context, key),
    decide: (facts) => decideTask(facts, facts.moment, policy),
    perform: (order) => perform(context, order),
    now: () => context.moment().mono,
    retry: (key) => context.queue.addBackoff(key),
    forget: (key) => context.queue.forget(key),
    onPass: (result) => metrics.inc('controller_runtime_reconcile_total', { controller: 'captchatask', result }),
  });
  return loop;
}

function watchedMs(reflector: Reflector, mono: number): number {
  const sinceMs = reflector.watchingSinceMs();
  return sinceMs === undefined ? 0 : mono - sinceMs;
}

interface StoreChange {
  key: string;
  change: Change;
  current: PackedTask | undefined;
  previous: PackedTask | undefined;
}

function changed(context: TaskContext, { key, change, current, previous }: StoreChange): void {
  if (change === 'deleted') {
    left(context, key, previous);
    return;
  }
  if (current?.phase !== 'Submitted') context.lanes.returnPermit(key);
  // A standby looks at nothing; what its own calls left to record wakes by itself.
  if (context.ownWrite !== key && context.mayAct()) context.queue.add(key);
}

/** The task finished or was deleted: nothing it held is held any more. */
function left(context: TaskContext, key: string, previous: PackedTask | undefined): void {
  context.lanes.returnPermit(key);
  const memory = context.memories.get(key);
  if (memory?.intent?.call !== 'underWay') context.lanes.leave(key);
  context.memories.delete(key);
  context.queue.forget(key);
  if (context.ownWrite !== key && previous !== undefined && context.mayAct()) context.ttl.left(unpackTask(previous));
}

/** Begins or ends acting, as leadership and stopping have it. */
function lead(context: TaskContext, first = false): void {
  const { leadership, log } = context.options;
  const leading = leadership.isLeader() && !context.stopping.signal.aborted;
  if (leading === (context.actingSinceMono !== undefined)) {
    if (first && !leading) log.info('Standing by', { tasks: context.store.size });
    return;
  }
  if (!leading) {
    context.actingSinceMono = undefined;
    context.lanes.stop();
    void context.ttl.stop();
    log.info('Stopped acting on tasks', { callsUnderWay: context.calls.size });
    return;
  }
  context.actingSinceMono = context.moment().mono;
  context.lanes.start();
  context.ttl.start();
  log.info('Acting on tasks', { tasks: context.store.size });
  for (const key of keysByAge(context)) context.queue.add(key);
}

/** Oldest first, so that they join their lanes in that order. */
function keysByAge({ store }: TaskContext): string[] {
  const ages = Array.from(store.keys(), (key) => [key, store.get(key)?.sinceTime ?? Infinity] as const);
  return ages.sort((left, right) => left[1] - right[1]).map(([key]) => key);
}

/** Waits until every call under way is answered and every answer is recorded, at most so long. */
async function drain(context: TaskContext, drainMs: number): Promise<number> {
  const { clock = REAL_CLOCK } = context.options;
  const untilMono = clock.monotonicMs() + drainMs;
  const unrecorded = (): string[] =>
    [...context.memories]
      .filter(([, { reply, held }]) => reply !== undefined || held !== undefined)
      .map(([key]) => key);
  for (;;) {
    const keys = unrecorded();
    const open = context.calls.size + keys.length;
    if (open === 0 || clock.monotonicMs() >= untilMono) return open;
    for (const key of keys) context.queue.add(key);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
