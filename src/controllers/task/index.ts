/**
 * The task controller: puts cache, queue, lanes and memory together, gives the loop its parts, and begins and ends to
 * act. Every replica keeps its cache warm; only the leader starts anything. It looks at every task of the namespaces
 * that it knows whole, oldest first, and at those of another when it knows that one. Losing leadership or stopping ends
 * new intents, calls and polls in the same instant, while replies of calls already sent are still read and recorded.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { TaskEffect } from '../../core/task/effects.ts';
import type { Moment } from '../../core/task/facts.ts';
import type { TaskMemory } from '../../core/task/memory.ts';
import type { StoreChange } from '../../kube/store.ts';
import type { WorkQueue } from '../../kube/queue.ts';
import type { KubeObject } from '../../kube/types.ts';
import type { TaskClock, TaskController, TaskControllerOptions } from './ports.ts';
import { CAPTCHA_TASK } from '../../api/names.ts';
import { withEntry } from '../../core/journal/overlay.ts';
import { decideTask } from '../../core/task/decide.ts';
import { type PackedTask, packTask } from '../../core/task/packed.ts';
import { createWorkQueue } from '../../kube/queue.ts';
import { startReflector } from '../../kube/reflector.ts';
import { createStore } from '../../kube/store.ts';
import { splitKey } from '../../kube/types.ts';
import { logDecisions } from '../decision-log.ts';
import { createPass } from '../loop.ts';
import { queueHooks } from '../queue-metrics.ts';
import { createCallbacks } from './callbacks.ts';
import { type TaskContext, actingSinceMono, cachedTask, createUnpacking } from './context.ts';
import { lookIfLeft } from './desk.ts';
import { type GatheredFacts, entryOf, gather, see, standBy } from './gather.ts';
import { createJournalRoom } from './journal.ts';
import { createKeyRing } from './keys.ts';
import { createLanes } from './lanes.ts';
import { registerGauges } from './metrics.ts';
import { perform } from './perform.ts';
import { createScopes } from './scopes.ts';
import { createTimeToLive } from './ttl.ts';

export type { TaskController, TaskControllerOptions } from './ports.ts';

const REAL_CLOCK: TaskClock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => Math.random(),
};
/** For the journal to be emptied, after the replies were recorded. */
const CLOSE_MS = 4_000;
/** Longer than a process takes that does not hold the Lease any more to learn it. */
const DEPOSED_MS = 15_000;
const UNFINISHED = 'status.phase!=Solved,status.phase!=Failed';

export function startTaskController(options: TaskControllerOptions): TaskController {
  const context = createContext(options);
  registerGauges(options.metrics, {
    store: context.store,
    lanes: context.lanes,
    now: () => context.moment().now,
    depth: () => context.queue.depth(),
    // A standby may have been the leader when it learned what it knows.
    callbacks: () => (context.mayAct() ? context.callbacks.counts() : { silent: 0, refused: 0 }),
  });
  context.store.subscribe((...change) => changed(context, change));
  startReflectors(options, context);
  const reflectors = context.scopes.reflectors();
  // In the same instant: a change of the Lease must not be seen later than what follows from it.
  const unsubscribe = options.leadership.onChange(() => lead(context));
  lead(context);
  return {
    synced: allKnown(options, context),
    wake: (namespace, name) => context.queue.add(`${namespace}/${name}`),
    watches: () => reflectors,
    task: (namespace, name) => cachedTask(context, `${namespace}/${name}`),
    async stop({ drainMs }) {
      unsubscribe();
      context.stopping = true;
      lead(context);
      const open = await drain(context, drainMs);
      const left = await context.journal.close(CLOSE_MS);
      if (left > 0) options.log.warn('Entries stay in the journal for the next leader', { left });
      await context.queue.stop({ drainMs: 1_000 });
      await context.ttl.stop();
      await Promise.all(reflectors.map((reflector) => reflector.stop()));
      return open;
    },
  };
}

function createContext(options: TaskControllerOptions): TaskContext {
  const { leadership, clock = REAL_CLOCK, identity } = options;
  const moment = (): Moment => ({ now: clock.now(), mono: clock.monotonicMs(), random: clock.random() });
  const mayAct = (): boolean => context.actingSinceMono !== undefined && !context.stopping && leadership.isLeader();
  const store = createStore({ project: (raw: KubeObject): PackedTask => packTask(raw as unknown as CaptchaTask) });
  const queue = createQueue(options, clock, (key, signal) => pass(key, signal));
  const context: TaskContext = {
    options,
    store,
    queue,
    unpack: createUnpacking(),
    memories: new Map(),
    ...createRooms(options, { store, queue, moment, mayAct }, () => context),
    journal: createJournalRoom(
      () => context,
      identity,
      () => deposed(context),
    ),
    scopes: createScopes(clock.monotonicMs),
    calls: new Set(),
    doubts: new Map(),
    gone: new Map(),
    stopping: false,
    leading: undefined,
    actingSinceMono: undefined,
    intents: 0,
    toldForeign: false,
    waitingWrites: 0,
    moment,
    mayAct,
  };
  const pass = createTaskPass(context);
  return context;
}

function createQueue(
  { client, metrics, log }: TaskControllerOptions,
  clock: TaskClock,
  process: ReturnType<typeof createPass>,
): WorkQueue {
  return createWorkQueue({
    name: 'captchatask',
    // Whatever a pass waits for, it is the API server. So tasks wait here, where what is urgent goes first, and not there.
    concurrency: () => client.load().limit,
    process,
    now: clock.monotonicMs,
    hooks: queueHooks(metrics, 'captchatask', (key, error) => log.error('A pass over a task failed', { key, error })),
  });
}

function createRooms(
  options: TaskControllerOptions,
  { store, queue, moment, mayAct }: Pick<TaskContext, 'store' | 'queue' | 'moment' | 'mayAct'>,
  context: () => Pick<TaskContext, 'journal'>,
): Pick<TaskContext, 'keys' | 'lanes' | 'callbacks' | 'ttl'> {
  const { client, log, defaultTtlSeconds } = { ...options, ...options.policy };
  const mono = (): number => moment().mono;
  const wake: WorkQueue['add'] = (key, how) => queue.add(key, how);
  // All that wait for a result look again; the queue merges, and each decides for itself.
  const wakeAccepted = (): void => {
    for (const key of store.keys()) if (store.get(key)?.phase === 'Submitted') queue.add(key);
  };
  const onChange = (oldKey: string): void => {
    lanes.wakeQueued(oldKey);
    if (lanes.pollsRest(oldKey)) wakeAccepted();
  };
  const keys = createKeyRing({ ...options, mono, onChange });
  const onBlocked = (apiKeys: ReadonlySet<string>): void => void keys.reread(apiKeys);
  const isBarred = (namespace: string): boolean => context().journal.view(namespace) === 'barred';
  const atOnce = (): number => client.load().limit;
  const lanes = createLanes({ ...options, moment, wake, isBarred, atOnce, onBlocked });
  const ttl = createTimeToLive({
    client,
    namespaces: options.namespaces,
    defaultTtlSeconds,
    now: () => moment().now,
    mayAct,
    log,
  });
  const callbacks = createCallbacks({ ...options, keyOf: keys.value, mono, onSilence: wakeAccepted });
  return { keys, lanes, callbacks, ttl };
}

function createTaskPass(context: TaskContext): ReturnType<typeof createPass> {
  const { metrics, policy, log } = context.options;
  return createPass<GatheredFacts, TaskEffect>({
    gather(key) {
      const seen = see(context, key);
      return seen && gather(context, key, seen);
    },
    decide: (facts) => decideTask(facts, facts.moment, policy),
    onDecision: logDecisions(log, 'Decided about a task'),
    perform: (order) => perform(context, order),
    now: () => context.moment().mono,
    retry: (key) => context.queue.addBackoff(key),
    forget: (key) => context.queue.forget(key),
    onPass: (result) => metrics.inc('controller_runtime_reconcile_total', { controller: 'captchatask', result }),
  });
}

async function allKnown({ log }: TaskControllerOptions, { scopes, store, mayAct }: TaskContext): Promise<void> {
  await Promise.all(scopes.reflectors().map((reflector) => reflector.synced));
  log.info(mayAct() ? 'All tasks are known' : 'Standing by', { tasks: store.size });
}

function startReflectors({ client, namespaces, watchHooks }: TaskControllerOptions, context: TaskContext): void {
  const hooks = watchHooks === undefined ? {} : { hooks: watchHooks };
  const watch = { client, resource: CAPTCHA_TASK, fieldSelector: UNFINISHED, store: context.store, ...hooks };
  for (const namespace of namespaces ?? [undefined]) {
    context.scopes.add(startReflector({ ...watch, namespace }), () => {
      if (context.mayAct()) lookAtAll(context, namespace);
    });
  }
}

function changed(context: TaskContext, change: StoreChange<PackedTask>): void {
  const [key, kind, current, previous, origin] = change;
  if (kind === 'deleted') {
    left(context, key, origin === 'watch' ? previous : undefined);
    return;
  }
  // The step that asked for it goes on by itself.
  if (origin === 'own') return;
  // The watch does not wake a standby; the reply of a call that it made earlier wakes its task without it.
  if (actingSinceMono(context, splitKey(key).namespace) !== undefined) context.queue.add(key);
  else if (current !== undefined) standBy(context, key, current);
}

/** Finished or deleted: nothing it held is held any more. @param watched as it last was, where the watch tells of it */
function left(context: TaskContext, key: string, watched: PackedTask | undefined): void {
  const task = watched && context.unpack(watched);
  const entry = task && entryOf(context, task);
  context.lanes.returnPermit(key);
  context.lanes.recorded(key);
  context.lanes.leave(key);
  context.memories.delete(key);
  context.queue.forget(key);
  if (task === undefined) return;
  lookIfLeft(context, task);
  if (!context.mayAct()) return;
  context.ttl.left(task);
  context.callbacks.left(entry === undefined ? task : withEntry(task, entry));
}

/** Begins or ends leading, as leadership and stopping have it. */
function lead(context: TaskContext): void {
  const leads = context.options.leadership.isLeader() && !context.stopping;
  if (leads === (context.leading !== undefined)) return;
  context.leading = leads ? {} : undefined;
  if (leads) void beginToAct(context);
  else {
    context.journal.withdraw();
    stopActing(context);
  }
}

/** Who leads holds the journal first and lists the tasks then; before that it decides nothing. */
async function beginToAct(context: TaskContext): Promise<void> {
  const lead = context.leading;
  const stillLeads = (): boolean => lead !== undefined && context.leading === lead;
  if (!(await context.journal.takeOver(stillLeads))) return;
  context.scopes.relist();
  context.actingSinceMono = context.moment().mono;
  context.lanes.start();
  context.ttl.start();
  context.options.log.info('Acting on tasks', { tasks: context.store.size });
}

function stopActing(context: TaskContext): void {
  if (context.actingSinceMono === undefined) return;
  context.actingSinceMono = undefined;
  context.lanes.stop();
  void context.ttl.stop();
  context.options.log.info('Stopped acting on tasks', { callsUnderWay: context.calls.size });
}

/** Another process took the journal: either the Lease follows, or there are two installations. */
function deposed(context: TaskContext): void {
  const lead = context.leading;
  if (context.actingSinceMono === undefined) return;
  stopActing(context);
  setTimeout(() => {
    if (lead !== undefined && context.leading === lead) void beginToAct(context);
  }, DEPOSED_MS).unref();
}

/** Oldest first, so that they join their lanes in that order. */
function lookAtAll(context: TaskContext, only?: string): void {
  const { store, queue } = context;
  const ages: (readonly [string, number])[] = [];
  // Hundreds of namespaces may come to be known one after another, with all tasks in one cache.
  const prefix = only === undefined ? '' : `${only}/`;
  for (const key of store.keys()) {
    if (!key.startsWith(prefix) || actingSinceMono(context, splitKey(key).namespace) === undefined) continue;
    ages.push([key, store.get(key)?.sinceTime ?? Infinity]);
  }
  for (const [key] of ages.sort((left, right) => left[1] - right[1])) queue.add(key);
}

/** An unused entry is dropped by its holder only; anybody else leaves it to the next. */
function isOpen({ reply, held, intent }: TaskMemory, holdsJournal: boolean): boolean {
  if (held !== undefined || reply?.outcome.kind === 'accepted') return true;
  if (intent?.entry === undefined) return reply !== undefined;
  return holdsJournal && (reply !== undefined || intent.call === 'notSent');
}

/** Waits until every call under way is answered and every answer is recorded, at most so long. */
async function drain(context: TaskContext, drainMs: number): Promise<number> {
  const untilMono = context.moment().mono + drainMs;
  const unrecorded = (): string[] =>
    [...context.memories].filter(([, memory]) => isOpen(memory, context.journal.isHeld())).map(([key]) => key);
  for (;;) {
    const keys = unrecorded();
    const open = context.calls.size + keys.length;
    if ((open === 0 && context.queue.active() === 0) || context.moment().mono >= untilMono) return open;
    for (const key of keys) context.queue.add(key);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
