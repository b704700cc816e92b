/**
 * What one authentic callback does to its task, as a protocol over the Kubernetes API.
 *
 * In order: "not ready" and empty codes change nothing. Everything else reads the task (a cached read is enough: no
 * write below depends on it being fresh). A result is delivered as every result is (`core/delivery`). An error word
 * ends the attempt it belongs to. The task is made due for a poll by a result that `code` cannot carry whole, by an
 * answer that has not the shape of the task's type, by a word that only asking again can explain, and by an id that is
 * not this attempt's. "Late" is proved by a quorum read, or by a finished copy with this uid, however old.
 *
 * It decides nothing about new attempts, deadlines or failure: the operator does, from what is written here.
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { LetterError } from '../../api/deadletter.ts';
import type { LetterStage } from '../../api/names.ts';
import type { Callback } from './parse.ts';
import { deliverResult } from '../delivery/deliver.ts';
import { readTask, writeTaskStatus } from '../delivery/task-status.ts';
import type { Step, TaskCopy } from '../delivery/task-status.ts';
import type { Delivery, DeliveryOptions, ReceivedResult } from '../delivery/types.ts';
import type { Refusal } from '../outcome.ts';
import type { Protocol } from '../protocol.ts';
import { classifyCode } from '../provider-codes.ts';
import { isHint, plusIsSpace, solutionOf } from '../solution.ts';
import { parseTime } from '../task/times.ts';
import { adopted, attemptEnded, isFinished, isUntold, pollDue } from '../task/transitions.ts';
import type { TokenClaims } from '../token.ts';

/** Epoch milliseconds. `receivedTime` is earlier than `now` when the callback waited in the spool. */
export interface ReceiveOptions {
  now: number;
  receivedTime: number;
  /** As for a delivery; `put` suits what waited in the spool, because nobody writes its task just now. */
  write?: 'patch' | 'put';
  /**
   * What becomes of a result that cannot be applied. `letter`: a dead letter. Only for a callback that is in the spool
   * or that the spool refused: a process that dies between the mark and the letter would else leave a task that waits
   * for a result that nobody has. `report`: nothing yet, the verdict is `retry`.
   */
  onFailure: DeliveryOptions['onFailure'];
}

/** How a callback ended. Only `retry` leaves it with the caller. */
export type CallbackVerdict =
  /** The first of its kind; `effect` says what it did to the task: from the copy it was judged by to the one written. */
  | { kind: 'accepted'; effect: 'solved' | 'ended' | 'due'; before: CaptchaTask; after: CaptchaTask }
  | { kind: 'duplicate' }
  /**
   * Contradicts what is known (another code, another id); the task is due for a poll if it is unfinished. `before` and
   * `after`: what it changed all the same (made the task due, or solved it by a solution Secret that was there).
   */
  | { kind: 'conflict'; before?: CaptchaTask; after?: CaptchaTask }
  | { kind: 'late'; why: 'finished' | 'gone' | 'recreated' | 'earlierAttempt' | 'ended' }
  | { kind: 'ignored'; why: 'notReady' | 'unknownAttempt' }
  | { kind: 'deadLettered'; letter: string; stage: LetterStage }
  /** Nothing durable happened: keep the callback and try again. */
  | { kind: 'retry'; error: LetterError };

/** A hint repeated within this time asks for the poll that is already due. */
const DUE_WINDOW_MS = 10_000;

type Unchanging = Exclude<CallbackVerdict, { kind: 'accepted' | 'retry' }>;
type Changing = Unchanging | { kind: 'accepted'; effect: 'ended' | 'due' };
/** What a look at the task says: the verdict, and the status to write before it is true. */
type Finding = { verdict: Unchanging; write?: undefined } | { verdict: Changing; write: CaptchaTaskStatus };
interface Received {
  claims: TokenClaims;
  callback: Callback;
  now: number;
}

/** Whether the provider says no more than that there is no result yet: such a callback changes no task, whichever. */
export function isNotReady(callback: Callback): boolean {
  return classifyCode(callback.code, 'callback')?.kind === 'pending';
}

export function* receiveCallback(
  claims: TokenClaims,
  callback: Callback,
  options: ReceiveOptions,
): Protocol<CallbackVerdict> {
  const word = classifyCode(callback.code, 'callback');
  if (word?.kind === 'pending') return { kind: 'ignored', why: 'notReady' };
  const found = yield* findTask(claims);
  if ('verdict' in found) return found.verdict;
  const { task } = found;
  const received: Received = { claims, callback, now: options.now };
  if (word !== undefined) return yield* judgeAndWrite(claims, task, (copy) => judgeWord(copy, received, word));
  if (isHint(task.spec.captcha)) return yield* judgeAndWrite(claims, task, (copy) => judgeHint(copy, received));
  return yield* receiveResult(task, received, options);
}

/**
 * Makes the attempt this token names due for a poll: for authentic callbacks that had to be refused, and for spool
 * records that only their token survived. `accepted` when it wrote, `ignored` when there was nothing to do.
 */
export function* makePollDue(claims: TokenClaims, now: number): Protocol<CallbackVerdict> {
  return yield* judgeAndWrite(claims, undefined, (task) => {
    const submission = task.status?.submission;
    if (submission?.endTime !== undefined) return { verdict: { kind: 'late', why: 'ended' } };
    if (submission?.captchaID === undefined) return { verdict: { kind: 'ignored', why: 'notReady' } };
    if (isDue(task, now)) return { verdict: { kind: 'duplicate' } };
    return { verdict: { kind: 'accepted', effect: 'due' }, write: pollDue(task, now) };
  });
}

function* receiveResult(task: CaptchaTask, received: Received, options: ReceiveOptions): Protocol<CallbackVerdict> {
  const { receivedTime, write = 'patch', onFailure } = options;
  const { claims, callback, now } = received;
  const { captcha } = task.spec;
  const code = plusIsSpace(captcha.type) ? (callback.spacedCode ?? callback.code) : callback.code;
  const answer = solutionOf(captcha, code);
  if (answer === undefined) return { kind: 'ignored', why: 'notReady' };
  if (answer.kind === 'unreadable') return yield* judgeAndWrite(claims, task, (copy) => judgeHint(copy, received));
  const result: ReceivedResult = {
    task: { namespace: claims.namespace, name: claims.name, uid: claims.uid },
    attempt: claims.attempt,
    captchaID: callback.id,
    value: answer.value,
    ...(answer.userAgent === undefined ? {} : { userAgent: answer.userAgent }),
    source: 'Callback',
    receivedTime,
  };
  return verdictOf(yield* deliverResult(result, { now, known: task, write, onFailure }));
}

function verdictOf(delivery: Delivery): CallbackVerdict {
  switch (delivery.kind) {
    case 'applied':
      return { kind: 'accepted', effect: 'solved', before: delivery.before, after: delivery.task };
    case 'duplicate':
      return { kind: 'duplicate' };
    case 'conflict':
      return { kind: 'conflict', ...writtenBy(delivery) };
    case 'late':
      return { kind: 'late', why: delivery.why };
    case 'deadLettered':
      return { kind: 'deadLettered', letter: delivery.letter, stage: delivery.stage };
    case 'failed':
    case 'retry':
      break;
  }
  return { kind: 'retry', error: delivery.error };
}

function writtenBy({ before, task }: { before?: CaptchaTask; task?: CaptchaTask }): {
  before?: CaptchaTask;
  after?: CaptchaTask;
} {
  return before === undefined || task === undefined ? {} : { before, after: task };
}

/** An error word: ends the attempt where the table says so; where only asking again can tell, it is a hint. */
function judgeWord(task: CaptchaTask, { claims, callback, now }: Received, word: Refusal): Finding {
  const ended = endedAlready(task, word);
  if (ended !== undefined) return ended;
  if (!endsAttempt(word) || contradicts(task, callback)) return judgeHint(task, { claims, callback, now });
  const known = task.status?.submission?.captchaID !== undefined;
  // A dead letter holds a result of this task, or is about to: the two contradict each other, and the letter decides.
  // If it comes to nothing, a poll under the id that came with the word finds the word again.
  if (task.status?.deadLetter !== undefined) {
    return known ? { verdict: { kind: 'conflict' } } : judgeHint(task, { claims, callback, now });
  }
  // The word also proves the id, which is lost when the submit call was never answered.
  const identified = { ...task, status: adopted(task, callback.id, now) };
  return {
    verdict: { kind: 'accepted', effect: 'ended' },
    write: attemptEnded(known ? task : identified, word.code, now),
  };
}

function endedAlready(task: CaptchaTask, word: Refusal): Finding | undefined {
  const submission = task.status?.submission;
  if (submission?.endTime === undefined) return undefined;
  return { verdict: submission.code === word.code ? { kind: 'duplicate' } : { kind: 'late', why: 'ended' } };
}

function endsAttempt(word: Refusal): boolean {
  return word.class === 'retriable' || word.class === 'permanent' || word.class === 'proxy';
}

/** A hint about the current attempt: supplies the id where it is not known yet, and makes the task due. */
function judgeHint(task: CaptchaTask, { callback, now }: Received): Finding {
  const submission = task.status?.submission;
  if (submission?.endTime !== undefined) return { verdict: { kind: 'late', why: 'ended' } };
  if (submission?.captchaID === undefined) {
    return { verdict: { kind: 'accepted', effect: 'due' }, write: adopted(task, callback.id, now) };
  }
  const isConflict = contradicts(task, callback);
  if (isDue(task, now)) return { verdict: { kind: isConflict ? 'conflict' : 'duplicate' } };
  const verdict: Changing = isConflict ? { kind: 'conflict' } : { kind: 'accepted', effect: 'due' };
  return { verdict, write: pollDue(task, now) };
}

/** Whether the callback names another id than the one this attempt was accepted under. */
function contradicts(task: CaptchaTask, callback: Callback): boolean {
  const captchaID = task.status?.submission?.captchaID;
  return captchaID !== undefined && captchaID !== callback.id;
}

/** Whether the poll that a hint would ask for was asked for just now. */
function isDue(task: CaptchaTask, now: number): boolean {
  const at = parseTime(task.status?.submission?.pollAfterTime);
  return at !== undefined && at <= now && at > now - DUE_WINDOW_MS;
}

/**
 * Judges the task and writes what the finding asks for, against the resourceVersion it was judged by; when that was
 * overtaken, judges again by a quorum read. `judge` sees unfinished tasks of this uid at this very attempt only.
 */
function* judgeAndWrite(
  claims: TokenClaims,
  known: CaptchaTask | undefined,
  judge: (task: CaptchaTask) => Finding,
): Protocol<CallbackVerdict> {
  /** What is true once the write that was asked for last is made. */
  const once: { verdict?: Changing } = {};
  const decide = (copy: TaskCopy): Step<Unchanging> => {
    const finding = findingFrom(copy, claims, judge);
    if (finding === 'unproven') return { kind: 'reread' };
    if (finding.write === undefined) return { kind: 'stop', verdict: finding.verdict };
    once.verdict = finding.verdict;
    return { kind: 'write', status: finding.write };
  };
  const written = yield* writeTaskStatus(claims, { task: known, quorum: false }, decide, 'put');
  if (written.kind === 'refused' || written.kind === 'unavailable') return { kind: 'retry', error: written.error };
  if (written.kind === 'stopped') return written.verdict;
  const { before, task: after } = written;
  const verdict = once.verdict!;
  return verdict.kind === 'accepted' ? { ...verdict, before, after } : verdict;
}

/**
 * Hints and error words concern the current attempt only; whose task it is comes first. The first submission may be
 * known to its operator alone: then they adopt it.
 */
function findingFrom(
  { task, quorum }: TaskCopy,
  claims: TokenClaims,
  judge: (task: CaptchaTask) => Finding,
): Finding | 'unproven' {
  if (task?.metadata.uid !== claims.uid) return quorum ? absence(task) : 'unproven';
  if (isFinished(task)) return { verdict: { kind: 'late', why: 'finished' } };
  const attempts = isUntold(task, claims.attempt) ? claims.attempt : attemptsOf(task);
  if (attempts > claims.attempt) return { verdict: { kind: 'late', why: 'earlierAttempt' } };
  if (attempts === claims.attempt) return judge(task);
  // Our own token for an attempt that status never had: status was restored from a backup. Nothing to hold it against.
  return quorum ? { verdict: { kind: 'ignored', why: 'unknownAttempt' } } : 'unproven';
}

function attemptsOf({ status }: CaptchaTask): number {
  return status?.attempts ?? 0;
}

/** What a quorum read proves when it shows another object of that name, or none. */
function absence(other: CaptchaTask | undefined): { verdict: Extract<CallbackVerdict, { kind: 'late' }> } {
  return { verdict: { kind: 'late', why: other === undefined ? 'gone' : 'recreated' } };
}

/** The task this token names, whose type says how to read the code; or the proof that there is none. */
function* findTask(claims: TokenClaims): Protocol<{ task: CaptchaTask } | { verdict: CallbackVerdict }> {
  let reading = yield* readTask(claims, 'cached');
  // A copy of another object of that name, or none, proves nothing yet.
  const isOurs = reading.kind === 'read' && reading.copy.task?.metadata.uid === claims.uid;
  if (reading.kind === 'read' && !isOurs) reading = yield* readTask(claims, 'quorum');
  if (reading.kind === 'unavailable') return { verdict: { kind: 'retry', error: reading.error } };
  const { task } = reading.copy;
  return task?.metadata.uid === claims.uid ? { task } : absence(task);
}
