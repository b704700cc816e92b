/**
 * The dead-letter controller: its own queue, its own pace, its own metrics, so that a storm of letters cannot starve
 * new tasks. One pass looks at one letter: facts from the cache, `decideLetter`, its effect. Nothing lives in memory
 * that status does not say, but two things: which task has a retry in flight (never more than one), and who waits for
 * it. Started by `bin/operator`, which also feeds the store by a reflector.
 */
import type { Letter } from '../../core/deadletter/facts.ts';
import type { LetterPolicy } from '../../core/deadletter/schedule.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { WorkQueue } from '../../kube/queue.ts';
import type { Store } from '../../kube/store.ts';
import type { Logger } from '../../ops/log.ts';
import type { LetterView } from './lookup.ts';
import type { LetterMetrics } from './metrics.ts';
import type { LetterEvents, PassContext } from './pass.ts';
import { DEAD_LETTER } from '../../api/names.ts';
import { createWorkQueue } from '../../kube/queue.ts';
import { createStatusWriter } from '../../kube/status-writer.ts';
import { findLetter, lookupLetter } from './lookup.ts';
import { queueHooks } from '../queue-metrics.ts';
import { CONTROLLER, countFinished, countWrite, registerGauges } from './metrics.ts';
import { createPace } from './pace.ts';
import { createLetterPass } from './pass.ts';
import { taskKeyOf } from './store.ts';

export { createLetterStore } from './store.ts';
export type { LetterView } from './lookup.ts';
export type { LetterEvents } from './pass.ts';

export interface DeadLetterControllerOptions {
  client: Pick<KubeClient, 'execute' | 'list'>;
  /** From `createLetterStore`, fed by a reflector over all letters. */
  store: Store<Letter>;
  policy: LetterPolicy;
  /** Whether this process is the leader and not stopping. Call `actingChanged` when it changes. */
  mayAct(): boolean;
  /** `now` in epoch milliseconds, `random` in [0,1). */
  clock: { now(): number; monotonicMs(): number; random(): number };
  metrics: LetterMetrics;
  log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'isEnabled'>;
  events?: LetterEvents;
  /** A letter of this task (`namespace/name`) came, changed or went: its task has to look. */
  onLetter?(taskKey: string): void;
}

export interface DeadLetterController {
  /** The cache's view of a letter, which may lag. */
  lookup(namespace: string, letter: string): LetterView;
  /** By quorum reads: whether the named letter, or another living letter of the same task, is there. */
  find(
    task: { namespace: string; name: string; uid: string },
    letter: string,
  ): Promise<'present' | 'absent' | 'unknown'>;
  /** Leadership came or went. */
  actingChanged(): void;
  /** Ends within `drainMs` plus a moment; resolves with the number of passes that did not end. */
  stop(options: { drainMs: number }): Promise<number>;
}

/** Retries wait for the API and for each other, not for CPU; two in flight keep the API server free for tasks. */
const CONCURRENCY = 2;
/** Effects (writes and retries) a second: 500 letters take half a minute, and tasks hardly notice. */
const PACE = { perSecond: 20, burst: 20 };

export function startDeadLetterController(options: DeadLetterControllerOptions): DeadLetterController {
  const { client, store, policy, clock, metrics, log } = options;
  const context: Omit<PassContext, 'queue'> = {
    ...options,
    performer: {
      client,
      store,
      policy,
      now: () => clock.now(),
      random: () => clock.random(),
      writer: createStatusWriter({ client, resource: DEAD_LETTER, store }),
      onTaskWritten: (task) => countFinished(metrics, task),
      onWrite: (result) => countWrite(metrics, result),
    },
    pace: createPace(PACE),
    busy: new Set(),
    waiting: new Map(),
  };
  const queue: WorkQueue = createWorkQueue({
    name: CONTROLLER,
    concurrency: CONCURRENCY,
    process: (key, signal) => pass(key, signal),
    now: () => clock.monotonicMs(),
    hooks: queueHooks(metrics, CONTROLLER, (key, error) =>
      log.error('Looking at a dead letter failed', { letter: key, error }),
    ),
  });
  const pass = createLetterPass({ ...context, queue });
  registerGauges(metrics, store, { now: () => clock.now(), depth: () => queue.depth() });
  const unsubscribe = store.subscribe((key, change, current, previous) => {
    if (change === 'deleted') queue.forget(key);
    else queue.add(key);
    const letter = current ?? previous;
    if (letter !== undefined) options.onLetter?.(taskKeyOf(letter));
  });
  const lookAtAll = (): void => {
    for (const key of store.keys()) queue.add(key);
  };
  lookAtAll();
  return {
    lookup: (namespace, letter) => lookupLetter(store, namespace, letter),
    find: (task, letter) => findLetter(client, task, letter),
    actingChanged: lookAtAll,
    stop: (limits) => {
      unsubscribe();
      return queue.stop(limits);
    },
  };
}
