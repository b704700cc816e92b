/**
 * Writes status, reads again where a write did not tell, and takes care of what follows from a write that counted:
 * cache, lanes, time to live, metrics, events. Every write is checked against the resourceVersion of the copy that was
 * decided on. Knows how to write, never what.
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { KubeObject } from '../../kube/types.ts';
import type { WriteResult } from '../../kube/status-writer.ts';
import { CAPTCHA_TASK } from '../../api/names.ts';
import { announce } from '../../core/task/announce.ts';
import { summaryOf } from '../../core/task/conditions.ts';
import { shows } from '../../core/task/patch.ts';
import { isFinished } from '../../core/task/transitions.ts';
import { type TaskContext, about, isKnown, keyOfTask } from './context.ts';

/** `stale`: somebody else was first, and the cache now holds what they wrote. `failed`: nothing is known to be written. */
export type Write = 'written' | 'stale' | 'failed';

export async function writeStatus(
  context: TaskContext,
  task: CaptchaTask,
  status: CaptchaTaskStatus,
  signal: AbortSignal,
): Promise<Write> {
  const result = await context.writer.write(task, status, { signal });
  context.options.metrics.inc('captcha_operator_status_writes_total', {
    controller: 'captchatask',
    result: result.kind,
  });
  switch (result.kind) {
    case 'written':
      taskWritten(context, task, result.object);
      return 'written';
    case 'unchanged':
      return 'written';
    case 'conflict':
    case 'gone':
      return (await readAgain(context, task, signal)) ? 'stale' : 'failed';
    case 'invalid':
    case 'transient':
      return await afterFailure(context, { task, status, result }, signal);
  }
  return result satisfies never;
}

interface Tried {
  task: CaptchaTask;
  status: CaptchaTaskStatus;
  result: Extract<WriteResult, { kind: 'invalid' | 'transient' }>;
}

/** A write whose reply is in doubt may have been made: only a fresh copy tells. */
async function afterFailure(
  context: TaskContext,
  { task, status, result }: Tried,
  signal: AbortSignal,
): Promise<Write> {
  if (result.kind === 'transient') {
    const { reason, status: code } = result.failure;
    context.options.log.warn('A status write failed; it is repeated', { ...about(task), reason, code });
    if (!result.maybeWritten) return 'failed';
    const made = (copy: CaptchaTask): CaptchaTask | undefined =>
      provesWrite(copy, task, status) ? { ...copy, status } : undefined;
    context.doubts.set(keyOfTask(task), { before: task, made });
  } else {
    context.options.log.error('The API server refuses a status', { ...about(task), reason: result.message });
  }
  const before = task.metadata.resourceVersion;
  if (!(await readAgain(context, task, signal))) {
    lookIfLeft(context, task);
    return 'failed';
  }
  return context.store.get(keyOfTask(task))?.resourceVersion === before ? 'failed' : 'stale';
}

/** Brings the cache up to date by a quorum read; false where the API server could not be asked. */
export async function readAgain(context: TaskContext, task: CaptchaTask, signal?: AbortSignal): Promise<boolean> {
  const { namespace, name } = task.metadata;
  const request = { verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' } as const;
  const reply = await context.options.client.execute(request, { signal });
  if (reply.ok) {
    clearDoubt(context, reply.object as CaptchaTask);
    takeCopy(context, reply.object as KubeObject);
    return true;
  }
  if (reply.transient || reply.status !== 404) return false;
  const key = keyOfTask(task);
  context.doubts.delete(key);
  context.store.drop(key, context.store.versionAt(key) ?? task.metadata.resourceVersion);
  return true;
}

/** A write in doubt is counted and told when a copy proves it, and forgotten when a newer copy does not show it. */
export function clearDoubt(context: TaskContext, copy: CaptchaTask): void {
  const key = keyOfTask(copy);
  const doubt = context.doubts.get(key);
  if (doubt === undefined || doubt.before.metadata.resourceVersion === copy.metadata.resourceVersion) return;
  context.doubts.delete(key);
  const { before, made } = doubt;
  const after = before.metadata.uid === copy.metadata.uid ? made(copy) : undefined;
  if (after !== undefined) tell(context, before, after);
}

/** Pauses before it is read again. */
const REREADS_MS = [1_000, 10_000, 60_000];

/** A task that left the cache is looked at by nobody: a write in doubt, its last one most likely, is looked for here. */
export function lookIfLeft(context: TaskContext, task: CaptchaTask): void {
  const key = keyOfTask(task);
  const reread = async (tries: number): Promise<void> => {
    if (!context.doubts.has(key) || (await readAgain(context, task))) return;
    const pauseMs = REREADS_MS[tries];
    if (pauseMs === undefined) context.doubts.delete(key);
    else setTimeout(() => void reread(tries + 1), pauseMs).unref();
  };
  if (!isKnown(context, task)) void reread(0);
}

/** An intent has a name of its own, which stays when others write after it. */
function provesWrite({ status }: CaptchaTask, before: CaptchaTask, written: CaptchaTaskStatus): boolean {
  const by = written.submission?.intentBy;
  if (by !== undefined && by !== before.status?.submission?.intentBy) return status?.submission?.intentBy === by;
  return status !== undefined && shows(status, before.status, written);
}

/** A write of ours (or of `deliverResult`) turned `before` into this object. */
export function taskWritten(context: TaskContext, before: CaptchaTask, object: KubeObject): void {
  context.doubts.delete(keyOfTask(before));
  takeCopy(context, object);
  tell(context, before, object as unknown as CaptchaTask);
}

function tell(context: TaskContext, before: CaptchaTask, after: CaptchaTask): void {
  const { metrics, events } = context.options;
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
function logTurn({ options: { log } }: TaskContext, before: CaptchaTask, after: CaptchaTask): void {
  const fields = { ...about(after), phase: after.status?.phase, reason: summaryOf(after.status)?.reason };
  if (isFinished(after)) log.info('A task finished', fields);
  else if (fields.phase === 'Submitted' && before.status?.phase !== 'Submitted')
    log.info('A task was submitted', fields);
  else log.debug('A task changed', fields);
}

/** The newest copy goes into the cache, or, once the task is finished, out of it. */
export function takeCopy(context: TaskContext, object: KubeObject): void {
  const task = object as unknown as CaptchaTask;
  const key = keyOfTask(task);
  if (isFinished(task)) {
    context.doubts.delete(key);
    context.ttl.finished(task);
    context.callbacks.finished(task);
    context.store.drop(key, task.metadata.resourceVersion);
  } else {
    context.store.put(object);
  }
}
