/**
 * One operator of the model. A look is what the product does between two awaits: it sees its copy of the task, decides
 * by the product's table, and carries out what needs no I/O, until it sends something or has nothing to do. What comes
 * back (the end of a step, an answer of the provider) goes through the product's memory.
 */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { LetterPhase } from '../../src/api/names.ts';
import type { PollOutcome, SubmitOutcome } from '../../src/core/outcome.ts';
import type { TaskEffect } from '../../src/core/task/effects.ts';
import type { TaskFacts } from '../../src/core/task/facts.ts';
import type { Rest, TaskMemory } from '../../src/core/task/memory.ts';
import type { Entry } from '../../src/core/journal/entry.ts';
import { isUnshown, withEntry } from '../../src/core/journal/overlay.ts';
import * as journals from '../../src/core/journal/journal.ts';
import { formatTime } from '../../src/core/task/times.ts';
import { DEFAULT_POLICY } from '../../src/core/task/policy.ts';
import { pollSent } from '../../src/core/task/polling.ts';
import { type StepEffect, isStep, settleReply } from '../../src/core/task/steps.ts';
import { isFinished } from '../../src/core/task/transitions.ts';
import { type Advances, atDesk, beginStep } from './desk.ts';
import { type Handle, intern } from './intern.ts';
import type { Product } from './product.ts';
import { atRoom, freshRoom, roomOf, thawed } from './room.ts';
import type { Call, Operator } from './state.ts';
import { type Elapsed, NOW, momentOf, timeless, timelessMemory, watchedMs } from './time.ts';

/** What a look may see beside the task and the memory. */
export interface View {
  elapsed: Elapsed;
  letter: LetterPhase | 'absent';
  pingback: boolean;
  /** Requests queue, and nobody has called the task up. */
  crowded: boolean;
}

/** What came of a look. */
export interface Looked {
  operator: Operator;
  /** The rules that matched, in order. */
  rules: readonly string[];
}

const URL = 'https://callback.example/v1/callback/token';
/** The name of the next intent; `canonical` gives it a number. */
const FRESH_NAME = '~b9';
const MAX_TURNS = 16;

/** @param holder the name of this start in the journal, where there is one */
export function bootedOperator(
  product: Product,
  task: Handle<CaptchaTask> | undefined,
  { leads, holder }: { leads: boolean; holder: string | undefined },
): Operator {
  const cache = task !== undefined && isFinished(task.value) ? undefined : task;
  const uid = cache?.value.metadata.uid ?? 'none';
  const memory = intern(product.memories.freshMemory(uid));
  const room = holder === undefined ? undefined : intern(freshRoom(holder));
  const idle = { work: undefined, retry: undefined, writer: undefined, asking: undefined };
  return { cache, memory, leads, turn: false, calls: [], room, stage: 'idle', ...idle };
}

interface Turn {
  product: Product;
  advances: Advances;
  view: View;
  /** As it is in the cache. */
  stored: CaptchaTask;
  /** With its entry of the journal, where its status does not show that yet. */
  task: CaptchaTask;
  entry: Entry | undefined;
  operator: Operator;
}

export interface Looks {
  (operator: Operator, view: View, newest: Handle<CaptchaTask> | undefined): Looked;
}

export function createLooks(product: Product, advances: Advances): Looks {
  const known = new Map<string, Looked>();
  return (operator, view, newest) => {
    const { cache, memory, leads, turn, room, stage } = operator;
    if (cache === undefined) return { operator, rules: [] };
    const { elapsed, letter, pingback, crowded } = view;
    const flags = `${leads ? 1 : 0}${turn ? 1 : 0}${pingback ? 1 : 0}${crowded ? 1 : 0}`;
    const key = `${cache.id},${memory.id},${newest?.id},${room?.id}${stage},${flags},${elapsed},${letter}`;
    const before = known.get(key);
    const alone = { ...operator, calls: [] };
    const { value: stored } = cache;
    const begun: Turn = { product, advances, view, stored, task: stored, entry: undefined, operator: alone };
    const looked = before ?? look(begun, newest);
    if (before === undefined) known.set(key, looked);
    const calls = [...operator.calls, ...looked.operator.calls];
    const { retry, writer, asking } = operator;
    return { ...looked, operator: { ...looked.operator, calls, retry, writer, asking } };
  };
}

function look(turn: Turn, newest: Handle<CaptchaTask> | undefined): Looked {
  const { product, advances, view, stored } = turn;
  const { uid } = stored.metadata;
  const known = turn.operator.memory.value;
  remember(turn, () => (known.uid === uid ? known : product.memories.freshMemory(uid)));
  const rules: string[] = [];
  for (let turns = 0; turns < MAX_TURNS; turns += 1) {
    see(turn);
    const { rule, effect } = product.decide(factsOf(turn), momentOf(view.elapsed), DEFAULT_POLICY);
    if (effect === undefined) break;
    rules.push(rule);
    const step = asStep(effect, turn);
    if (step !== undefined) {
      const args = { task: stored, effect: withoutTime(step, turn), memory: turn.operator.memory.value };
      const work = beginStep(args);
      const { operator, request } = advances(turn.operator, work, newest);
      return { operator: { ...operator, work: request === undefined ? undefined : work }, rules };
    }
    (CARRIERS[effect.kind as LocalEffect['kind']] as Carrier<LocalEffect['kind']>)(turn, effect as LocalEffect);
  }
  return { operator: turn.operator, rules };
}

/** As `controllers/task/gather` sees it. Who does not hold the journal knows at least its own entries. */
function see(turn: Turn): void {
  const { product, stored, operator } = turn;
  const { mono } = momentOf('nothing');
  const { intent } = operator.memory.value;
  const { room } = operator;
  const own = intent?.written === true && room?.value.held === false ? intent.entry : undefined;
  const known = room && (product.journal.entryOf(thawed(room.value), stored.metadata.uid, intent) ?? own);
  turn.entry = isUnshown(stored, known) ? known : undefined;
  turn.task = turn.entry === undefined ? stored : withEntry(stored, turn.entry);
  remember(turn, (memory) => product.memories.sighted(memory, turn.task, mono));
}

/** In a world without a journal an entry, and the write that shows it in status, are one write. */
function asStep(effect: TaskEffect, { task, operator: { room } }: Turn): StepEffect | undefined {
  if (isStep(effect)) return effect;
  if (effect.kind !== 'enterIntent' || room !== undefined) return undefined;
  const { entry, pingbackURL } = effect;
  return { kind: 'writeIntent', status: withEntry(task, entry).status, by: entry.by, pingbackURL };
}

function withoutTime(effect: StepEffect, { task, view }: Turn): StepEffect {
  return 'status' in effect ? { ...effect, status: timeless(effect.status, task.status, view.elapsed) } : effect;
}

function remember(turn: Turn, change: (memory: TaskMemory) => TaskMemory): void {
  const memory = intern(timelessMemory(change(turn.operator.memory.value)));
  turn.operator = { ...turn.operator, memory };
}

function journalFacts({
  operator: { room, stage, leads },
  entry,
  view: { crowded },
}: Turn): Pick<TaskFacts, 'entry' | 'entryLeaves' | 'journal' | 'record' | 'mayAct'> {
  if (room === undefined) return { journal: 'open', record: 'now', mayAct: leads };
  const { held, leaving } = room.value;
  const entryLeaves = entry !== undefined && leaving.includes(entry.by);
  const isNaming = entry !== undefined && journals.isNaming(thawed(room.value), entry.by);
  const record = held && isNaming ? 'entering' : held && crowded ? 'later' : 'now';
  return { entry, entryLeaves, journal: held ? 'open' : 'closed', record, mayAct: leads && stage === 'acting' };
}

function factsOf(look: Turn): TaskFacts {
  const { task, view, operator } = look;
  const { letter, pingback, elapsed } = view;
  const { turn } = operator;
  const memory = operator.memory.value;
  return {
    task,
    memory,
    ...journalFacts(look),
    watchedMs: watchedMs(elapsed),
    // All was due long ago: no poll is put off because many fell due while nobody acted.
    actingMs: 1e12,
    key: { state: 'present' },
    lane: { ticket: memory.intent?.call === 'underWay' ? 'calling' : turn ? 'granted' : 'none', pollPauseMs: 0 },
    letter: letter === 'absent' ? { state: 'absent' } : { state: 'present', phase: letter },
    pingback: pingback ? { kind: 'url', url: URL } : { kind: 'none' },
    callbacks: { silent: false, refused: false },
    intentName: FRESH_NAME,
    mayWriteWaiting: true,
  };
}

/** What asks the API server for nothing. */
type LocalEffect = Exclude<TaskEffect, StepEffect>;
type Carrier<Kind extends LocalEffect['kind']> = (turn: Turn, effect: Extract<LocalEffect, { kind: Kind }>) => void;

const CARRIERS: { [Kind in LocalEffect['kind']]: Carrier<Kind> } = {
  settleReply(turn, effect) {
    turn.operator = atDesk(turn.operator, (desk) => settleReply(turn.task, desk, effect));
  },
  enterIntent(turn, { entry: decided, pingbackURL }) {
    const entry = { ...decided, intentTime: formatTime(NOW) };
    const intent = { by: entry.by, attempt: 1, sentMono: momentOf('nothing').mono, pingbackURL, entry };
    remember(turn, (memory) => turn.product.memories.intentSent(memory, intent));
    turn.operator = atRoom(turn.operator, (journal) => journals.enter(journal, entry));
  },
  enterID(turn, { by, captchaID }) {
    turn.operator = atRoom(turn.operator, (journal) => journals.putID(journal, by, captchaID));
  },
  dropEntry(turn, { by, rest }) {
    const rests = [...roomOf(turn.operator).rests, { by, rest: timelessRest(rest) }];
    turn.operator = atRoom(turn.operator, (journal) => journals.letGo(journal, by), { rests });
  },
  submit(turn) {
    const { uid } = turn.task.metadata;
    const { attempt, by } = turn.operator.memory.value.intent ?? { attempt: 1, by: '' };
    remember(turn, turn.product.memories.callSent);
    calls(turn, { kind: 'submit', uid, attempt, by, stage: 'sent' });
    turn.operator = { ...turn.operator, turn: false };
  },
  forgoCall(turn) {
    remember(turn, (memory) => turn.product.memories.callForgone(memory, momentOf('nothing').mono));
    turn.operator = { ...turn.operator, turn: false };
  },
  poll(turn, { final }) {
    const { task } = turn;
    remember(turn, (memory) => pollSent(memory, task.status?.submission, final));
    calls(turn, { kind: 'poll', task, final });
  },
  readKey: () => undefined,
  joinLane: (turn) => void (turn.operator = { ...turn.operator, turn: true }),
  leaveLane(turn) {
    remember(turn, turn.product.memories.turnGivenUp);
    turn.operator = { ...turn.operator, turn: false };
  },
};

function timelessRest(rest: Rest): Rest {
  return rest.untilMono === undefined ? rest : { ...rest, untilMono: momentOf('nothing').mono };
}

function calls(turn: Turn, call: Call): void {
  turn.operator = { ...turn.operator, calls: [...turn.operator.calls, intern(call)] };
}

/** Takes the newest copy into the cache; a finished task leaves it. */
export function withCopy(operator: Operator, newest: Handle<CaptchaTask> | undefined): Operator {
  return { ...operator, cache: newest === undefined || isFinished(newest.value) ? undefined : newest };
}

/** The provider's answer to a submission reaches the process that made it. */
export function submitAnswered(
  product: Product,
  operator: Operator,
  call: Handle<Call>,
  outcome: SubmitOutcome,
): Operator {
  const calls = operator.calls.filter((other) => other !== call);
  const { value } = call;
  const memory = operator.memory.value;
  if (value.kind !== 'submit' || memory.uid !== value.uid) return { ...operator, calls };
  const { mono } = momentOf('nothing');
  const next = product.memories.callEnded(memory, { by: value.by, outcome }, mono);
  return { ...operator, calls, memory: intern(timelessMemory(next)) };
}

export function pollEnded(product: Product, operator: Operator, call: Handle<Call>, outcome: PollOutcome): Operator {
  const calls = operator.calls.filter((other) => other !== call);
  const { value } = call;
  const memory = operator.memory.value;
  if (value.kind !== 'poll' || memory.uid !== value.task.metadata.uid) return { ...operator, calls };
  const { task, final } = value;
  const next = product.pollAnswered(memory, { task, outcome, final }, momentOf('nothing'), DEFAULT_POLICY);
  return { ...operator, calls, memory: intern(timelessMemory(next)) };
}
