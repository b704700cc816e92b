/**
 * Beginning and ending to act. The leader looks at every task it knows, oldest first; who loses the lead or stops ends
 * new intents, calls and polls in the same instant, and a stop waits for the replies of calls already sent.
 */
import type { TaskContext } from './context.ts';

/** Begins or ends acting, as leadership and stopping have it. */
export function lead(context: TaskContext, first = false): void {
  const { leadership, log } = context.options;
  const leading = leadership.isLeader() && !context.stopping;
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
