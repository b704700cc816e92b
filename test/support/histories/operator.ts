/**
 * The operator in a random history: the product's own decisions and the product's own steps, with a memory and a cache
 * that die with the process. The cache learns from the steps, and from the watch when that is given a turn.
 */
import type { CaptchaTask } from '../../../src/api/captchatask.ts';
import type { DeadLetter } from '../../../src/api/deadletter.ts';
import type { TaskEffect } from '../../../src/core/task/effects.ts';
import type { Moment, TaskFacts } from '../../../src/core/task/facts.ts';
import type { TaskMemory } from '../../../src/core/task/memory.ts';
import type { PollOutcome, SubmitOutcome } from '../../../src/core/outcome.ts';
import type { ReceivedResult } from '../../../src/core/delivery/types.ts';
import type { Protocol } from '../../../src/core/protocol.ts';
import type { Call, Operator, World } from './world.ts';
import { CAPTCHA_TASK, DEAD_LETTER } from '../../../src/api/names.ts';
import { decideLetter } from '../../../src/core/deadletter/decide.ts';
import { phaseOf, withoutPayload } from '../../../src/core/deadletter/facts.ts';
import { letterStep } from '../../../src/core/deadletter/steps.ts';
import { DEFAULT_LETTER_POLICY } from '../../../src/core/deadletter/schedule.ts';
import { decideTask } from '../../../src/core/task/decide.ts';
import * as memories from '../../../src/core/task/memory.ts';
import { DEFAULT_POLICY } from '../../../src/core/task/policy.ts';
import { type Desk, isStep, settleReply, stepOf } from '../../../src/core/task/steps.ts';
import { pollAnswered, pollSent } from '../../../src/core/task/polling.ts';
import { isFinished } from '../../../src/core/task/transitions.ts';
import { classifyCode } from '../../../src/core/provider-codes.ts';
import { FORGOTTEN_ID, TASK, bootedOperator, chance, demand, note } from './world.ts';

export const LETTER_POLICY = { ...DEFAULT_LETTER_POLICY, ttlMs: 3_600_000 };

/** SIGKILL of the operator whose turn it is, and a new process: what it remembers is gone, what it sent is sent. */
export function restartOperator(world: World): void {
  const { operators, operator } = world;
  note(world, `operator ${operator.boot} is killed`);
  world.boots += 1;
  world.operator = bootedOperator(world.boots, world.mono, operator.leads);
  operators[operators.indexOf(operator)] = world.operator;
  watchTask(world, 0);
  for (const letter of world.api.all<DeadLetter>(DEAD_LETTER.plural)) watchLetter(world, letter.metadata.name);
}

/** The Lease changes hands; for a while both may think that they hold it, or nobody does. */
export function changeLeader(world: World): void {
  for (const operator of world.operators) operator.leads = chance(world, 0.5);
  note(world, `leading: ${world.operators.map(({ boot, leads }) => (leads ? boot : '-')).join(' ')}`);
}

/** The task watch catches up to `behind` versions before the newest. */
export function watchTask(world: World, behind: number): void {
  const versions = world.api.versions(CAPTCHA_TASK.plural, TASK);
  observe(world.operator, versions.at(Math.max(-versions.length, -1 - behind)) as CaptchaTask | undefined);
}

/** Newer than what the cache holds; finished tasks leave the selection. */
function observe(operator: Operator, task: CaptchaTask | undefined): void {
  const newer =
    Number(task?.metadata.resourceVersion ?? Infinity) >= Number(operator.task?.metadata.resourceVersion ?? 0);
  if (newer) operator.task = task === undefined || isFinished(task) ? undefined : task;
}

export function watchLetter(world: World, name: string): void {
  const letter = world.api.read<DeadLetter>(DEAD_LETTER.plural, name);
  if (letter === undefined) world.operator.letters.delete(name);
  else world.operator.letters.set(name, withoutPayload(letter));
}

const PINGBACK_URL = 'http://callback';

function momentOf(world: World): Moment {
  return { now: world.now, mono: world.mono, random: world.random() };
}

function remember(world: World, uid: string, change: (memory: TaskMemory) => TaskMemory): void {
  const { operator } = world;
  if (operator.memory.uid === uid) operator.memory = change(operator.memory);
}

function factsOf(world: World, task: CaptchaTask): TaskFacts {
  const { operator, mono } = world;
  const { uid } = task.metadata;
  if (operator.memory.uid !== uid) operator.memory = memories.freshMemory(uid);
  operator.memory = memories.sighted(operator.memory, task, mono);
  const letter = operator.letters.get(task.status?.deadLetter?.name ?? '');
  return {
    task,
    memory: operator.memory,
    mayAct: operator.leads,
    watchedMs: mono - operator.startMono,
    actingMs: mono - operator.startMono,
    key: { state: 'present' },
    lane: { ticket: ticketOf(operator), pollPauseMs: 0 },
    letter: letter === undefined ? { state: 'absent' } : { state: 'present', phase: phaseOf(letter) },
    pingback: operator.memory.urlDoubt?.refused === true ? { kind: 'none' } : { kind: 'url', url: PINGBACK_URL },
    callbacks: { silent: false, refused: false },
    intentName: `operator-${operator.boot}/${operator.intents + 1}`,
    mayWriteWaiting: true,
  };
}

function ticketOf({ memory, turn }: World['operator']): TaskFacts['lane']['ticket'] {
  if (memory.intent?.call === 'underWay') return 'calling';
  return turn ? 'granted' : 'none';
}

/** A lane of its own: whoever asks has a turn, until it is used or given up. */
const TURN_AFTER = { joinLane: true, leaveLane: false, submit: false, forgoCall: false } as const;

/** One look at the task, and what it orders. */
export function* taskPass(world: World): Protocol<void> {
  const { operator } = world;
  const { task } = operator;
  if (task === undefined) return;
  const facts = factsOf(world, task);
  const { rule, effect } = decideTask(facts, momentOf(world), DEFAULT_POLICY);
  if (effect === undefined) return;
  note(world, `operator ${operator.boot}: ${rule}`);
  if (effect.kind in TURN_AFTER) operator.turn = TURN_AFTER[effect.kind as keyof typeof TURN_AFTER];
  const { held } = operator.memory;
  const end = isStep(effect) ? yield* stepOf(task, deskOf(world, task), effect) : withoutRequest(world, task, effect);
  if (end === 'failed') operator.turn = false;
  if (held !== undefined && operator.memory.held === undefined) letGo(world, held);
}

/** What the steps of one task change: memory and cache of the process that began them. */
function deskOf(world: World, { metadata: { uid } }: CaptchaTask): Desk {
  const { operator } = world;
  return {
    moment: () => momentOf(world),
    memory: () => (operator.memory.uid === uid ? operator.memory : undefined),
    remember(change) {
      if (operator.memory.uid === uid) operator.memory = change(operator.memory);
    },
    cached: () => operator.task,
    take: (copy) => observe(operator, copy === 'gone' ? undefined : copy),
    wrote: (_before, after) => observe(operator, after),
    doubt: () => undefined,
    begins: () => void (operator.intents += 1),
    note: (told) => note(world, `  ${told.kind}`),
  };
}

/** Effects that ask the API server for nothing: calls of the provider, and what memory alone is about. */
function withoutRequest(world: World, task: CaptchaTask, effect: TaskEffect): void {
  const desk = deskOf(world, task);
  if (effect.kind === 'settleReply') settleReply(task, desk, effect);
  if (effect.kind === 'forgoCall') desk.remember((memory) => memories.callForgone(memory, world.mono));
  if (effect.kind === 'submit') callForSubmission(world, task, desk);
  if (effect.kind !== 'poll') return;
  desk.remember((memory) => pollSent(memory, task.status?.submission, effect.final));
  send(world, { kind: 'poll', boot: world.operator.boot, task, final: effect.final });
}

function callForSubmission(world: World, task: CaptchaTask, desk: Desk): void {
  const { uid } = task.metadata;
  const { attempts: attempt = 1, submission } = task.status ?? {};
  const stored = world.api.read<CaptchaTask>(CAPTCHA_TASK.plural, TASK);
  const isReplaced = stored?.metadata.uid === uid && (stored.status?.attempts ?? 0) > attempt;
  demand(!isReplaced, 'no attempt is sent that another has replaced');
  desk.remember(memories.callSent);
  const carried = submission?.pingback === true;
  const { boot } = world.operator;
  send(world, { kind: 'submit', boot, uid, attempt, by: submission?.intentBy ?? '', carried });
}

function send(world: World, call: Call): void {
  world.calls.push(call);
  note(world, `  the provider is called: ${call.kind}`);
}

/** The operator no longer keeps this result: where a letter has it, that must not be the end of it. */
function letGo(world: World, { task: { uid }, value }: ReceivedResult): void {
  const letters = world.api.all<DeadLetter>(DEAD_LETTER.plural);
  if (letters.some(({ spec }) => spec.taskRef.uid === uid && spec.payload.code === value)) {
    world.kept.push({ uid, value });
  }
}

/** The provider's answer to one call reaches the process that asked, if that still lives. */
export function answerCall(world: World, call: Call): void {
  const asker = world.operators.find(({ boot }) => boot === call.boot);
  const reached = asker !== undefined;
  world.operator = asker ?? world.operator;
  if (call.kind === 'submit') {
    const outcome = submitOutcome(world, call);
    note(world, `the provider answers a submission: ${outcome.kind}${reached ? '' : ', to nobody'}`);
    if (reached)
      remember(world, call.uid, (memory) => memories.callEnded(memory, { by: call.by, outcome }, world.mono));
    return;
  }
  const { task, final } = call;
  const outcome = pollOutcome(world, task.status?.submission?.captchaID);
  note(world, `the provider answers a poll: ${outcome.kind}${reached ? '' : ', to nobody'}`);
  if (!reached) return;
  const moment = momentOf(world);
  remember(world, task.metadata.uid, (memory) =>
    pollAnswered(memory, { task, outcome, final }, moment, DEFAULT_POLICY),
  );
}

function submitOutcome(world: World, { order, refused }: Extract<Call, { kind: 'submit' }>): SubmitOutcome {
  const lost: SubmitOutcome = { kind: 'unknown', cause: 'reset' };
  if (chance(world, world.outage)) return lost;
  const word = refused === undefined ? undefined : classifyCode(refused, 'in');
  if (word?.kind === 'refused') return word;
  return order === undefined ? lost : { kind: 'accepted', captchaID: order.id };
}

function pollOutcome(world: World, id: string | undefined): PollOutcome {
  if (chance(world, world.outage)) return { kind: 'unreachable', cause: 'timeout' };
  const order = world.orders.find((one) => one.id === id);
  if (order?.forgotten === true) return refusedWith(FORGOTTEN_ID);
  if (order?.answer === undefined) return { kind: 'pending' };
  const { answer } = order;
  if ('refused' in answer) return refusedWith(answer.refused);
  return { kind: 'solved', value: answer.value };
}

function refusedWith(code: string): PollOutcome {
  return classifyCode(code, 'res');
}

/** One look at a letter, and what it orders. */
export function* letterPass(world: World, name: string): Protocol<void> {
  const { operator } = world;
  const letter = operator.letters.get(name);
  if (letter === undefined) return;
  const { uid: taskUID } = letter.spec.taskRef;
  const facts = { letter, mayAct: operator.leads, taskBusy: operator.busy.has(taskUID) };
  const { effect } = decideLetter(facts, world.now, LETTER_POLICY);
  if (effect === undefined) return;
  note(world, `letter ${name}: ${effect.kind}`);
  const exists = (other: string): boolean => operator.letters.has(other);
  const options = { now: world.now, random: world.random(), policy: LETTER_POLICY, exists };
  // Never two retries of one task at a time.
  if (effect.kind === 'retry') operator.busy.add(taskUID);
  const outcome = yield* letterStep(letter, effect, options);
  if (effect.kind === 'retry') operator.busy.delete(taskUID);
  note(world, `letter ${name}: ${outcome.kind}`);
  watchLetter(world, name);
}
