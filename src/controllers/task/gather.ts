/**
 * The two looks with which a turn begins. `see` takes note of the task as it stands now, and is the one that changes
 * something: what is remembered (first sight of an intent, a lost reply recognised), the permit of an accepted task,
 * and a write in doubt that the copy settles. `gather` then collects the facts from caches and changes nothing. Neither
 * waits; what is not known is a fact too.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { LetterView, Moment, PingbackView, TaskFacts } from '../../core/task/facts.ts';
import type { Entry } from '../../core/journal/entry.ts';
import { isUnshown, withEntry } from '../../core/journal/overlay.ts';
import { type TaskMemory, asPaid, freshMemory, payerSeen, sighted } from '../../core/task/memory.ts';
import type { PackedTask } from '../../core/task/packed.ts';
import { PERMIT_MS } from '../../core/task/policy.ts';
import { parseTime } from '../../core/task/times.ts';
import { type TaskContext, actingSinceMono, cachedTask, keep, memoryOf } from './context.ts';
import { clearDoubt, noteForeign } from './desk.ts';

/**
 * A task as it is in the cache (`stored`); with its entry of the journal where its status does not show that yet, and
 * with the API key that its submission was paid with (`task`); and what is remembered of it now that it was seen.
 */
export interface Seen {
  stored: CaptchaTask;
  entry: Entry | undefined;
  task: CaptchaTask;
  memory: TaskMemory;
  moment: Moment;
}

export interface GatheredFacts extends TaskFacts {
  moment: Moment;
  /** What a write is compared with and checked against: the task without its entry. */
  stored: CaptchaTask;
}

/** Undefined where the task has left the cache. */
export function see(context: TaskContext, key: string): Seen | undefined {
  const stored = cachedTask(context, key);
  if (stored === undefined || context.gone.has(stored.metadata.uid)) return undefined;
  const moment = context.moment();
  clearDoubt(context, stored);
  noteForeign(context, stored);
  const entry = entryOf(context, stored);
  const { payer } = memoryOf(context, stored) ?? {};
  const task = asPaid(entry === undefined ? stored : withEntry(stored, entry), payer);
  const memory = look(context, key, { task, stored }, moment.mono);
  settlePermit(context, key, task, memory);
  return { stored, entry, task, memory, moment };
}

/** Where status does not show it. Who does not hold the journal knows at least its own entries. */
export function entryOf(context: TaskContext, task: CaptchaTask): Entry | undefined {
  const { journal } = context;
  const { intent } = memoryOf(context, task) ?? {};
  const own = intent?.written === true && !journal.isHeld() ? intent.entry : undefined;
  const entry = journal.entryOf(task.metadata.uid) ?? own;
  return isUnshown(task, entry) ? entry : undefined;
}

export function gather(context: TaskContext, key: string, seen: Seen): GatheredFacts {
  const { stored, entry, task, memory, moment } = seen;
  const { keys, lanes, scopes, callbacks, options } = context;
  const { namespace } = task.metadata;
  const sinceMono = actingSinceMono(context, namespace);
  return {
    task,
    stored,
    entry,
    entryLeaves: entry !== undefined && context.journal.leaves(entry),
    // Every entry is measured for both; only what announces a submission or has its reply asks.
    get journal() {
      return context.journal.view(namespace);
    },
    get record() {
      return entry === undefined ? 'now' : context.journal.record(entry);
    },
    memory,
    moment,
    mayAct: sinceMono !== undefined,
    watchedMs: scopes.watchedMs(namespace),
    actingMs: moment.mono - (sinceMono ?? moment.mono),
    key: keys.view(task),
    lane: lanes.view(key, keys.value(task)),
    letter: letterOf(context, task),
    // Signing costs; only the one turn that writes an intent asks for it.
    get pingback() {
      return pingbackOf(context, task, memory);
    },
    callbacks: callbacks.view(task),
    intentName: `${options.identity}/${context.intents + 1}`,
    mayWriteWaiting: context.waitingWrites < options.client.load().limit * WAITING_SHARE,
  };
}

function letterOf({ options: { letters } }: TaskContext, { metadata, status }: CaptchaTask): LetterView {
  const mark = status?.deadLetter;
  return mark === undefined ? { state: 'absent' } : letters.lookup(metadata.namespace, mark.name);
}

/** Lets the memory see the task as it stands. */
function look(
  context: TaskContext,
  key: string,
  { task, stored }: Pick<Seen, 'task' | 'stored'>,
  mono: number,
): TaskMemory {
  const { uid } = task.metadata;
  const known = context.memories.get(key);
  if (known !== undefined && known.uid !== uid) leaveToSuccessor(context, key);
  const memory = payerSeen(sighted(known?.uid === uid ? known : freshMemory(uid), task, mono), stored);
  keep(context, key, memory);
  return memory;
}

/**
 * A standby looks at nothing but intents and marks: their grace counts from when this process saw them first, and
 * whoever takes over from a leader that keeps dying would otherwise begin it anew each time.
 */
export function standBy(context: TaskContext, key: string, packed: PackedTask): void {
  const counts = packed.phase === 'Submitting' || packed.sinceTime === Infinity;
  if (!counts && !context.memories.has(key)) return;
  const task = context.unpack(packed);
  look(context, key, { task, stored: task }, context.moment().mono);
}

/** This share of the workers at most says why tasks wait; the others are for those that move. */
const WAITING_SHARE = 0.25;

/** Another object has the name now: nothing of the old one holds for it. */
function leaveToSuccessor(context: TaskContext, key: string): void {
  context.memories.delete(key);
  context.lanes.leave(key);
  context.lanes.returnPermit(key);
  context.lanes.recorded(key);
}

/**
 * An accepted task counts as one of the provider's threads from the reply that says so, which status does not show
 * before it is recorded, nor memory in the very instant of the reply, until its final answer; a dead-lettered one does
 * not.
 */
function settlePermit(context: TaskContext, key: string, task: CaptchaTask, memory: TaskMemory): void {
  const { submission, deadLetter } = task.status ?? {};
  const open = submission?.captchaID !== undefined && submission.endTime === undefined;
  if (open || !mayBeAccepted(memory)) context.lanes.recorded(key);
  if (deadLetter !== undefined || !(open || mayBeAccepted(memory))) context.lanes.returnPermit(key);
  else if (open) holdPermit(context, key, task);
}

function mayBeAccepted({ intent, reply }: TaskMemory): boolean {
  return intent?.call === 'underWay' || reply?.outcome.kind === 'accepted';
}

function holdPermit(context: TaskContext, key: string, task: CaptchaTask): void {
  const apiKey = context.keys.value(task);
  const submittedTime = parseTime(task.status?.submission?.submittedTime);
  if (apiKey === undefined || submittedTime === undefined) return;
  // Another process may have written that time by a clock of its own.
  const leftMs = Math.min(PERMIT_MS, submittedTime + PERMIT_MS - context.moment().now);
  if (leftMs > 0) context.lanes.holdPermit(key, apiKey, leftMs);
}

/** The URL for the attempt that the next intent would begin. */
function pingbackOf({ options, callbacks }: TaskContext, task: CaptchaTask, { urlDoubt }: TaskMemory): PingbackView {
  if (task.spec.delivery !== 'Callback' || options.mintPingback === undefined) return { kind: 'none' };
  if (!callbacks.mayCarryURL(task, urlDoubt)) return { kind: 'none' };
  const { namespace, name, uid } = task.metadata;
  const attempts = task.status?.attempts ?? 0;
  const sameAttempt = attempts >= 1 && task.status?.submission === undefined;
  const url = options.mintPingback({ namespace, name, uid }, sameAttempt ? attempts : attempts + 1);
  return url === undefined ? { kind: 'none' } : { kind: 'url', url };
}
