/**
 * Carries out the effects that `decide` orders, one case for each. The only place of this controller that does I/O
 * (through writes, calls, secrets), without any rule of its own: what came of an effect goes into the cache or into
 * memory, and the next turn decides again.
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { TaskEffect } from '../../core/task/effects.ts';
import type { TaskMemory } from '../../core/task/memory.ts';
import type { Performed } from '../loop.ts';
import * as memories from '../../core/task/memory.ts';
import { summaryOf } from '../../core/task/conditions.ts';
import { forgoCall, startPoll, startSubmission } from './calls.ts';
import { type TaskContext, keyOfTask, remember } from './context.ts';
import type { GatheredFacts } from './gather.ts';
import { readSources } from './sources.ts';
import { deliver, readSolutionSecret } from './results.ts';
import { writeIntent } from './intents.ts';
import { writeStatus } from './writes.ts';

export interface Order {
  facts: GatheredFacts;
  effect: TaskEffect;
  signal: AbortSignal;
}

type Carrier<Kind extends TaskEffect['kind']> = (
  context: TaskContext,
  order: { task: CaptchaTask; effect: Extract<TaskEffect, { kind: Kind }>; signal: AbortSignal },
) => Promise<Performed> | Performed;

/** One entry for each effect: the compiler lists what is missing. */
const CARRIERS: { [Kind in TaskEffect['kind']]: Carrier<Kind> } = {
  writeStatus: (context, { task, effect, signal }) => writePlain(context, task, effect.status, signal),
  recordReply: async (context, { task, effect, signal }) => {
    const notBefore = effect.restMs === undefined ? undefined : context.moment().mono + effect.restMs;
    return writeThen(context, { task, status: effect.status, signal }, (it) => memories.replySettled(it, notBefore));
  },
  recordRefusal: (context, { task, effect, signal }) =>
    writeThen(context, { task, status: effect.status, signal }, memories.refusalSettled),
  settleReply: (context, { task, effect }) => settleReply(context, task, effect.conflict),
  writeIntent: (context, { task, effect, signal }) => writeIntent(context, task, effect, signal),
  submit(context, { task }) {
    startSubmission(context, task);
    return 'changed';
  },
  forgoCall(context, { task }) {
    forgoCall(context, task);
    return 'changed';
  },
  poll(context, { task, effect }) {
    startPoll(context, task, effect.final);
    return 'changed';
  },
  deliver: (context, { task, signal }) => deliver(context, task, signal),
  readKey: async (context, { task }) => ((await context.keys.read(task)) ? 'changed' : 'failed'),
  async readSources(context, { task }) {
    const sources = await readSources(context.options.client, task, context.moment().mono);
    if (sources === undefined) return 'failed';
    remember(context, task, (it) => memories.sourcesRead(it, sources));
    return 'changed';
  },
  readLetter: (context, { task }) => readLetter(context, task),
  readSolutionSecret: (context, { task, signal }) => readSolutionSecret(context, task, signal),
  joinLane(context, { task }) {
    const apiKey = context.keys.value(task);
    const { namespace, creationTimestamp } = task.metadata;
    const waiting = { key: keyOfTask(task), namespace, age: Date.parse(creationTimestamp) };
    if (apiKey !== undefined) context.lanes.join(waiting, apiKey);
    return 'changed';
  },
  leaveLane(context, { task }) {
    giveUpTurn(context, task);
    return 'changed';
  },
};

/** What was read for the turn goes with it: however many tasks fail at theirs, none of them keeps an image. */
function giveUpTurn(context: TaskContext, task: CaptchaTask): void {
  context.lanes.leave(keyOfTask(task));
  remember(context, task, memories.turnGivenUp);
}

export async function perform(context: TaskContext, { facts, effect, signal }: Order): Promise<Performed> {
  const carry = CARRIERS[effect.kind] as Carrier<TaskEffect['kind']>;
  let performed: Performed = 'failed';
  try {
    performed = await carry(context, { task: facts.task, effect, signal });
  } finally {
    // Who cannot use its turn and backs off lets the others of its API key go first. A turn that came meanwhile has
    // woken the task, and the next pass uses it.
    if (performed === 'failed' && facts.lane.ticket === 'granted') giveUpTurn(context, facts.task);
  }
  return performed;
}

async function writePlain(
  context: TaskContext,
  task: CaptchaTask,
  status: CaptchaTaskStatus,
  signal: AbortSignal,
): Promise<Performed> {
  const waits = status.phase === 'Pending' && summaryOf(status)?.status === 'Unknown' ? 1 : 0;
  context.waitingWrites += waits;
  const write = await writeStatus(context, task, status, signal);
  context.waitingWrites -= waits;
  return write === 'failed' ? 'failed' : 'changed';
}

/** Writes, and forgets what was to be written only when it is. */
async function writeThen(
  context: TaskContext,
  order: { task: CaptchaTask; status: CaptchaTaskStatus; signal: AbortSignal },
  settle: (memory: TaskMemory) => TaskMemory,
): Promise<Performed> {
  const write = await writeStatus(context, order.task, order.status, order.signal);
  if (write === 'failed') return 'failed';
  if (write === 'written') remember(context, order.task, settle);
  return 'changed';
}

function settleReply(context: TaskContext, task: CaptchaTask, conflict: boolean): Performed {
  const { mono } = context.moment();
  remember(context, task, (memory) => memories.replySettled(memory));
  if (conflict) {
    context.options.log.warn('The provider gave another id than the stored one; the task is polled');
    remember(context, task, (memory) => memories.pollWanted(memory, task.status?.submission, mono));
  }
  return 'changed';
}

async function readLetter(context: TaskContext, task: CaptchaTask): Promise<Performed> {
  const mark = task.status?.deadLetter;
  if (mark === undefined) return 'changed';
  const { namespace, name, uid } = task.metadata;
  const found = await context.options.letters.find({ namespace, name, uid }, mark.name);
  if (found === 'unknown') return 'failed';
  const { mono } = context.moment();
  remember(context, task, (memory) => memories.letterRead(memory, mark, found, mono));
  return 'changed';
}
