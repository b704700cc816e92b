/**
 * Writes intents. The memory of an intent comes before its write, and allows a call only after the write was answered
 * 200 or a read shows it. A write in doubt that a quorum read does not show was not made. So each intent is known to
 * this process as written, or not at all, and its one call can neither be lost nor doubled.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { TaskEffect } from '../../core/task/effects.ts';
import type { Performed } from '../loop.ts';
import { intentDropped, intentSent, intentWritten } from '../../core/task/memory.ts';
import { type TaskContext, keyOfTask, remember } from './context.ts';
import { readAgain, writeStatus } from './writes.ts';

export async function writeIntent(
  context: TaskContext,
  task: CaptchaTask,
  effect: Extract<TaskEffect, { kind: 'writeIntent' }>,
  signal: AbortSignal,
): Promise<Performed> {
  const doubtful = doubtfulIntent(context, task);
  if (doubtful !== undefined) return await settleDoubt(context, task, doubtful, signal);
  const { by, pingbackURL } = effect;
  const attempt = effect.status.submission?.attempt ?? 1;
  const intent = { by, attempt, sentMono: context.moment().mono, pingbackURL };
  context.intents += 1;
  if (pingbackURL !== undefined) context.callbacks.urlSent(task);
  remember(context, task, (memory) => intentSent(memory, intent));
  const write = await writeStatus(context, task, effect.status, signal);
  if (write === 'written') remember(context, task, intentWritten);
  if (write === 'stale') dropUnseen(context, task, by);
  // In doubt: the next pass settles it before anything else is done with this task.
  return write === 'failed' ? 'failed' : 'changed';
}

/** The intent whose write was neither confirmed nor refuted. */
function doubtfulIntent(context: TaskContext, task: CaptchaTask): string | undefined {
  const intent = context.memories.get(keyOfTask(task))?.intent;
  return intent?.written === false ? intent.by : undefined;
}

async function settleDoubt(
  context: TaskContext,
  task: CaptchaTask,
  by: string,
  signal: AbortSignal,
): Promise<Performed> {
  if (!(await readAgain(context, task, signal))) return 'failed';
  dropUnseen(context, task, by);
  return 'changed';
}

/** After a fresh read: an intent that status does not show was not written. */
function dropUnseen(context: TaskContext, task: CaptchaTask, by: string): void {
  const packed = context.store.get(keyOfTask(task));
  if (packed?.text.includes(JSON.stringify(by)) !== true) remember(context, task, intentDropped);
}
