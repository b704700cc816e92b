/**
 * What the main loop (`controllers/loop`) does with letters: facts from the cache, `decideLetter` at the controller's
 * own pace, one effect at a time, and what is told of it. Nothing waits in a pass but the API. Used by `index.ts`.
 */
import type { LetterDecision, LetterEffect } from '../../core/deadletter/decide.ts';
import type { Letter, LetterFacts } from '../../core/deadletter/facts.ts';
import type { LetterPolicy } from '../../core/deadletter/schedule.ts';
import type { WorkQueue } from '../../kube/queue.ts';
import type { Store } from '../../kube/store.ts';
import type { Logger } from '../../ops/log.ts';
import type { LetterMetrics } from './metrics.ts';
import type { Pace } from './pace.ts';
import type { Performed, Performer } from './perform.ts';
import { API_VERSION, CAPTCHA_TASK, DEAD_LETTER } from '../../api/names.ts';
import { announceHold, announceLetter } from '../../core/deadletter/announce.ts';
import { decideLetter } from '../../core/deadletter/decide.ts';
import { keyOf } from '../../kube/types.ts';
import { logDecisions } from '../decision-log.ts';
import { createPass } from '../loop.ts';
import { countPass } from './metrics.ts';
import { perform } from './perform.ts';

/** As `kube/events` records them. */
export interface LetterEvents {
  record(event: {
    object: {
      apiVersion: string;
      kind: string;
      namespace: string;
      name: string;
      uid: string;
      resourceVersion?: string;
    };
    type: 'Normal' | 'Warning';
    reason: string;
    action: string;
    note: string;
  }): void;
}

export interface PassContext {
  store: Store<Letter>;
  policy: LetterPolicy;
  mayAct(): boolean;
  clock: { now(): number; monotonicMs(): number };
  metrics: LetterMetrics;
  log: Pick<Logger, 'debug' | 'info' | 'warn' | 'isEnabled'>;
  events?: LetterEvents;
  queue: WorkQueue;
  performer: Performer;
  pace: Pace;
  /** Uids of the tasks that have a retry in flight. */
  busy: Set<string>;
  /** Task uid -> letters that wait for it. */
  waiting: Map<string, Set<string>>;
}

/** The loop over one letter, as the queue runs it. */
export function createLetterPass(context: PassContext): ReturnType<typeof createPass> {
  const { store, clock, mayAct, busy, metrics, queue, pace } = context;
  return createPass<LetterFacts, LetterEffect>({
    gather(key) {
      const letter = store.get(key);
      return letter && { letter, mayAct: mayAct(), taskBusy: busy.has(letter.spec.taskRef.uid) };
    },
    decide: (facts) => decideAtPace(facts, context),
    onDecision: logDecisions(context.log, 'Decided about a dead letter'),
    async perform({ facts, effect, signal }) {
      const performed = await performAlone(effect, facts.letter, context, signal);
      tell(facts.letter, effect, performed, context);
      return performed.kind === 'again' ? 'failed' : 'changed';
    },
    now: () => clock.monotonicMs(),
    retry: (key) => queue.addBackoff(key),
    forget(key) {
      queue.forget(key);
      pace.forget(key);
    },
    onPass: (result) => countPass(metrics, result),
  });
}

/** What `decideLetter` says, at the time that the controller's pace and the task's other letters allow. */
function decideAtPace(facts: LetterFacts, context: PassContext): LetterDecision {
  const { clock, policy, pace, waiting } = context;
  const { letter, taskBusy } = facts;
  const decision = decideLetter(facts, clock.now(), policy);
  if (decision.effect !== undefined) {
    const waitMs = pace.waitMs(keyOf(letter.metadata), clock.monotonicMs());
    return waitMs > 0 ? { rule: 'only so many letters are worked on in a second', wakeInMs: waitMs } : decision;
  }
  const { uid } = letter.spec.taskRef;
  if (taskBusy) waiting.set(uid, (waiting.get(uid) ?? new Set()).add(keyOf(letter.metadata)));
  return decision;
}

/** Never more than one retry of a task at a time: its other letters wait for the end of this one. */
async function performAlone(
  effect: LetterEffect,
  letter: Letter,
  context: PassContext,
  signal: AbortSignal,
): Promise<Performed> {
  const { busy, waiting, queue, performer } = context;
  if (effect.kind !== 'retry') return await perform(effect, letter, performer, signal);
  const { uid } = letter.spec.taskRef;
  busy.add(uid);
  try {
    return await perform(effect, letter, performer, signal);
  } finally {
    busy.delete(uid);
    const keys = waiting.get(uid) ?? [];
    waiting.delete(uid);
    for (const key of keys) queue.add(key);
  }
}

/** Metrics, log and events of what was done; never the content. */
function tell(letter: Letter, effect: LetterEffect, performed: Performed, context: PassContext): void {
  const { namespace, name } = letter.metadata;
  const { stage, taskRef } = letter.spec;
  const fields = { namespace, letter: name, task: taskRef.name, uid: taskRef.uid, stage };
  const { retry } = performed;
  if (retry?.kind === 'recorded') {
    const abandoned = retry.letter.status?.phase === 'Abandoned';
    const result = abandoned ? 'abandoned' : retry.outcome.kind;
    context.metrics.inc('captcha_operator_dead_letter_retries_total', { result });
    context.log.info('Retried a dead letter', { ...fields, result });
  }
  if (performed.kind === 'again') {
    const error = retry !== undefined && 'error' in retry ? retry.error : undefined;
    context.log.warn('A dead letter could not be worked on', {
      ...fields,
      effect: effect.kind,
      why: performed.why,
      error,
    });
  }
  recordEvent(letter, performed, context);
}

function recordEvent(letter: Letter, performed: Performed, { events }: PassContext): void {
  if (performed.kind !== 'done' || performed.status === undefined) return;
  const { namespace, name, uid, resourceVersion } = letter.metadata;
  const hold = announceHold(performed.status, letter);
  if (hold !== undefined) {
    const task = { apiVersion: API_VERSION, kind: CAPTCHA_TASK.kind, namespace, ...letter.spec.taskRef };
    events?.record({ object: task, ...hold });
  }
  const event = announceLetter(performed.status, letter.status);
  if (event === undefined) return;
  const object = { apiVersion: API_VERSION, kind: DEAD_LETTER.kind, namespace, name, uid, resourceVersion };
  events?.record({ object, ...event });
}
