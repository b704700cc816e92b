/**
 * What this process alone knows about one task, as a pure value: the intent it wrote, the reply it still has to
 * record, when it first saw somebody else's intent, how polling goes. It is lost with the process and nothing may
 * depend on its survival; it is never written to the API. All instants are monotonic milliseconds (`…Mono`), so that
 * a clock step neither opens a fence nor ends a grace. The shell keeps it in a map and drops it with the task. How polls
 * change it is told in `polling.ts`.
 */
import type { Captcha, CaptchaTask, DeadLetterMark } from '../../api/captchatask.ts';
import type { UnknownReason } from '../../api/names.ts';
import type { Refusal, SubmitOutcome } from '../outcome.ts';
import type { ReceivedResult } from '../delivery/types.ts';
import type { Entry } from '../journal/entry.ts';
import type { Millis } from './times.ts';
import { type URLDoubt, doubtAfter } from './callback-mode.ts';
import { isUnresolved } from './transitions.ts';

/** An intent of this process. It allows one call: `notSent` -> `underWay` -> `ended`. */
export interface OwnIntent {
  by: string;
  attempt: number;
  /** It is an entry of the journal, and not in status. */
  entry?: Entry;
  /** When the intent write was sent: the fence counts from here, not from its reply. */
  sentMono: number;
  /** The same on the wall clock, which goes on while a machine is suspended. */
  sentNow?: Millis;
  pingbackURL?: string | undefined;
  /** Whether our write of it was answered 200, or was found by a quorum read. */
  written: boolean;
  call: 'notSent' | 'underWay' | 'ended';
  endedMono?: number;
}

/** The one submission that an answer of `res.php` is about: what it says holds for no other attempt of the task. */
export interface Polled {
  attempt: number;
  captchaID: string;
}

/** How polling of one submission goes. */
export interface PollMemory {
  /** Absent before its first poll. */
  of?: Polled;
  /** The `pollAfterTime` that `nextMono` continues; another value in status (a hint) makes the task due anew. */
  after?: string;
  nextMono?: number;
  /** `nextMono` is a place in the pace of the key. */
  booked: boolean;
  underWay: boolean;
  failures: number;
  /** The provider has said "not ready" to a poll of this submission. */
  pending: boolean;
  /** When the last poll was sent that it said so to. */
  unsolvedMono?: number;
  /** Answers about this submission that had not the shape of its type. */
  unreadable?: number;
  /** Polls made because the deadline passed. */
  finalTries: number;
  finalDone: boolean;
}

/** What a submission needs beside the API key. */
export type Sources =
  | {
      state: 'ready';
      proxyAddress?: string | undefined;
      image?: Uint8Array | undefined;
      /** In full, where the cached one is abridged. */
      captcha?: Captcha | undefined;
    }
  /**
   * A person must provide it; read again later. `unreadSinceMono`: it may well be there, but since then the API server
   * has not been able to read it.
   */
  | { state: 'missing'; message: string; readMono: number; unreadSinceMono?: number };

/**
 * What is to be recorded about an intent of ours. `notSent`: its call will never be made, and this process knows.
 * `keyOutdated`: the provider rejected a key that the task does not have any more, as far as could be read.
 */
export type SubmitReply = SubmitOutcome | { kind: 'notSent' } | { kind: 'keyOutdated' };

export interface TaskMemory {
  readonly uid: string;
  readonly sighted?: { by: string; atMono: number };
  /** When this process first saw the unconfirmed mark (`markKey`) that status shows. */
  readonly markSighted?: { mark: string; atMono: number };
  readonly intent?: OwnIntent;
  readonly reply?: { by: string; attempt: number; outcome: SubmitReply };
  readonly sources?: Sources;
  readonly unlistedTries: number;
  /** Refusals so far that may be about the callback URL. */
  readonly urlDoubt?: URLDoubt;
  readonly notBeforeMono?: number;
  /** What the task says while it waits for that, where its last try left nothing in status. */
  readonly restSays?: { reason: UnknownReason; message?: string };
  readonly poll: PollMemory;
  /** A final answer of `res.php` that is not a result and has yet to be written. */
  readonly refusal?: { of: Polled; answer: Refusal };
  readonly held?: ReceivedResult;
  /** What a quorum read found while status showed this mark (`markKey`). */
  readonly letter?: { mark: string; state: 'absent' | 'present'; readMono: number };
  readonly solutionSecretRead: boolean;
  /** What its first submission is paid with. */
  readonly payer?: Payer;
  /** The intent of another installation, once it was told of. */
  readonly foreign?: string;
  /** Since when it has waited to be submitted, as far as this process saw. */
  readonly waitingSinceMono?: number;
}

/** Absent `ref`: the operator's own key. */
export interface Payer {
  ref?: CaptchaTask['spec']['apiKeySecretRef'];
}

export const NO_POLLS: PollMemory = {
  booked: false,
  underWay: false,
  failures: 0,
  pending: false,
  finalTries: 0,
  finalDone: false,
};

export function freshMemory(uid: string): TaskMemory {
  return { uid, unlistedTries: 0, poll: NO_POLLS, solutionSecretRead: false };
}

/**
 * Sees the task as it stands now: since when it waits to be submitted, and the first sight of an unresolved intent
 * that this process did not write, and of an unconfirmed mark. What polls said of a submission that has ended or was
 * replaced is forgotten.
 */
export function sighted(memory: TaskMemory, task: CaptchaTask, mono: number): TaskMemory {
  const waits = memory.waitingSinceMono === undefined && isWaiting(task);
  const waiting = waits ? { ...memory, waitingSinceMono: mono } : memory;
  const seen = withMark(withoutOthersPolls(waiting, task), task, mono);
  const by = unresolvedIntent(task);
  if (by === undefined) return withoutSight(seen);
  if (memory.sighted?.by === by) return seen;
  // Our own intent in a copy proves that it was written, even if the reply of that write was lost.
  if (memory.intent?.by === by) return memory.intent.written ? seen : intentWritten(seen);
  return { ...seen, sighted: { by, atMono: mono } };
}

function withoutOthersPolls(memory: TaskMemory, { status }: CaptchaTask): TaskMemory {
  const open = status?.submission?.endTime === undefined ? status?.submission : undefined;
  const { poll, refusal } = memory;
  const kept = poll.of === undefined || isOf(poll.of, open) ? memory : { ...memory, poll: NO_POLLS };
  return refusal === undefined || isOf(refusal.of, open) ? kept : refusalSettled(kept);
}

function withMark(memory: TaskMemory, { status }: CaptchaTask, mono: number): TaskMemory {
  const open = status?.deadLetter?.confirmed === true ? undefined : status?.deadLetter;
  const mark = open && markKey(open);
  if (memory.markSighted?.mark === mark) return memory;
  const { markSighted: _before, ...kept } = memory;
  return mark === undefined ? kept : { ...kept, markSighted: { mark, atMono: mono } };
}

/** Whether this is the very submission that was polled. */
export function isOf(polled: Polled | undefined, submission: Partial<Polled> | undefined): boolean {
  if (polled === undefined || submission === undefined) return false;
  return polled.captchaID === submission.captchaID && polled.attempt === submission.attempt;
}

function withoutSight(memory: TaskMemory): TaskMemory {
  if (memory.sighted === undefined) return memory;
  const { sighted: _seen, ...kept } = memory;
  return kept;
}

function unresolvedIntent(task: CaptchaTask): string | undefined {
  return isUnresolved(task) ? task.status?.submission?.intentBy : undefined;
}

function isWaiting(task: CaptchaTask): boolean {
  return task.status?.phase === undefined || task.status.phase === 'Pending';
}

/** Nothing in it is worth keeping: the shell then keeps no entry. */
export function isBlank(memory: TaskMemory): boolean {
  const { uid: _uid, poll, unlistedTries, solutionSecretRead, ...rest } = memory;
  return poll === NO_POLLS && unlistedTries === 0 && !solutionSecretRead && Object.keys(rest).length === 0;
}

/** What a submission needs was read, or could not be: that lasts since the first time in a row. */
export function sourcesRead(memory: TaskMemory, read: Sources): TaskMemory {
  const { sources: before } = memory;
  if (read.state !== 'missing' || read.unreadSinceMono === undefined) return { ...memory, sources: read };
  const sinceMono = before?.state === 'missing' ? before.unreadSinceMono : undefined;
  return { ...memory, sources: { ...read, unreadSinceMono: sinceMono ?? read.unreadSinceMono } };
}

/** The intent write is about to be sent. What belonged to the try before it is forgotten. */
export function intentSent(memory: TaskMemory, intent: Omit<OwnIntent, 'written' | 'call'>): TaskMemory {
  const { reply: _reply, waitingSinceMono: _since, restSays: _says, ...kept } = memory;
  return { ...kept, intent: { ...intent, written: false, call: 'notSent' }, solutionSecretRead: false };
}

export function intentWritten(memory: TaskMemory): TaskMemory {
  return memory.intent === undefined ? memory : { ...memory, intent: { ...memory.intent, written: true } };
}

/** The journal is written with this entry now: its fence counts from here, and not from when it began to wait. */
export function entrySent(memory: TaskMemory, by: string, sentMono: number, sentNow?: Millis): TaskMemory {
  if (memory.intent?.by !== by) return memory;
  return { ...memory, intent: { ...memory.intent, sentMono, ...(sentNow === undefined ? {} : { sentNow }) } };
}

/** The journal shows this entry, written by us, or does not and never will. */
export function entrySettled(memory: TaskMemory, by: string, isRight: boolean): TaskMemory {
  if (memory.intent?.by !== by || memory.intent.written) return memory;
  return isRight ? intentWritten(memory) : intentDropped(memory);
}

/** The drop of this entry is sent: nothing of the try is left to be written anywhere, by us. */
export function entryDropped(memory: TaskMemory, by: string, rest?: Rest): TaskMemory {
  return memory.intent?.by === by ? replySettled(memory, rest) : memory;
}

/** A task that waits by itself after its last try, and what it says then. */
export interface Rest {
  untilMono?: number | undefined;
  says?: TaskMemory['restSays'];
}

/** A quorum read proved that the intent was not written. */
export function intentDropped(memory: TaskMemory): TaskMemory {
  const { intent: _intent, ...kept } = memory;
  return kept;
}

export function callSent(memory: TaskMemory): TaskMemory {
  const { sources: _sources, ...kept } = memory;
  return memory.intent === undefined ? memory : { ...kept, intent: { ...memory.intent, call: 'underWay' } };
}

/** The call of a first submission begins: until status shows that, its task may be given another API key. */
export function payerNoted(memory: TaskMemory, { apiKeySecretRef: ref }: CaptchaTask['spec']): TaskMemory {
  if (memory.intent?.entry === undefined) return memory;
  return { ...memory, payer: ref === undefined ? {} : { ref } };
}

/** Once status shows the attempt, the task's key is fixed; where it is the one that paid, there is nothing to remember. */
export function payerSeen(memory: TaskMemory, { spec, status }: CaptchaTask): TaskMemory {
  const { payer, ...kept } = memory;
  if (payer === undefined || memory.intent !== undefined) return memory;
  const attempts = status?.attempts ?? 0;
  return attempts > 1 || (attempts === 1 && isPaidBy(spec, payer)) ? kept : memory;
}

function isPaidBy({ apiKeySecretRef: now }: CaptchaTask['spec'], { ref: then }: Payer): boolean {
  return now?.name === then?.name && now?.key === then?.key;
}

/** As if the task still named the key that its open first submission was paid with: the id belongs to that account. */
export function asPaid(task: CaptchaTask, payer: Payer | undefined): CaptchaTask {
  const { attempt, captchaID, endTime } = task.status?.submission ?? {};
  if (payer === undefined || attempt !== 1 || captchaID === undefined || endTime !== undefined) return task;
  if (isPaidBy(task.spec, payer)) return task;
  const { apiKeySecretRef: _now, ...spec } = task.spec;
  return { ...task, spec: payer.ref === undefined ? spec : { ...spec, apiKeySecretRef: payer.ref } };
}

/** Its turn is over: what was read for it may be large. What is missing stays known, and when that was seen. */
export function turnGivenUp(memory: TaskMemory): TaskMemory {
  const { sources, ...kept } = memory;
  return sources?.state === 'ready' ? kept : memory;
}

/** A call came back; its outcome waits to be recorded, unless another intent has replaced the one it was made for. */
export function callEnded(memory: TaskMemory, call: { by: string; outcome: SubmitReply }, mono: number): TaskMemory {
  return memory.intent?.by === call.by ? replied(memory, memory.intent, call.outcome, mono) : memory;
}

/** The right to the call was given up, and the turn with it: it will never be made. */
export function callForgone(memory: TaskMemory, mono: number): TaskMemory {
  if (memory.intent === undefined) return memory;
  return replied(turnGivenUp(memory), memory.intent, { kind: 'notSent' }, mono);
}

function replied(memory: TaskMemory, intent: OwnIntent, outcome: SubmitReply, mono: number): TaskMemory {
  const ended: TaskMemory = { ...memory, intent: { ...intent, call: 'ended', endedMono: mono } };
  if (outcome.kind === 'unknown') return ended;
  const carried = intent.pingbackURL !== undefined;
  const { urlDoubt: before, ...kept } = ended;
  const urlDoubt = doubtAfter(before, carried, outcome);
  return {
    ...kept,
    ...(urlDoubt === undefined ? {} : { urlDoubt }),
    reply: { by: intent.by, attempt: intent.attempt, outcome },
    unlistedTries: memory.unlistedTries + (isTriedByItself(outcome, carried) ? 1 : 0),
  };
}

/** Refusals after which this task alone backs off, further with each. */
function isTriedByItself(outcome: SubmitReply, carried: boolean): boolean {
  if (outcome.kind !== 'refused') return false;
  return outcome.class === 'unlisted' || (outcome.class === 'callbackRefused' && !carried);
}

/** The reply is in status, or provably needs no write. */
export function replySettled(memory: TaskMemory, { untilMono, says }: Rest = {}): TaskMemory {
  const { reply: _reply, intent: _intent, notBeforeMono: _before, restSays: _said, ...kept } = memory;
  const rested = untilMono === undefined ? kept : { ...kept, notBeforeMono: untilMono };
  return says === undefined ? rested : { ...rested, restSays: says };
}

export function refusalSettled(memory: TaskMemory): TaskMemory {
  const { refusal: _refusal, ...kept } = memory;
  return kept;
}

/** The task's own solution Secret was looked for; that is enough for this attempt. */
export function solutionSecretSeen(memory: TaskMemory): TaskMemory {
  return { ...memory, solutionSecretRead: true };
}

/** Whichever attempt it is of: a result of an earlier one solves the task too. */
export function resultHeld(memory: TaskMemory, held: ReceivedResult): TaskMemory {
  const { poll } = memory;
  return { ...memory, held, poll: isOf(poll.of, held) ? { ...poll, underWay: false } : poll };
}

export function resultDelivered(memory: TaskMemory): TaskMemory {
  const { held: _held, ...kept } = memory;
  return kept;
}

/** Names one mark in one state: a letter that was absent before the mark was confirmed proves nothing afterwards. */
export function markKey(mark: DeadLetterMark): string {
  return `${mark.name} ${mark.time} ${mark.confirmed === true ? 'confirmed' : 'open'}`;
}

export function letterRead(
  memory: TaskMemory,
  mark: DeadLetterMark,
  state: 'absent' | 'present',
  mono: number,
): TaskMemory {
  return { ...memory, letter: { mark: markKey(mark), state, readMono: mono } };
}
