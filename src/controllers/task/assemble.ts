/**
 * Puts the parts of the task controller together: one context with cache, queue, key ring, lanes and time to live,
 * and the pass that the queue runs. No decisions and no I/O of its own; `index` calls it once.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { TaskEffect } from '../../core/task/effects.ts';
import type { Moment } from '../../core/task/facts.ts';
import type { KubeObject } from '../../kube/types.ts';
import type { TaskClock, TaskControllerOptions } from './ports.ts';
import { CAPTCHA_TASK } from '../../api/names.ts';
import { decideTask } from '../../core/task/decide.ts';
import { type PackedTask, packTask } from '../../core/task/packed.ts';
import { createWorkQueue } from '../../kube/queue.ts';
import { createStatusWriter } from '../../kube/status-writer.ts';
import { createStore } from '../../kube/store.ts';
import { logDecisions } from '../decision-log.ts';
import { createPass } from '../loop.ts';
import { createCallbacks } from './callbacks.ts';
import type { TaskContext } from './context.ts';
import { type GatheredFacts, gather } from './gather.ts';
import { createKeyRing } from './keys.ts';
import { createLanes } from './lanes.ts';
import { queueHooks } from '../queue-metrics.ts';
import { createOwnKey } from './own-key.ts';
import { perform } from './perform.ts';
import { createScopes } from './scopes.ts';
import { createTimeToLive } from './ttl.ts';
import { createUnpacking } from './unpacking.ts';

/** As many writes as keep a small API server busy; more would only make its watches lag. */
const WORKERS = 16;
const REAL_CLOCK: TaskClock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  random: () => Math.random(),
};

/** The scopes are added afterwards. */
export function createContext(options: TaskControllerOptions): TaskContext {
  const { client, log, leadership, clock = REAL_CLOCK } = options;
  const moment = (): Moment => ({ now: clock.now(), mono: clock.monotonicMs(), random: clock.random() });
  const mayAct = (): boolean => context.actingSinceMono !== undefined && !context.stopping && leadership.isLeader();
  const context: TaskContext = {
    options,
    store: createStore({ project: (raw: KubeObject): PackedTask => packTask(raw as unknown as CaptchaTask) }),
    unpack: createUnpacking(),
    memories: new Map(),
    writer: createStatusWriter({ client, resource: CAPTCHA_TASK }),
    ...createRooms(options, {
      moment,
      mayAct,
      wake: (key) => context.queue.add(key),
      onSilence: () => lookAtSubmitted(context),
    }),
    queue: createWorkQueue({
      name: 'captchatask',
      concurrency: WORKERS,
      process: (key, signal) => pass(key, signal),
      now: clock.monotonicMs,
      hooks: queueHooks(options.metrics, 'captchatask', (key, error) =>
        log.error('A pass over a task failed', { key, error }),
      ),
    }),
    scopes: createScopes(clock.monotonicMs),
    calls: new Set(),
    doubts: new Map(),
    stopping: false,
    actingSinceMono: undefined,
    intents: 0,
    waitingWrites: 0,
    moment,
    mayAct,
  };
  const pass = createTaskPass(context);
  return context;
}

/** Those that wait for a callback; the queue merges, and each decides for itself. */
function lookAtSubmitted({ store, queue }: TaskContext): void {
  for (const key of store.keys()) if (store.get(key)?.phase === 'Submitted') queue.add(key);
}

interface RoomParts {
  moment: () => Moment;
  mayAct: () => boolean;
  wake: (key: string) => void;
  onSilence: () => void;
}

function createRooms(
  options: TaskControllerOptions,
  { moment, mayAct, wake, onSilence }: RoomParts,
): Pick<TaskContext, 'keys' | 'lanes' | 'callbacks' | 'ttl'> {
  const { client, policy, provider, log, namespaces, events } = options;
  const mono = (): number => moment().mono;
  const keys = createKeyRing({
    client,
    ownKey: createOwnKey(options.ownKey, log),
    mono,
    onChange: (oldKey) => lanes.wakeQueued(oldKey),
  });
  const onBlocked = (apiKeys: ReadonlySet<string>): void => void keys.reread(apiKeys);
  const lanes = createLanes({ policy, provider, moment, wake, onBlocked, admission: options.admission });
  const { defaultTtlSeconds } = policy;
  const ttl = createTimeToLive({ client, namespaces, defaultTtlSeconds, now: () => moment().now, mayAct, log });
  const callbacks = createCallbacks({ client, policy, events, log, keyOf: keys.value, mono, onSilence });
  return { keys, lanes, callbacks, ttl };
}

function createTaskPass(context: TaskContext): (key: string, signal: AbortSignal) => Promise<{ retryAtMs?: number }> {
  const { metrics, policy } = context.options;
  const loop = createPass<GatheredFacts, TaskEffect>({
    gather: (key) => gather(context, key),
    decide: (facts) => decideTask(facts, facts.moment, policy),
    onDecision: logDecisions(context.options.log, 'Decided about a task'),
    perform: (order) => perform(context, order),
    now: () => context.moment().mono,
    retry: (key) => context.queue.addBackoff(key),
    forget: (key) => context.queue.forget(key),
    onPass: (result) => metrics.inc('controller_runtime_reconcile_total', { controller: 'captchatask', result }),
  });
  return loop;
}
