/**
 * The task controller: wires cache, queue, lanes and memory to the loop and to the rules of `core/task`. Every replica
 * keeps its cache warm; only the leader starts anything. Losing leadership or stopping ends new intents, calls and
 * polls in the same instant, while replies of calls already sent are still read and recorded. Started by
 * `bin/operator`.
 */
import type { TaskController, TaskControllerOptions } from './ports.ts';
import { CAPTCHA_TASK } from '../../api/names.ts';
import type { PackedTask } from '../../core/task/packed.ts';
import { startReflector } from '../../kube/reflector.ts';
import type { StoreChange } from '../../kube/store.ts';
import { splitKey } from '../../kube/types.ts';
import { createContext } from './assemble.ts';
import { type TaskContext, actingSinceMono } from './context.ts';
import { standBy } from './gather.ts';
import { drain, known, lead } from './leading.ts';
import { registerGauges } from './meters.ts';
import { lookIfLeft } from './writes.ts';

export type { LetterLookup, TaskController, TaskControllerOptions } from './ports.ts';

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
    task(namespace, name) {
      const packed = context.store.get(`${namespace}/${name}`);
      return packed === undefined ? undefined : context.unpack(packed);
    },
    async stop({ drainMs }) {
      unsubscribe();
      context.stopping = true;
      lead(context);
      const open = await drain(context, drainMs);
      await context.queue.stop({ drainMs: 1_000 });
      await context.ttl.stop();
      await Promise.all(reflectors.map((reflector) => reflector.stop()));
      return open;
    },
  };
}

async function allKnown({ log }: TaskControllerOptions, { scopes, store, mayAct }: TaskContext): Promise<void> {
  await Promise.all(scopes.reflectors().map((reflector) => reflector.synced));
  log.info(mayAct() ? 'All tasks are known' : 'Standing by', { tasks: store.size });
}

function startReflectors({ client, namespaces, watchHooks }: TaskControllerOptions, context: TaskContext): void {
  const hooks = watchHooks === undefined ? {} : { hooks: watchHooks };
  const watch = { client, resource: CAPTCHA_TASK, fieldSelector: UNFINISHED, store: context.store, ...hooks };
  for (const namespace of namespaces ?? [undefined]) {
    context.scopes.add(startReflector({ ...watch, namespace }), () => known(context, namespace));
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

/** The task finished or was deleted, seen by us (`watched` is absent then) or by another: nothing it held is held. */
function left(context: TaskContext, key: string, watched: PackedTask | undefined): void {
  context.lanes.returnPermit(key);
  context.lanes.leave(key);
  context.memories.delete(key);
  context.queue.forget(key);
  if (watched === undefined) return;
  const task = context.unpack(watched);
  lookIfLeft(context, task);
  if (!context.mayAct()) return;
  context.ttl.left(task);
  context.callbacks.left(task);
}
