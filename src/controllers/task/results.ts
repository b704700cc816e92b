/**
 * Brings results to their task: what a poll found, and what a solution Secret holds that somebody created and died
 * before the status write. Both go the road of all results, `core/delivery`, which alone decides what becomes of them.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { KubeObject } from '../../kube/types.ts';
import type { Performed } from '../loop.ts';
import { stageOfCreated } from '../../core/deadletter/announce.ts';
import { deliverResult } from '../../core/delivery/deliver.ts';
import { findInSecret } from '../../core/delivery/solution-secret.ts';
import type { Delivery, ReceivedResult } from '../../core/delivery/types.ts';
import { resultDelivered, resultHeld } from '../../core/task/memory.ts';
import { formatTime } from '../../core/task/times.ts';
import { runProtocol } from '../../kube/run.ts';
import { type TaskContext, about, keyOfTask, remember } from './context.ts';
import { lookIfLeft, readAgain, takeCopy, taskWritten } from './writes.ts';

/** Delivers the result in memory; it stays there until it is durable somewhere, or provably not wanted. */
export async function deliver(context: TaskContext, task: CaptchaTask, signal: AbortSignal): Promise<Performed> {
  const held = context.memories.get(keyOfTask(task))?.held;
  if (held === undefined) return 'changed';
  const { client, metrics, log } = context.options;
  const options = { now: context.moment().now, known: task, onFailure: 'letter' } as const;
  const delivery = await runProtocol(client, deliverResult(held, options), {
    signal,
    onObject(_object, request) {
      const stage = stageOfCreated(request);
      if (stage !== undefined) metrics.inc('captcha_operator_dead_letters_created_total', { stage });
    },
  });
  if (delivery.kind === 'retry') {
    const { class: why } = delivery.error;
    log.warn('A result cannot be applied yet; it is kept and tried again', { ...about(task), class: why });
    const made = (copy: CaptchaTask): CaptchaTask | undefined => (isOwnResult(copy, held) ? copy : undefined);
    context.doubts.set(keyOfTask(task), { before: task, made });
    lookIfLeft(context, task);
    return 'failed';
  }
  remember(context, task, resultDelivered);
  return await takeDelivered(context, { task, held, delivery }, signal);
}

interface Delivered {
  task: CaptchaTask;
  held: ReceivedResult;
  delivery: Delivery;
}

/** Brings the cache up to date, and counts and tells what was written here and nothing else. */
async function takeDelivered(
  context: TaskContext,
  { task, held, delivery }: Delivered,
  signal: AbortSignal,
): Promise<Performed> {
  if ('task' in delivery && delivery.task !== undefined) {
    const object = delivery.task as unknown as KubeObject;
    const before = isOwnRepeat(delivery, held) ? task : changedCopy(delivery);
    if (before === undefined) takeCopy(context, object);
    else taskWritten(context, before, object);
    return 'changed';
  }
  return (await readAgain(context, task, signal)) ? 'changed' : 'failed';
}

/** The copy that this delivery wrote over; undefined where somebody else brought the task where it is. */
function changedCopy(delivery: Delivery): CaptchaTask | undefined {
  return 'before' in delivery ? delivery.before : undefined;
}

/**
 * The very result that this process polled is there already: it wrote it, and the reply of that write was lost. What a
 * Secret held is not ours to count again: whoever put it there may have written the status, too.
 */
function isOwnRepeat(delivery: Delivery, held: ReceivedResult): boolean {
  return delivery.kind === 'duplicate' && isOwnResult(delivery.task, held);
}

function isOwnResult({ status }: CaptchaTask, held: ReceivedResult): boolean {
  const { source, receivedTime } = status?.solution ?? {};
  return held.source === 'Poll' && source === 'Poll' && receivedTime === formatTime(held.receivedTime);
}

/** Looks once for a Secret that this task owns; its content is the result. */
export async function readSolutionSecret(
  context: TaskContext,
  task: CaptchaTask,
  signal: AbortSignal,
): Promise<Performed> {
  const found = await runProtocol(context.options.client, findInSecret(task), { signal });
  if (found.kind === 'unavailable') return 'failed';
  remember(context, task, (memory) => ({ ...memory, solutionSecretRead: true }));
  if (found.kind === 'found') remember(context, task, (memory) => resultHeld(memory, found.result));
  return 'changed';
}
