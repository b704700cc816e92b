/**
 * Beginning and ending to act. The leader looks at every task of the namespaces that it knows whole, oldest first, and
 * at those of another when it knows that one; who loses the lead or stops ends new intents, calls and polls in the same
 * instant, and a stop waits for the replies of calls already sent.
 */
import { type TaskContext, actingSinceMono } from './context.ts';
import { splitKey } from '../../kube/types.ts';

/** Begins or ends acting, as leadership and stopping have it. */
export function lead(context: TaskContext): void {
  const { leadership, log } = context.options;
  const leading = leadership.isLeader() && !context.stopping;
  if (leading === (context.actingSinceMono !== undefined)) return;
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
  lookAtAll(context);
}

/** All unfinished tasks of a namespace (of every one where absent) are known now. */
export function known(context: TaskContext, namespace: string | undefined): void {
  if (context.mayAct()) lookAtAll(context, namespace);
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

/** Waits until every call under way is answered and every answer is recorded, at most so long. */
export async function drain(context: TaskContext, drainMs: number): Promise<number> {
  const untilMono = context.moment().mono + drainMs;
  const unrecorded = (): string[] =>
    [...context.memories]
      .filter(([, { reply, held }]) => reply !== undefined || held !== undefined)
      .map(([key]) => key);
  for (;;) {
    const keys = unrecorded();
    const open = context.calls.size + keys.length;
    if ((open === 0 && context.queue.active() === 0) || context.moment().mono >= untilMono) return open;
    for (const key of keys) context.queue.add(key);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
