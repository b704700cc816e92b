/**
 * The dead-letter controller: its own queue, its own pace, its own metrics, so that a storm of letters cannot starve
 * new tasks. One pass looks at one letter: facts from the cache, `decideLetter`, its effect. Nothing lives in memory
 * that status does not say, but the turns (`turns.ts`). Its store is fed by whoever starts it.
 */
import type { LetterDecision, LetterEffect } from '../../core/deadletter/decide.ts';
import type { Letter, LetterFacts } from '../../core/deadletter/facts.ts';
import type { LetterPolicy } from '../../core/deadletter/schedule.ts';
import type { LetterView } from '../../core/task/facts.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { EventRecorder } from '../../kube/events.ts';
import type { WorkQueue } from '../../kube/queue.ts';
import type { Store } from '../../kube/store.ts';
import type { Logger } from '../../ops/log.ts';
import type { LetterMetrics } from './metrics.ts';
import type { Turns } from './turns.ts';
import { decideLetter } from '../../core/deadletter/decide.ts';
import { createWorkQueue } from '../../kube/queue.ts';
import { keyOf } from '../../kube/types.ts';
import { logDecisions } from '../decision-log.ts';
import { createPass } from '../loop.ts';
import { queueHooks } from '../queue-metrics.ts';
import { gather, lookupLetter, taskKeyOf } from './gather.ts';
import { CONTROLLER, countPass, registerGauges } from './metrics.ts';
import { createPerformer } from './perform.ts';
import { createTurns } from './turns.ts';

export { createLetterStore } from './gather.ts';

export interface DeadLetterControllerOptions {
  client: Pick<KubeClient, 'execute'>;
  /** From `createLetterStore`, fed by a reflector over all letters. */
  store: Store<Letter>;
  policy: LetterPolicy;
  /** Whether this process is the leader and not stopping. Call `actingChanged` when it changes. */
  mayAct(): boolean;
  /** `now` in epoch milliseconds, `random` in [0,1). */
  clock: { now(): number; monotonicMs(): number; random(): number };
  metrics: LetterMetrics;
  log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'isEnabled'>;
  events?: Pick<EventRecorder, 'record'>;
  /** A letter of this task (`namespace/name`) came, changed or went: its task has to look. */
  onLetter?(taskKey: string): void;
}

export interface DeadLetterController {
  /** The cache's view of a letter, which may lag. */
  lookup(namespace: string, letter: string): LetterView;
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
  const { store, clock, metrics, log } = options;
  const turns = createTurns(PACE);
  const queue: WorkQueue = createWorkQueue({
    name: CONTROLLER,
    concurrency: CONCURRENCY,
    process: (key, signal) => pass(key, signal),
    now: () => clock.monotonicMs(),
    hooks: queueHooks(metrics, CONTROLLER, (key, error) =>
      log.error('Looking at a dead letter failed', { letter: key, error }),
    ),
  });
  const pass = createLetterPass(options, queue, turns);
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
    actingChanged: lookAtAll,
    stop: (limits) => {
      unsubscribe();
      return queue.stop(limits);
    },
  };
}

function createLetterPass(options: DeadLetterControllerOptions, queue: WorkQueue, turns: Turns) {
  const { store, clock, mayAct, metrics, log } = options;
  const perform = createPerformer(options);
  return createPass<LetterFacts, LetterEffect>({
    gather: (key) => gather(key, { store, mayAct, isBusy: turns.isBusy }),
    decide: (facts) => decideInTurn(facts, options, turns),
    onDecision: logDecisions(log, 'Decided about a dead letter'),
    async perform({ facts: { letter }, effect, signal }) {
      if (effect.kind !== 'retry') return await perform(effect, letter, signal);
      const { uid } = letter.spec.taskRef;
      turns.begin(uid);
      try {
        return await perform(effect, letter, signal);
      } finally {
        for (const key of turns.end(uid)) queue.add(key);
      }
    },
    now: () => clock.monotonicMs(),
    retry: (key) => queue.addBackoff(key),
    forget(key) {
      queue.forget(key);
      turns.forget(key);
    },
    onPass: (result) => countPass(metrics, result),
  });
}

/** What `decideLetter` says, at the time that the controller's pace and the task's other letters allow. */
function decideInTurn(
  facts: LetterFacts,
  { clock, policy }: Pick<DeadLetterControllerOptions, 'clock' | 'policy'>,
  turns: Turns,
): LetterDecision {
  const key = keyOf(facts.letter.metadata);
  const decision = decideLetter(facts, clock.now(), policy);
  if (decision.effect !== undefined) {
    const waitMs = turns.waitMs(key, clock.monotonicMs());
    return waitMs > 0 ? { rule: 'only so many letters are worked on in a second', wakeInMs: waitMs } : decision;
  }
  if (facts.taskBusy) turns.awaitTask(facts.letter.spec.taskRef.uid, key);
  return decision;
}
