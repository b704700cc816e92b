/**
 * Puts a result that could not be applied into a DeadLetter, in the one order that loses nothing: mark the task, create
 * the letter, confirm the mark; only then may the caller forget the result. Killed anywhere in between, the same call
 * made again completes it, because the letter's name is deterministic.
 *
 * The mark is `status.deadLetter`. *Unconfirmed*: someone is about to create the named letter. *Confirmed*: that letter
 * was there; from now on it holds the task, which is not failed while the letter lives. The newest letter takes the
 * mark over, so that an older letter's end cannot fail a task whose newest result was kept. Where the mark itself is
 * refused for good, the letter is still created, to be seen, but the caller keeps the result.
 *
 * A letter's own retries keep its mark up (`holdTask`) and give it back where the letter turned out not to be its
 * task's (`releaseTask`).
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { ObjectRef } from '../../api/conditions.ts';
import type { DeadLetter, DeadLetterSpec, LetterError } from '../../api/deadletter.ts';
import type { Protocol } from '../protocol.ts';
import type { Step, TaskCopy } from './task-status.ts';
import type { Delivery, Failure, ReceivedResult } from './types.ts';
import type { Judgement } from './judge.ts';
import { API_VERSION, DEAD_LETTER, GROUP, MAX_LETTER_CODE_LENGTH } from '../../api/names.ts';
import { letterName } from '../deadletter/names.ts';
import { formatTime } from '../task/times.ts';
import { adopted, isFinished, isUntold, markConfirmed, markDropped, marked } from '../task/transitions.ts';
import { lifeOf } from './freshness.ts';
import { judge } from './judge.ts';
import { readTask, writeTaskStatus } from './task-status.ts';
import { troubleOf } from './trouble.ts';

/** A letter that vanishes each time it is looked at is somebody else's doing. */
const MAX_ROUNDS = 3;

const ERROR_CLASS_LABEL = `${GROUP}/error-class`;

/**
 * How it ended. `notOpen`: the task does not wait for this result any more (finished, gone, of another id), so nothing
 * is to be kept; the caller answers by what it is instead.
 */
export type LetterKept = { kind: 'delivery'; delivery: Delivery } | { kind: 'notOpen'; judgement: Judgement };

export function* keepAsLetter(
  copy: TaskCopy & { task: CaptchaTask },
  result: ReceivedResult,
  failure: Failure,
  now: number,
): Protocol<LetterKept> {
  if (result.value.length > MAX_LETTER_CODE_LENGTH) return keep({ class: 'TooLarge', message: TOO_LARGE });
  const letter = letterFor(copy.task, result, failure);
  const { name } = letter.metadata;
  // 1. The mark, unless an earlier call wrote it.
  const mark = yield* writeWhileOpen(copy, result, (task) =>
    task.status?.deadLetter?.name === name ? undefined : markedWithId(task, result, name, now),
  );
  if (mark.kind === 'unavailable') return keep(mark.error);
  if (mark.kind === 'notOpen') return mark;
  // 2. The letter, also where the mark was refused for good.
  const written = yield* createLetter(letter);
  if (mark.kind === 'refused') return keep(mark.error);
  if (written.kind === 'unavailable') return keep(written.error);
  // 3. The mark's confirmation.
  const isNew = written.kind === 'created';
  const held = yield* writeWhileOpen({ task: mark.task, quorum: false }, result, (task) =>
    heldStatus(task, name, { isNew, letterExists: () => true, now }),
  );
  if (held.kind === 'notOpen') return held;
  if (held.kind !== 'open') return keep(held.error);
  const before = mark.before ?? held.before;
  const changed = before === undefined ? {} : { before };
  return {
    kind: 'delivery',
    delivery: { kind: 'deadLettered', letter: name, ...failure, ...changed, task: held.task },
  };
}

type WrittenWhileOpen =
  /** Written, or nothing was to be written. `before`: what was written over, if anything was. */
  | { kind: 'open'; before?: CaptchaTask; task: CaptchaTask }
  | { kind: 'notOpen'; judgement: Judgement }
  | { kind: 'refused'; error: LetterError }
  | { kind: 'unavailable'; error: LetterError };

/** Writes while the task waits for this result (`undefined`: nothing to write); otherwise says what it is instead. */
function* writeWhileOpen(
  start: TaskCopy,
  result: ReceivedResult,
  statusOf: (task: CaptchaTask) => CaptchaTaskStatus | undefined,
): Protocol<WrittenWhileOpen> {
  const written = yield* writeTaskStatus<Judgement>(result.task, start, (copy) => {
    const judgement = judge(copy, result);
    if (judgement.kind === 'unproven') return { kind: 'reread' };
    const status = judgement.kind === 'open' ? statusOf(judgement.task) : undefined;
    return status === undefined ? { kind: 'stop', verdict: judgement } : { kind: 'write', status };
  });
  if (written.kind === 'written') return { kind: 'open', before: written.before, task: written.task };
  if (written.kind !== 'stopped') return { kind: written.kind, error: written.error };
  const { verdict } = written;
  return verdict.kind === 'open' ? verdict : { kind: 'notOpen', judgement: verdict };
}

interface Hold {
  now: number;
  /** This very call created the letter. */
  isNew: boolean;
  /** Whether a letter of this name is there, as far as the caller can tell. */
  letterExists: (letter: string) => boolean;
}

/**
 * The status in which a letter that is there holds its task; undefined where nothing is to be written:
 *
 *     the task's mark              what is written
 *     none, or another's,          this letter's mark, confirmed
 *       unconfirmed
 *     another's, confirmed         nothing while that letter is there; else this letter's mark, confirmed
 *     its own, unconfirmed         the confirmation
 *     its own, confirmed           nothing; but where the letter is new, the same mark once more, with a later time
 *
 * The last case: the mark confirms an earlier letter of this name, which somebody deleted. Whoever saw that may be
 * about to fail the task; that write must miss, and it does once the task has changed. (`marked` sees to it that the
 * time differs, within one second too.)
 */
function heldStatus(task: CaptchaTask, name: string, hold: Hold): CaptchaTaskStatus | undefined {
  const { now, isNew, letterExists } = hold;
  const mark = task.status?.deadLetter;
  const isOwn = mark?.name === name;
  if (isOwn && mark.confirmed !== true) return markConfirmed(task, now);
  const isHeld = mark?.confirmed === true && (isOwn ? !isNew : letterExists(mark.name));
  return isHeld ? undefined : markConfirmed({ ...task, status: marked(task, name, now) }, now);
}

/** Sees to it that this letter's unfinished task is held. Trouble is left to the letter's next retry. */
export function* holdTask(ref: ObjectRef, letter: string, hold: Omit<Hold, 'isNew'>): Protocol<void> {
  yield* changeMark(ref, (task) => heldStatus(task, letter, { ...hold, isNew: false }), 'patch');
}

/** Takes this letter's own mark from its task, exactly as read: another letter's mark stays. True when it is gone. */
export function* releaseTask(ref: ObjectRef, letter: string, now: number): Protocol<boolean> {
  const isOwn = (task: CaptchaTask): boolean => task.status?.deadLetter?.name === letter;
  return yield* changeMark(ref, (task) => (isOwn(task) ? markDropped(task, now) : undefined), 'put');
}

function* changeMark(
  ref: ObjectRef,
  statusOf: (task: CaptchaTask) => CaptchaTaskStatus | undefined,
  how: 'patch' | 'put',
): Protocol<boolean> {
  const read = yield* readTask(ref, 'quorum');
  if (read.kind === 'unavailable') return false;
  const decide = (copy: TaskCopy): Step<undefined> => {
    const { task } = copy;
    const isOurs = task !== undefined && task.metadata.uid === ref.uid && !isFinished(task);
    const status = isOurs ? statusOf(task) : undefined;
    return status === undefined ? { kind: 'stop', verdict: undefined } : { kind: 'write', status };
  };
  const written = yield* writeTaskStatus(ref, read.copy, decide, how);
  return written.kind === 'written' || written.kind === 'stopped';
}

const TOO_LARGE = 'The result is larger than a dead letter may hold.';
const VANISHES =
  'A dead letter of this name was there when it was to be created and gone when it was read, several times in a row. ' +
  'See what deletes dead letters in this namespace.';

function keep(error: LetterError): LetterKept {
  return { kind: 'delivery', delivery: { kind: 'retry', error } };
}

/** The mark; an id that the provider told us before our submission, or its id, was recorded is kept with it. */
function markedWithId(task: CaptchaTask, result: ReceivedResult, name: string, now: number): CaptchaTaskStatus {
  const submission = task.status?.submission;
  const current = result.attempt === task.status?.attempts || isUntold(task, result.attempt);
  const adopts = current && submission?.captchaID === undefined && submission?.endTime === undefined;
  const known = adopts ? { ...task, status: adopted(task, result.captchaID, now) } : task;
  return marked(known, name, now);
}

/** `found`: the same letter is there already, and alive. */
type LetterWritten = { kind: 'created' } | { kind: 'found' } | { kind: 'unavailable'; error: LetterError };

/** Creates the letter, or finds the same one alive. One that has ended, or holds something else, keeps nothing. */
function* createLetter(letter: NewLetter): Protocol<LetterWritten> {
  const { name, namespace } = letter.metadata;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const created = yield { verb: 'create', resource: DEAD_LETTER, namespace, object: letter };
    if (created.ok) return { kind: 'created' };
    if (created.status !== 409) {
      return { kind: 'unavailable', error: troubleOf(created, 'creating the dead letter').error };
    }
    const found = yield { verb: 'get', resource: DEAD_LETTER, namespace, name, read: 'quorum' };
    if (found.ok) return holds(found.object as DeadLetter, letter.spec);
    if (found.status !== 404) {
      return { kind: 'unavailable', error: troubleOf(found, 'reading the dead letter').error };
    }
  }
  return { kind: 'unavailable', error: { class: 'Unavailable', message: VANISHES } };
}

/** `Abandoned` is alive: it stays, and a person can redrive it. */
function holds(found: DeadLetter, spec: DeadLetterSpec): LetterWritten {
  const { taskRef, payload } = found.spec;
  const same = taskRef.uid === spec.taskRef.uid && payload.code === spec.payload.code;
  const phase = found.status?.phase ?? 'Pending';
  if (same && (phase === 'Pending' || phase === 'Abandoned')) return { kind: 'found' };
  const message = 'A dead letter of this name is there already and does not hold this result.';
  return { kind: 'unavailable', error: { class: 'Conflict', message } };
}

type NewLetter = Omit<DeadLetter, 'metadata' | 'status'> & {
  metadata: { name: string; namespace: string; labels: Record<string, string> };
};

function letterFor(task: CaptchaTask, result: ReceivedResult, failure: Failure): NewLetter {
  const { name, uid, namespace } = result.task;
  const { attempt, captchaID, value: code, userAgent, receivedTime } = result;
  const { stage, error } = failure;
  const { expiresTime } = lifeOf(task, result);
  const identity = { task: { name, uid }, attempt, stage, code, userAgent };
  return {
    apiVersion: API_VERSION,
    kind: DEAD_LETTER.kind,
    metadata: {
      name: letterName(identity),
      namespace,
      labels: { 'app.kubernetes.io/managed-by': 'captcha-operator', [ERROR_CLASS_LABEL]: error.class },
    },
    spec: {
      taskRef: { name, uid },
      attempt,
      captchaID,
      stage,
      source: result.source === 'Poll' ? 'Poll' : 'Callback',
      payload: { code, ...(userAgent === undefined ? {} : { userAgent }) },
      error,
      receivedTime: formatTime(receivedTime),
      ...(expiresTime === undefined ? {} : { contentExpiresTime: expiresTime }),
    },
  };
}
