/**
 * Everything the task controller does at the Kubernetes API for one task: a protocol for each effect, so that the
 * property tests run these very steps, killed at every `yield`. A step knows how, never whether: `decide` ordered it,
 * and what came of it goes to the desk (memory, cache, what people are told), where the next decision finds it.
 *
 * The fence of paid submissions is here. The memory of an intent comes before its write, and allows a call only after
 * the write was answered 200 or a read shows it. An intent in doubt that a quorum read does not show was not written.
 * So each intent is known to this process as written, or not at all, and its one call can neither be lost nor doubled.
 */
import type { CaptchaTask, CaptchaTaskStatus, DeadLetterMark } from '../../api/captchatask.ts';
import type { DeadLetter, LetterError } from '../../api/deadletter.ts';
import type { Delivery, ReceivedResult } from '../delivery/types.ts';
import type { ApiReply, Protocol } from '../protocol.ts';
import type { StatusWrite } from '../status-write.ts';
import type { Doubt } from './doubts.ts';
import type { TaskEffect } from './effects.ts';
import type { Moment } from './facts.ts';
import type { OwnIntent, TaskMemory } from './memory.ts';
import { CAPTCHA_TASK, DEAD_LETTER } from '../../api/names.ts';
import { phaseOf } from '../deadletter/facts.ts';
import { deliverResult } from '../delivery/deliver.ts';
import { findInSecret } from '../delivery/solution-secret.ts';
import { putStatus } from '../status-write.ts';
import { holdsOwn } from './doubts.ts';
import * as memories from './memory.ts';
import { pollWanted } from './polling.ts';
import { readSources } from './sources.ts';

/** What a process keeps of one task: synchronous, and without any rule. */
export interface Desk {
  moment(): Moment;
  memory(): TaskMemory | undefined;
  /** Does nothing where the task has left, or another of its name has come. */
  remember(change: (memory: TaskMemory) => TaskMemory): void;
  /** The copy in the cache now. */
  cached(): CaptchaTask | undefined;
  /** What the API server holds; the cache keeps the newer of the two. */
  take(copy: CaptchaTask | 'gone'): void;
  /** A write of ours made `after` of `before`: as `take`, and it is counted and told. */
  wrote(before: CaptchaTask, after: CaptchaTask): void;
  /** A write that may have been made. A later copy tells, and then it is counted and told. */
  doubt(doubt: Doubt): void;
  /** The write of this intent is about to be sent: its name is used up. */
  begins(intent: Pick<OwnIntent, 'pingbackURL'>): void;
  /** For log and metrics; nothing comes of it. */
  note(note: StepNote): void;
}

export type StepNote =
  | { kind: 'statusWrite'; result: StatusWrite<CaptchaTask> }
  | { kind: 'resultKept'; error: LetterError }
  | { kind: 'otherId' };

/** `changed`: decide again at once. `failed`: something transient; again later, with backoff. */
export type StepEnd = 'changed' | 'failed';

type Step<Kind extends TaskEffect['kind']> = (
  task: CaptchaTask,
  desk: Desk,
  effect: Extract<TaskEffect, { kind: Kind }>,
) => Protocol<StepEnd>;

const STEPS = {
  *writeStatus(task, desk, { status }) {
    return (yield* write(task, desk, status)) === 'failed' ? 'failed' : 'changed';
  },
  *recordReply(task, desk, { status, restMs }) {
    const untilMono = restMs === undefined ? undefined : desk.moment().mono + restMs;
    return yield* writeThen(task, desk, status, (memory) => memories.replySettled(memory, { untilMono }));
  },
  recordRefusal: (task, desk, { status }) => writeThen(task, desk, status, memories.refusalSettled),
  *writeIntent(task, desk, { status, by, pingbackURL }) {
    const attempt = status.submission?.attempt ?? 1;
    const { mono: sentMono, now: sentNow } = desk.moment();
    const intent = { by, attempt, sentMono, sentNow, pingbackURL };
    desk.begins(intent);
    desk.remember((memory) => memories.intentSent(memory, intent));
    const written = yield* write(task, desk, status);
    if (written === 'written') desk.remember(memories.intentWritten);
    if (written === 'stale') settleIntent(desk);
    // Where nothing could be read either it is in doubt, and that is settled before anything else is started.
    return written === 'failed' ? 'failed' : 'changed';
  },
  *settleDoubt(task, desk) {
    if (!(yield* readAgain(task, desk))) return 'failed';
    settleIntent(desk);
    return 'changed';
  },
  *deliver(task, desk) {
    const result = desk.memory()?.held;
    if (result === undefined) return 'changed';
    const { now } = desk.moment();
    const delivery = yield* deliverResult(result, { now, known: task, onFailure: 'letter' });
    if (delivery.kind === 'retry') {
      desk.note({ kind: 'resultKept', error: delivery.error });
      desk.doubt({ before: task, sent: { result } });
      return 'failed';
    }
    desk.remember(memories.resultDelivered);
    return yield* takeDelivered(task, desk, { result, delivery });
  },
  *readSolutionSecret(task, desk) {
    const found = yield* findInSecret(task);
    if (found.kind === 'unavailable') return 'failed';
    desk.remember(memories.solutionSecretSeen);
    if (found.kind === 'found') desk.remember((memory) => memories.resultHeld(memory, found.result));
    return 'changed';
  },
  *readLetter(task, desk) {
    const mark = task.status?.deadLetter;
    if (mark === undefined) return 'changed';
    const found = yield* findLetter(task, mark);
    if (found === 'unknown') return 'failed';
    desk.remember((memory) => memories.letterRead(memory, mark, found, desk.moment().mono));
    return 'changed';
  },
  *readSources(task, desk) {
    const sources = yield* readSources(task, desk.moment().mono);
    if (sources === undefined) return 'failed';
    desk.remember((memory) => memories.sourcesRead(memory, sources));
    return 'changed';
  },
} satisfies { [Kind in TaskEffect['kind']]?: Step<Kind> };

export type StepEffect = Extract<TaskEffect, { kind: keyof typeof STEPS }>;

export function isStep(effect: TaskEffect): effect is StepEffect {
  return effect.kind in STEPS;
}

export function stepOf(task: CaptchaTask, desk: Desk, effect: StepEffect): Protocol<StepEnd> {
  const step = STEPS[effect.kind] as Step<StepEffect['kind']>;
  return step(task, desk, effect);
}

/** No request: the reply in memory needs none. */
export function settleReply(
  task: CaptchaTask,
  desk: Desk,
  { conflict }: Extract<TaskEffect, { kind: 'settleReply' }>,
): void {
  const { mono } = desk.moment();
  desk.remember((memory) => memories.replySettled(memory));
  if (!conflict) return;
  desk.note({ kind: 'otherId' });
  desk.remember((memory) => pollWanted(memory, task.status?.submission, mono));
}

/** `stale`: somebody else was first, and the cache now holds what they wrote. `failed`: nothing is known to be written. */
type Write = 'written' | 'stale' | 'failed';

function* write(task: CaptchaTask, desk: Desk, status: CaptchaTaskStatus): Protocol<Write> {
  const result = yield* putStatus(CAPTCHA_TASK, task, status);
  desk.note({ kind: 'statusWrite', result });
  if (result.kind === 'written') desk.wrote(task, result.object);
  if (result.kind === 'written' || result.kind === 'unchanged') return 'written';
  if (result.kind === 'transient') {
    if (!result.maybeWritten) return 'failed';
    desk.doubt({ before: task, sent: { status } });
  }
  if (!(yield* readAgain(task, desk))) return 'failed';
  const wasFirst = result.kind === 'transient' || result.kind === 'invalid';
  return wasFirst && isStill(desk.cached(), task) ? 'failed' : 'stale';
}

function isStill(cached: CaptchaTask | undefined, { metadata: { resourceVersion } }: CaptchaTask): boolean {
  return cached?.metadata.resourceVersion === resourceVersion;
}

/** Writes, and forgets what was to be written only when it is. */
function* writeThen(
  task: CaptchaTask,
  desk: Desk,
  status: CaptchaTaskStatus,
  settle: (memory: TaskMemory) => TaskMemory,
): Protocol<StepEnd> {
  const written = yield* write(task, desk, status);
  if (written === 'written') desk.remember(settle);
  return written === 'failed' ? 'failed' : 'changed';
}

/** Brings the cache up to date by a quorum read; false where the API server could not be asked. */
export function* readAgain({ metadata: { namespace, name } }: CaptchaTask, desk: Desk): Protocol<boolean> {
  const reply = yield { verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' };
  if (reply.ok) desk.take(reply.object as CaptchaTask);
  else if (isAbsence(reply)) desk.take('gone');
  return reply.ok || isAbsence(reply);
}

function isAbsence(reply: Extract<ApiReply, { ok: false }>): boolean {
  return reply.status === 404 && !reply.transient;
}

/** After a fresh read: an intent that status does not show was not written. */
function settleIntent(desk: Desk): void {
  const shown = desk.cached()?.status?.submission?.intentBy;
  desk.remember((memory) =>
    memory.intent?.by === shown ? memories.intentWritten(memory) : memories.intentDropped(memory),
  );
}

/** Brings the cache up to date, and counts and tells what was written here and nothing else. */
function* takeDelivered(
  task: CaptchaTask,
  desk: Desk,
  { result, delivery }: { result: ReceivedResult; delivery: Delivery },
): Protocol<StepEnd> {
  const after = 'task' in delivery ? delivery.task : undefined;
  if (after === undefined) return (yield* readAgain(task, desk)) ? 'changed' : 'failed';
  const isRepeat = delivery.kind === 'duplicate' && holdsOwn(after, result);
  // The reply of the write that brought it there was lost; or the copy that this delivery wrote over.
  const before = isRepeat ? task : 'before' in delivery ? delivery.before : undefined;
  if (before === undefined) desk.take(after);
  else desk.wrote(before, after);
  return 'changed';
}

/**
 * Whether a letter holds this task, by quorum reads: the one that its mark names, or any other of the same task that
 * is pending or abandoned. `unknown`: the API server could not be asked; never to be read as absent.
 */
export function* findLetter(
  task: CaptchaTask,
  mark: Pick<DeadLetterMark, 'name'>,
): Protocol<'present' | 'absent' | 'unknown'> {
  const { namespace, name, uid } = task.metadata;
  const found = yield { verb: 'get', resource: DEAD_LETTER, namespace, name: mark.name, read: 'quorum' };
  if (found.ok && (found.object as DeadLetter).spec.taskRef.uid === uid) return 'present';
  if (!found.ok && !isAbsence(found)) return 'unknown';
  const listed = yield { verb: 'list', resource: DEAD_LETTER, namespace, fieldSelector: `spec.taskRef.name=${name}` };
  const letters = listed.ok ? allOf(listed.object as LetterList) : undefined;
  if (letters === undefined) return 'unknown';
  return letters.some((letter) => holds(letter, uid)) ? 'present' : 'absent';
}

/** Undefined for the first of several pages: what is not on it may be on another. */
function allOf({ items, metadata }: LetterList): DeadLetter[] | undefined {
  const isWhole = (metadata?.continue ?? '') === '';
  return isWhole && Array.isArray(items) ? items : undefined;
}

interface LetterList {
  items?: DeadLetter[];
  metadata?: { continue?: string };
}

function holds(letter: DeadLetter, taskUID: string): boolean {
  const phase = phaseOf(letter);
  return letter.spec.taskRef.uid === taskUID && (phase === 'Pending' || phase === 'Abandoned');
}
