/**
 * Carries out the effect that `decide` ordered. What talks to the Kubernetes API is a protocol of `core/task/steps.ts`,
 * and is run here in one line; calls of the provider begin here and go on beside the workers (`calls.ts`); a place in a
 * lane is taken or given up. No rule of its own: what came of an effect is in cache or memory, and the next turn decides
 * again.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { TaskEffect } from '../../core/task/effects.ts';
import type { GatheredFacts } from './gather.ts';
import type { Performed } from '../loop.ts';
import { stageOfCreated } from '../../core/deadletter/announce.ts';
import { summaryOf } from '../../core/task/conditions.ts';
import { intentSent, turnGivenUp } from '../../core/task/memory.ts';
import { type StepEffect, isStep, settleReply, stepOf } from '../../core/task/steps.ts';
import { runProtocol } from '../../kube/run.ts';
import { forgoCall, startPoll, startSubmission } from './calls.ts';
import { type TaskContext, keyOfTask, remember } from './context.ts';
import { deskOf, lookIfLeft } from './desk.ts';

export interface Order {
  facts: GatheredFacts;
  effect: TaskEffect;
  signal: AbortSignal;
}

export async function perform(context: TaskContext, { facts, effect, signal }: Order): Promise<Performed> {
  const { task, stored } = facts;
  const says = saysWaiting(effect) ? 1 : 0;
  context.waitingWrites += says;
  const { entry } = facts;
  const recorded = effect.kind === 'recordReply' && entry !== undefined ? context.journal.recording(entry) : undefined;
  let performed: Performed = 'failed';
  try {
    performed = isStep(effect)
      ? await runProtocol(context.options.client, stepOf(stored, deskOf(context, stored), effect), {
          signal,
          onObject: (_object, request) => countLetter(context, stageOfCreated(request)),
        })
      : await carryOut(context, task, effect);
  } finally {
    context.waitingWrites -= says;
    recorded?.();
    if (performed === 'failed') {
      lookIfLeft(context, task);
      // Who cannot be written lets others begin.
      context.lanes.recorded(keyOfTask(task));
      // Who cannot use its turn and backs off lets the others of its API key go first. A turn that came meanwhile has
      // woken the task, and the next pass uses it.
      if (facts.lane.ticket === 'granted') giveUpTurn(context, task);
    }
  }
  return performed;
}

function saysWaiting(effect: TaskEffect): boolean {
  if (effect.kind !== 'writeStatus' || effect.status.phase !== 'Pending') return false;
  return summaryOf(effect.status)?.status === 'Unknown';
}

function countLetter({ options: { metrics } }: TaskContext, stage: ReturnType<typeof stageOfCreated>): void {
  if (stage !== undefined) metrics.inc('captcha_operator_dead_letters_created_total', { stage });
}

type LocalEffect = Exclude<TaskEffect, StepEffect | { kind: 'readKey' }>;
type Local<Kind extends LocalEffect['kind']> = (
  context: TaskContext,
  task: CaptchaTask,
  effect: Extract<LocalEffect, { kind: Kind }>,
) => void;

/** What begins or ends here without a request to the Kubernetes API. */
const LOCAL: { [Kind in LocalEffect['kind']]: Local<Kind> } = {
  settleReply: (context, task, effect) => settleReply(task, deskOf(context, task), effect),
  enterIntent,
  enterID: ({ journal }, _task, effect) => journal.putID(effect),
  dropEntry: ({ journal }, task, effect) => journal.drop(task, effect),
  submit: startSubmission,
  forgoCall,
  poll: (context, task, { final }) => startPoll(context, task, final),
  joinLane,
  leaveLane: giveUpTurn,
};

/** The key ring asks for itself. */
async function carryOut(
  context: TaskContext,
  task: CaptchaTask,
  effect: Exclude<TaskEffect, StepEffect>,
): Promise<Performed> {
  if (effect.kind === 'readKey') return (await context.keys.read(task)) ? 'changed' : 'failed';
  (LOCAL[effect.kind] as Local<LocalEffect['kind']>)(context, task, effect);
  return 'changed';
}

/** Remembered before it can be written. The writer of the journal goes on from here, and wakes the task. */
function enterIntent(
  context: TaskContext,
  task: CaptchaTask,
  { entry, pingbackURL }: Extract<TaskEffect, { kind: 'enterIntent' }>,
): void {
  const { mono: sentMono, now: sentNow } = context.moment();
  const intent = { by: entry.by, attempt: 1, sentMono, sentNow, pingbackURL, entry };
  deskOf(context, task).begins(intent);
  remember(context, task, (memory) => intentSent(memory, intent));
  context.journal.enter(entry);
}

function joinLane({ keys, lanes }: TaskContext, task: CaptchaTask): void {
  const apiKey = keys.value(task);
  const { namespace, creationTimestamp } = task.metadata;
  const waiting = { key: keyOfTask(task), namespace, age: Date.parse(creationTimestamp) };
  if (apiKey !== undefined) lanes.join(waiting, apiKey);
}

/** What was read for the turn goes with it: however many tasks fail at theirs, none of them keeps an image. */
function giveUpTurn(context: TaskContext, task: CaptchaTask): void {
  context.lanes.leave(keyOfTask(task));
  remember(context, task, turnGivenUp);
}
