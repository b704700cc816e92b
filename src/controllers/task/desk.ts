/**
 * The desk on which the steps of `core/task/steps.ts` put what came of a request: memory, cache, lanes, time to live,
 * and what people are told of it (metrics, events, log). It takes what it is given and decides nothing; a write in doubt
 * is told once a copy proves it.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { Desk, StepNote } from '../../core/task/steps.ts';
import type { KubeObject } from '../../kube/types.ts';
import { announce } from '../../core/task/announce.ts';
import { summaryOf } from '../../core/task/conditions.ts';
import { isSettledBy, provenBy } from '../../core/task/doubts.ts';
import { readAgain } from '../../core/task/steps.ts';
import { isFinished } from '../../core/task/transitions.ts';
import { runProtocol } from '../../kube/run.ts';
import { type TaskContext, about, bury, cachedTask, isKnown, keyOfTask, memoryOf, remember } from './context.ts';

export function deskOf(context: TaskContext, task: CaptchaTask): Desk {
  const key = keyOfTask(task);
  return {
    moment: context.moment,
    memory: () => memoryOf(context, task),
    remember: (change) => remember(context, task, change),
    cached: () => cachedTask(context, key),
    take(copy) {
      if (copy === 'gone') forget(context, task);
      else takeCopy(context, copy);
    },
    wrote(before, after) {
      context.doubts.delete(key);
      takeCopy(context, after);
      context.journal.wrote(after);
      tell(context, before, after);
    },
    doubt: (doubt) => void context.doubts.set(key, doubt),
    begins({ pingbackURL }) {
      context.intents += 1;
      if (pingbackURL !== undefined) context.callbacks.urlSent(task);
    },
    note: (note) => noteDown(context, task, note),
  };
}

/** The newest copy goes into the cache, or, once the task is finished, out of it. */
function takeCopy(context: TaskContext, copy: CaptchaTask): void {
  clearDoubt(context, copy);
  if (!isFinished(copy)) {
    context.store.put(copy as unknown as KubeObject);
    return;
  }
  const key = keyOfTask(copy);
  context.doubts.delete(key);
  context.ttl.finished(copy);
  context.callbacks.read(copy);
  context.store.drop(key, copy.metadata.resourceVersion);
}

function forget(context: TaskContext, task: CaptchaTask): void {
  const key = keyOfTask(task);
  bury(context, task.metadata.uid);
  context.doubts.delete(key);
  context.store.drop(key, context.store.versionAt(key) ?? task.metadata.resourceVersion);
}

/** A write in doubt is counted and told when a copy proves it, and forgotten when a newer copy does not show it. */
export function clearDoubt(context: TaskContext, copy: CaptchaTask): void {
  const key = keyOfTask(copy);
  const doubt = context.doubts.get(key);
  if (doubt === undefined || !isSettledBy(doubt, copy)) return;
  context.doubts.delete(key);
  const after = provenBy(doubt, copy);
  if (after !== undefined) tell(context, doubt.before, after);
}

/** Pauses before it is read again. */
const REREADS_MS = [1_000, 10_000, 60_000];

/** A task that left the cache is looked at by nobody: a write in doubt, its last one most likely, is looked for here. */
export function lookIfLeft(context: TaskContext, task: CaptchaTask): void {
  const isOpen = (): boolean => context.doubts.has(keyOfTask(task));
  const look = async (tries: number): Promise<void> => {
    if (!isOpen()) return;
    const { client } = context.options;
    if (await runProtocol(client, readAgain(task, deskOf(context, task)))) return;
    const pauseMs = REREADS_MS[tries];
    if (pauseMs === undefined) context.doubts.delete(keyOfTask(task));
    else setTimeout(() => void look(tries + 1), pauseMs).unref();
  };
  if (isOpen() && !isKnown(context, task)) void look(0);
}

/** Another installation submits this task as well: counted once for each submission, and the first one is logged. */
export function noteForeign(context: TaskContext, task: CaptchaTask): void {
  const { submission } = task.status ?? {};
  if (submission === undefined || !context.journal.isForeign(submission)) return;
  const by = submission.intentBy;
  if (memoryOf(context, task)?.foreign === by) return;
  remember(context, task, (memory) => ({ ...memory, foreign: by }));
  const { metrics, log } = context.options;
  metrics.inc('captcha_operator_foreign_submissions_total', {});
  if (!context.toldForeign) log.error('Another installation submits the same tasks: both pay', { ...about(task), by });
  context.toldForeign = true;
}

/** Once for each write of this process. */
function tell(context: TaskContext, before: CaptchaTask, after: CaptchaTask): void {
  const { metrics, events } = context.options;
  if (isFinished(after)) context.callbacks.finished(after);
  const told = announce(before, after);
  for (const step of told.metrics) {
    if ('seconds' in step) metrics.observe(step.metric, step.labels, step.seconds);
    else metrics.inc(step.metric, step.labels);
  }
  const { apiVersion, kind, metadata } = after;
  const { namespace, name, uid, resourceVersion } = metadata;
  for (const event of told.events) {
    events.record({ object: { apiVersion, kind, namespace, name, uid, resourceVersion }, ...event });
  }
  logTurn(context, before, after);
}

/** One line when the provider has the task and one when it is finished; everything else at debug level. */
function logTurn({ options: { log }, journal }: TaskContext, before: CaptchaTask, after: CaptchaTask): void {
  const fields = { ...about(after), phase: after.status?.phase, reason: summaryOf(after.status)?.reason };
  // The journal's writer says it of those whose id was there first.
  const isNews = journal.entryOf(after.metadata.uid)?.captchaID === undefined;
  if (isFinished(after)) log.info('A task finished', fields);
  else if (isNews && fields.phase === 'Submitted' && before.status?.phase !== 'Submitted')
    log.info('A task was submitted', fields);
  else log.debug('A task changed', fields);
}

function noteDown({ options: { log, metrics } }: TaskContext, task: CaptchaTask, note: StepNote): void {
  if (note.kind === 'otherId') {
    log.warn('The provider gave another id than the stored one; the task is polled');
    return;
  }
  if (note.kind === 'resultKept') {
    const why = note.error.class;
    log.warn('A result cannot be applied yet; it is kept and tried again', { ...about(task), class: why });
    return;
  }
  const { result } = note;
  metrics.inc('captcha_operator_status_writes_total', { controller: 'captchatask', result: result.kind });
  if (result.kind === 'transient') {
    const { reason, code } = result;
    log.warn('A status write failed; it is repeated', { ...about(task), reason, code });
  }
  if (result.kind === 'invalid') {
    log.error('The API server refuses a status', { ...about(task), reason: result.message });
  }
}
