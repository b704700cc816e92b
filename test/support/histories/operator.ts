/**
 * The operator in a random history: the product's own decisions, and a shell of the same shape as the real one around
 * them. What the shell remembers dies with the process. Its caches learn only when the watch is given a turn.
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../../src/api/captchatask.ts';
import type { DeadLetter, DeadLetterStatus } from '../../../src/api/deadletter.ts';
import type { TaskEffect } from '../../../src/core/task/effects.ts';
import type { Moment, TaskFacts } from '../../../src/core/task/facts.ts';
import type { TaskMemory } from '../../../src/core/task/memory.ts';
import type { PollOutcome, SubmitOutcome } from '../../../src/core/outcome.ts';
import type { Protocol } from '../../../src/core/protocol.ts';
import type { Call, World } from './world.ts';
import { API_VERSION, CAPTCHA_TASK, DEAD_LETTER } from '../../../src/api/names.ts';
import { decideLetter } from '../../../src/core/deadletter/decide.ts';
import { phaseOf, withoutPayload } from '../../../src/core/deadletter/facts.ts';
import { retryLetter } from '../../../src/core/deadletter/retry.ts';
import { DEFAULT_LETTER_POLICY } from '../../../src/core/deadletter/schedule.ts';
import { deliverResult } from '../../../src/core/delivery/deliver.ts';
import { findInSecret } from '../../../src/core/delivery/solution-secret.ts';
import { decideTask } from '../../../src/core/task/decide.ts';
import * as memories from '../../../src/core/task/memory.ts';
import { DEFAULT_POLICY } from '../../../src/core/task/policy.ts';
import { pollAnswered } from '../../../src/core/task/polling.ts';
import { isFinished } from '../../../src/core/task/transitions.ts';
import { classifyCode } from '../../../src/core/provider-codes.ts';
import { FORGOTTEN_ID, TASK, bootedOperator, chance, note } from './world.ts';

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
  observe(world, versions.at(Math.max(-versions.length, -1 - behind)) as CaptchaTask | undefined);
}

/** Newer than what the cache holds; finished tasks leave the selection. */
function observe(world: World, task: CaptchaTask | undefined): void {
  const { operator } = world;
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
  const { task } = world.operator;
  if (task === undefined) return;
  const moment = momentOf(world);
  const { rule, effect } = decideTask(factsOf(world, task), moment, DEFAULT_POLICY);
  if (effect === undefined) return;
  note(world, `operator ${world.operator.boot}: ${rule}`);
  if (effect.kind in TURN_AFTER) world.operator.turn = TURN_AFTER[effect.kind as keyof typeof TURN_AFTER];
  yield* perform(world, task, effect, moment);
}

function* perform(world: World, task: CaptchaTask, effect: TaskEffect, moment: Moment): Protocol<void> {
  if (effect.kind === 'writeStatus') yield* write(world, task, effect.status);
  else if (effect.kind === 'writeIntent') yield* writeIntent(world, task, effect);
  else if (effect.kind === 'deliver') yield* deliver(world, task, moment);
  else if (effect.kind === 'readLetter') yield* readLetter(world, task);
  else if (effect.kind === 'readSolutionSecret') yield* readSolutionSecret(world, task);
  else yield* speak(world, task, effect);
}

/** Effects about the provider: calls to it, and its answers on their way into status. */
function* speak(world: World, task: CaptchaTask, effect: TaskEffect): Protocol<void> {
  const { uid } = task.metadata;
  const { mono } = world;
  if (effect.kind === 'recordReply' && (yield* write(world, task, effect.status))) {
    remember(world, uid, (memory) => memories.replySettled(memory));
  }
  if (effect.kind === 'recordRefusal' && (yield* write(world, task, effect.status))) {
    remember(world, uid, memories.refusalSettled);
  }
  if (effect.kind === 'settleReply') remember(world, uid, (memory) => settled(memory, effect.conflict, task, mono));
  if (effect.kind === 'forgoCall') {
    remember(world, uid, (memory) => memories.callForgone(memory, mono));
  }
  if (effect.kind === 'submit' || effect.kind === 'poll') callProvider(world, task, effect);
}

function callProvider(world: World, task: CaptchaTask, effect: Extract<TaskEffect, { kind: 'submit' | 'poll' }>): void {
  const { uid } = task.metadata;
  const { boot } = world.operator;
  if (effect.kind === 'submit') {
    const { attempts: attempt = 1, submission } = task.status ?? {};
    remember(world, uid, memories.callSent);
    const carried = submission?.pingback === true;
    send(world, { kind: 'submit', boot, uid, attempt, by: submission?.intentBy ?? '', carried });
    return;
  }
  remember(world, uid, (memory) => memories.pollSent(memory, task.status?.submission, effect.final));
  send(world, { kind: 'poll', boot, task, final: effect.final });
}

function send(world: World, call: Call): void {
  world.calls.push(call);
  note(world, `  the provider is called: ${call.kind}`);
}

function settled(memory: TaskMemory, conflict: boolean, task: CaptchaTask, mono: number): TaskMemory {
  const done = memories.replySettled(memory);
  return conflict ? memories.pollWanted(done, task.status?.submission, mono) : done;
}

/** One version-checked write; whatever went wrong, the object is read afresh. */
function* write(world: World, task: CaptchaTask, status: CaptchaTaskStatus): Protocol<boolean> {
  const { namespace, name, uid, resourceVersion } = task.metadata;
  const target = { resource: CAPTCHA_TASK, namespace, name } as const;
  const metadata = { namespace, name, uid, resourceVersion };
  const object = { apiVersion: API_VERSION, kind: CAPTCHA_TASK.kind, metadata, status };
  const reply = yield { verb: 'replaceStatus', ...target, object };
  if (reply.ok) {
    observe(world, reply.object as CaptchaTask);
    return true;
  }
  const fresh = yield { verb: 'get', ...target, read: 'quorum' };
  if (fresh.ok) observe(world, fresh.object as CaptchaTask);
  if (!fresh.ok && fresh.status === 404) world.operator.task = undefined;
  return false;
}

function* writeIntent(
  world: World,
  task: CaptchaTask,
  effect: Extract<TaskEffect, { kind: 'writeIntent' }>,
): Protocol<void> {
  const { uid } = task.metadata;
  world.operator.intents += 1;
  const { by, pingbackURL } = effect;
  const intent = { by, attempt: effect.status.attempts ?? 1, sentMono: world.mono, pingbackURL };
  remember(world, uid, (memory) => memories.intentSent(memory, intent));
  const written = yield* write(world, task, effect.status);
  const stored = world.operator.task?.status?.submission?.intentBy === effect.by;
  if (written || stored) remember(world, uid, memories.intentWritten);
  else if (world.operator.task !== task) remember(world, uid, memories.intentDropped);
  else world.operator.turn = false;
}

function* deliver(world: World, task: CaptchaTask, moment: Moment): Protocol<void> {
  const { held } = world.operator.memory;
  if (held === undefined) return;
  const delivery = yield* deliverResult(held, { now: moment.now, known: task, onFailure: 'letter' });
  note(world, `operator: delivered ${held.value}: ${delivery.kind}`);
  if (delivery.kind === 'retry' || delivery.kind === 'failed') return;
  if (delivery.kind === 'deadLettered') world.kept.push({ uid: held.task.uid, value: held.value });
  remember(world, held.task.uid, memories.resultDelivered);
  if ('task' in delivery && delivery.task !== undefined) observe(world, delivery.task);
}

/** As `controllers/deadletter/lookup`: the named letter, or any other living one of this task. */
function* readLetter(world: World, task: CaptchaTask): Protocol<void> {
  const mark = task.status?.deadLetter;
  if (mark === undefined) return;
  const { namespace, uid } = task.metadata;
  const found = yield { verb: 'get', resource: DEAD_LETTER, namespace, name: mark.name, read: 'quorum' };
  if (!found.ok && found.status !== 404) return;
  const named = found.ok && (found.object as DeadLetter).spec.taskRef.uid === uid;
  const others = world.api.all<DeadLetter>(DEAD_LETTER.plural).filter((letter) => letter.spec.taskRef.uid === uid);
  const alive = others.some((letter) => ['Pending', 'Abandoned'].includes(phaseOf(letter)));
  const state = named || alive ? 'present' : 'absent';
  note(world, `operator: its letter is ${state}`);
  remember(world, uid, (memory) => memories.letterRead(memory, mark, state, world.mono));
}

function* readSolutionSecret(world: World, task: CaptchaTask): Protocol<void> {
  const found = yield* findInSecret(task);
  if (found.kind === 'unavailable') return;
  const { uid } = task.metadata;
  remember(world, uid, (memory) => ({ ...memory, solutionSecretRead: true }));
  if (found.kind === 'found') remember(world, uid, (memory) => memories.resultHeld(memory, found.result));
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
  const { namespace, uid, resourceVersion } = letter.metadata;
  if (effect.kind === 'retry') {
    operator.busy.add(taskUID);
    const exists = (other: string): boolean => operator.letters.has(other);
    const options = { now: world.now, random: world.random(), policy: LETTER_POLICY, exists };
    const made = yield* retryLetter({ namespace, name, uid }, options);
    note(world, `letter ${name}: ${made.kind} ${'outcome' in made ? made.outcome.kind : ''}`);
    operator.busy.delete(taskUID);
  } else if (effect.kind === 'delete') {
    yield { verb: 'delete', resource: DEAD_LETTER, namespace, name, preconditions: { uid, resourceVersion } };
  } else yield letterWrite(letter.metadata, effect.status);
  watchLetter(world, name);
}

function letterWrite(metadata: DeadLetter['metadata'], status: DeadLetterStatus) {
  const { namespace, name, uid, resourceVersion } = metadata;
  const object = {
    apiVersion: API_VERSION,
    kind: DEAD_LETTER.kind,
    metadata: { namespace, name, uid, resourceVersion },
    status,
  };
  return { verb: 'replaceStatus', resource: DEAD_LETTER, namespace, name, object } as const;
}
