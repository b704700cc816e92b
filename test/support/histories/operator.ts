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
import type { Entry } from '../../../src/core/journal/entry.ts';
import { isUnshown, withEntry } from '../../../src/core/journal/overlay.ts';
import { enter, entryOf, isNaming, letGo, putID } from '../../../src/core/journal/journal.ts';
import { decideTask } from '../../../src/core/task/decide.ts';
import * as memories from '../../../src/core/task/memory.ts';
import { DEFAULT_POLICY } from '../../../src/core/task/policy.ts';
import { type Desk, isStep, settleReply, stepOf } from '../../../src/core/task/steps.ts';
import { pollAnswered, pollSent } from '../../../src/core/task/polling.ts';
import { classifyCode } from '../../../src/core/provider-codes.ts';
import { loseLead } from './journal.ts';
import { FORGOTTEN_ID, TASK, bootedOperator, chance, demand, note, observe } from './world.ts';

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
  for (const operator of world.operators) {
    operator.leads = chance(world, 0.5);
    if (!operator.leads) loseLead(operator);
  }
  note(world, `leading: ${world.operators.map(({ boot, leads }) => (leads ? boot : '-')).join(' ')}`);
}

/** The task watch catches up to `behind` versions before the newest. */
export function watchTask(world: World, behind: number): void {
  const versions = world.api.versions(CAPTCHA_TASK.plural, TASK);
  const at = Math.max(0, versions.length - 1 - behind);
  const seen = versions[at] as CaptchaTask | undefined;
  // A deletion is newer than what was there before it.
  const before = versions.slice(0, at).findLast((version) => version !== undefined);
  observe(world.operator, seen, Number(before?.metadata.resourceVersion ?? 0) + 1);
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

/** As `gather` has it: who does not hold the journal knows at least its own entries. */
function entryFor(operator: Operator, task: CaptchaTask): Entry | undefined {
  const { journal, memory } = operator;
  const own = memory.uid === task.metadata.uid && memory.intent?.written === true && !journal.held;
  const entry = entryOf(journal, task.metadata.uid) ?? (own ? memory.intent?.entry : undefined);
  return isUnshown(task, entry) ? entry : undefined;
}

function factsOf(world: World, stored: CaptchaTask): TaskFacts {
  const { operator, mono } = world;
  const entry = entryFor(operator, stored);
  const task = entry === undefined ? stored : withEntry(stored, entry);
  const { uid } = task.metadata;
  if (operator.memory.uid !== uid) operator.memory = memories.freshMemory(uid);
  operator.memory = memories.sighted(operator.memory, task, mono);
  const letter = operator.letters.get(task.status?.deadLetter?.name ?? '');
  return {
    task,
    ...journalFacts(world, entry),
    memory: operator.memory,
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

function journalFacts(
  world: World,
  entry: Entry | undefined,
): Pick<TaskFacts, 'entry' | 'entryLeaves' | 'journal' | 'record' | 'mayAct'> {
  const { journal, leads, acts } = world.operator;
  const entryLeaves = entry !== undefined && journal.leaving.has(entry.by);
  const view = journal.held ? 'open' : 'closed';
  return { entry, entryLeaves, journal: view, record: recordOf(world, entry), mayAct: leads && acts };
}

/** Requests queue, or they do not; and who waits is called up sooner or later. */
function recordOf(world: World, entry: Entry | undefined): TaskFacts['record'] {
  const { journal } = world.operator;
  if (entry === undefined || !journal.held) return 'now';
  if (isNaming(journal, entry.by)) return 'entering';
  return chance(world, 0.5) ? 'later' : 'now';
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
  const { task: stored } = operator;
  if (stored === undefined) return;
  const facts = factsOf(world, stored);
  const { task } = facts;
  const { rule, effect } = decideTask(facts, momentOf(world), DEFAULT_POLICY);
  if (effect === undefined) return;
  note(world, `operator ${operator.boot}: ${rule}`);
  if (effect.kind in TURN_AFTER) operator.turn = TURN_AFTER[effect.kind as keyof typeof TURN_AFTER];
  const { held } = operator.memory;
  const end = isStep(effect)
    ? yield* stepOf(stored, deskOf(world, stored), effect)
    : withoutRequest(world, task, effect);
  if (end === 'failed') operator.turn = false;
  if (held !== undefined && operator.memory.held === undefined) letGoResult(world, held);
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
    take(copy) {
      if (copy === 'gone') operator.gone.add(uid);
      observe(operator, copy === 'gone' ? undefined : copy);
    },
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
  if (effect.kind === 'enterIntent') enterIntent(world, desk, effect);
  if (effect.kind === 'enterID') putID(world.operator.journal, effect.by, effect.captchaID);
  if (effect.kind === 'dropEntry') {
    world.operator.rests.set(effect.by, effect.rest);
    letGo(world.operator.journal, effect.by);
  }
  if (effect.kind === 'forgoCall') desk.remember((memory) => memories.callForgone(memory, world.mono));
  if (effect.kind === 'submit') callForSubmission(world, task, desk);
  if (effect.kind !== 'poll') return;
  desk.remember((memory) => pollSent(memory, task.status?.submission, effect.final));
  send(world, { kind: 'poll', boot: world.operator.boot, task, final: effect.final });
}

function enterIntent(
  { mono, operator }: World,
  desk: Desk,
  { entry, pingbackURL }: Extract<TaskEffect, { kind: 'enterIntent' }>,
): void {
  const intent = { by: entry.by, attempt: 1, sentMono: mono, pingbackURL, entry };
  desk.begins(intent);
  desk.remember((memory) => memories.intentSent(memory, intent));
  enter(operator.journal, entry);
}

function callForSubmission(world: World, task: CaptchaTask, desk: Desk): void {
  const { uid } = task.metadata;
  const { attempts: attempt = 1, submission } = task.status ?? {};
  demand(isCurrent(world, uid, attempt), 'no attempt is sent that another has replaced, but the first where it counts');
  desk.remember(memories.callSent);
  const carried = submission?.pingback === true;
  const { boot } = world.operator;
  send(world, { kind: 'submit', boot, uid, attempt, by: submission?.intentBy ?? '', carried });
}

function isCurrent(world: World, uid: string, attempt: number): boolean {
  const stored = world.api.read<CaptchaTask>(CAPTCHA_TASK.plural, TASK);
  const { attempts: newest = 0, unknownSubmissions: unknown = 0 } = stored?.status ?? {};
  if (stored?.metadata.uid !== uid || newest <= attempt) return true;
  // Of two that believe to lead, the one that lost the journal may have taken the first submission for unknown.
  return attempt === 1 && unknown > 0;
}

function send(world: World, call: Call): void {
  world.calls.push(call);
  note(world, `  the provider is called: ${call.kind}`);
}

/** The operator no longer keeps this result: where a letter has it, that must not be the end of it. */
function letGoResult(world: World, { task: { uid }, value }: ReceivedResult): void {
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
