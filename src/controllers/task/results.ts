/**
 * Brings results to their task: what a poll found, and what a solution Secret holds that somebody created and died
 * before the status write. Both go the road of all results, `core/delivery`, which alone decides what becomes of them.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { KubeObject } from '../../kube/types.ts';
import type { Performed } from '../loop.ts';
import { deliverResult } from '../../core/delivery.ts';
import { findInSecret } from '../../core/delivery/solution-secret.ts';
import { resultDelivered, resultHeld } from '../../core/task/memory.ts';
import { runProtocol } from '../../kube/run.ts';
import { type TaskContext, about, keyOfTask, remember } from './context.ts';
import { readAgain, taskWritten } from './writes.ts';

/** Delivers the result in memory; it stays there until it is durable somewhere, or provably not wanted. */
export async function deliver(context: TaskContext, task: CaptchaTask, signal: AbortSignal): Promise<Performed> {
  const held = context.memories.get(keyOfTask(task))?.held;
  if (held === undefined) return 'changed';
  const { client, metrics, log } = context.options;
  const options = { now: context.moment().now, known: task, onFailure: 'letter' } as const;
  const delivery = await runProtocol(client, deliverResult(held, options), { signal });
  if (delivery.kind === 'retry') {
    log.warn('A result cannot be applied yet; it is kept and tried again', {
      ...about(task),
      class: delivery.error.class,
    });
    return 'failed';
  }
  if (delivery.kind === 'deadLettered' && delivery.created) {
    metrics.inc('captcha_operator_dead_letters_created_total', { stage: delivery.stage });
  }
  remember(context, task, resultDelivered);
  if (delivery.kind !== 'failed' && delivery.task !== undefined) {
    taskWritten(context, task, delivery.task as unknown as KubeObject);
    return 'changed';
  }
  return (await readAgain(context, task, signal)) ? 'changed' : 'failed';
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
