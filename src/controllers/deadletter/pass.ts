/**
 * One pass over one letter: facts from the cache, `decideLetter`, one effect, and what is told of it. Passes are short;
 * nothing waits in them but the API. Called by the queue that `index.ts` makes.
 */
import type { LetterDecision, LetterEffect } from '../../core/deadletter/decide.ts';
import type { Letter } from '../../core/deadletter/facts.ts';
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
  log: Pick<Logger, 'info' | 'warn'>;
  events?: LetterEvents;
  queue: WorkQueue;
  performer: Performer;
  pace: Pace;
  /** Uids of the tasks that have a retry in flight. */
  busy: Set<string>;
  /** Task uid -> letters that wait for it. */
  waiting: Map<string, Set<string>>;
}

export async function lookAt(
  key: string,
  context: PassContext,
  signal: AbortSignal,
): Promise<void | { retryAtMs?: number | undefined }> {
  const { store, clock, policy, metrics, busy } = context;
  const letter = store.get(key);
  if (letter === undefined) {
    context.queue.forget(key);
    context.pace.forget(key);
    return countPass(metrics, 'success');
  }
  const now = clock.now();
  const { uid } = letter.spec.taskRef;
  const taskBusy = busy.has(uid);
  const decision = decideLetter({ letter, mayAct: context.mayAct(), taskBusy }, now, policy);
  if (decision.effect === undefined) {
    if (taskBusy) context.waiting.set(uid, (context.waiting.get(uid) ?? new Set()).add(key));
    countPass(metrics, decision.wakeAt === undefined ? 'success' : 'requeue_after');
    return { retryAtMs: decision.wakeAt };
  }
  const waitMs = context.pace.waitMs(key, clock.monotonicMs());
  if (waitMs > 0) return { retryAtMs: now + waitMs };
  const performed = await performAlone(decision.effect, letter, context, signal);
  tell(letter, decision, performed, context);
  if (performed.kind === 'again') context.queue.addBackoff(key);
  return countPass(metrics, performed.kind === 'again' ? 'requeue' : 'success');
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
function tell(letter: Letter, decision: LetterDecision, performed: Performed, context: PassContext): void {
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
      rule: decision.rule,
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
