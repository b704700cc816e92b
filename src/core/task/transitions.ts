/**
 * What the status of a CaptchaTask is after something happened to it. Each function takes the task as it is and returns
 * the status as it shall be, with phase and conditions derived; none knows how or by whom it is written, none looks at
 * a clock, and none checks that the step is allowed: that is for whoever decides to take it.
 *
 * Phases. `Pending`: nothing is under way; no `submission` (never tried, or the last try was not accepted, then
 * `attempts` names the attempt to try again), or one with `endTime`. `Submitting`: an open `submission` without id: the
 * provider may or may not have it. `Submitted`: an open one with id. `Solved` and `Failed` are left by nothing.
 */
import type { CaptchaTask, CaptchaTaskStatus, Solution, Submission } from '../../api/captchatask.ts';
import type { FailedReason, FailureClass, TaskPhase, UnknownReason } from '../../api/names.ts';
import type { Summary } from './conditions.ts';
import type { Millis } from './times.ts';
import { deriveConditions } from './conditions.ts';
import { formatTime, parseTime } from './times.ts';

/** What a waiting task may say beyond its reason: another stable sentence, and that only a person can help. */
export interface WaitingDetail {
  message?: string;
  stalled?: boolean;
}

/** Stands for the name of the intent where a callback told of a submission first. */
export const ADOPTED = 'adopted';

export function isFinished(task: CaptchaTask): boolean {
  return task.status?.phase === 'Solved' || task.status?.phase === 'Failed';
}

/** Waiting with a reason (sets startTime when absent unless suspended; `Suspended` clears it, as in batch/v1 Job). */
export function waiting(
  task: CaptchaTask,
  reason: UnknownReason,
  now: Millis,
  detail: WaitingDetail = {},
): CaptchaTaskStatus {
  return restate(
    task,
    reason === 'Suspended' ? { startTime: undefined } : {},
    { status: 'Unknown', reason, ...detail },
    now,
  );
}

/**
 * The intent to submit. Counts a new attempt unless `sameAttempt` (the last try was not accepted); an open submission
 * without id that it replaces is counted as unknown.
 */
export function intended(
  task: CaptchaTask,
  intent: { by: string; pingback: boolean; sameAttempt: boolean },
  now: Millis,
): CaptchaTaskStatus {
  const attempt = Math.max(1, (task.status?.attempts ?? 0) + (intent.sameAttempt ? 0 : 1));
  const submission: Submission = {
    attempt,
    intentTime: formatTime(now),
    intentBy: intent.by,
    pingback: intent.pingback,
  };
  const unknown = isUnresolved(task) && !intent.sameAttempt ? { unknownSubmissions: unknownSubmissions(task) + 1 } : {};
  return restate(task, { attempts: attempt, submission, ...unknown }, unknownBecause('Submitting'), now);
}

/** The provider accepted the current attempt under this id; `at`: when it told us. */
export function submitted(task: CaptchaTask, captchaID: string, pollAfter: Millis, at: Millis): CaptchaTaskStatus {
  const submission = task.status?.submission ?? adoptedSubmission(task);
  return accepted(task, { submittedTime: formatTime(at), ...submission }, { captchaID, pollAfter }, at);
}

/**
 * The id of the current attempt came with what the provider says of its captcha, which is due for a poll now. It was
 * accepted, and perhaps solved, at some time since its intent: nothing may be counted from when we heard of it.
 */
export function adopted(task: CaptchaTask, captchaID: string, now: Millis): CaptchaTaskStatus {
  const submission = task.status?.submission ?? adoptedSubmission(task);
  const submittedTime = submission.intentTime;
  return accepted(task, { submittedTime, ...submission }, { captchaID, pollAfter: now }, now);
}

function accepted(
  task: CaptchaTask,
  before: Submission,
  { captchaID, pollAfter }: { captchaID: string; pollAfter: Millis },
  now: Millis,
): CaptchaTaskStatus {
  const submission: Submission = {
    ...before,
    captchaID,
    pollAfterTime: formatTime(pollAfter),
  };
  const summary = { ...unknownBecause(openReason(task, submission)), ...withoutURL(task, submission) };
  return restate(task, { attempts: submission.attempt, submission }, summary, now);
}

/** A task that wanted a callback and gets none says so: no `CALLBACK_URL`, or the URL would have been too long. */
function withoutURL({ spec, status }: CaptchaTask, { pingback }: Submission): { message?: string } {
  if (pingback || spec.delivery !== 'Callback' || spec.suspend || status?.deadLetter !== undefined) return {};
  return { message: 'The provider accepted the task without a callback URL; asking it for the result.' };
}

/** The last try was provably not accepted: nothing of it remains but the attempt's number. */
export function notAccepted(
  task: CaptchaTask,
  reason: UnknownReason,
  now: Millis,
  detail: WaitingDetail = {},
): CaptchaTaskStatus {
  return restate(task, { submission: undefined }, { status: 'Unknown', reason, ...detail }, now);
}

/** Makes the current attempt due for a poll now (hints, conflicts, refused callbacks). */
export function pollDue(task: CaptchaTask, now: Millis): CaptchaTaskStatus {
  const before = task.status?.submission;
  if (before === undefined) return waiting(task, 'Pending', now);
  const submission = { ...before, pollAfterTime: formatTime(now) };
  return restate(task, { submission }, unknownBecause(openReason(task, submission)), now);
}

/** The current attempt ended without a result: `submission.endTime` and `code`, written once. */
export function attemptEnded(task: CaptchaTask, code: string, now: Millis): CaptchaTaskStatus {
  const before = task.status?.submission ?? adoptedSubmission(task);
  const submission = { endTime: formatTime(now), code, ...before };
  return restate(task, { attempts: before.attempt, submission }, unknownBecause(openReason(task, submission)), now);
}

/**
 * The first solution, final. An id that came with it is adopted where the current attempt has none, and where status
 * does not show its attempt yet.
 */
export function solved(task: CaptchaTask, solution: Solution, now: Millis): CaptchaTaskStatus {
  const untold = isUntold(task, solution.attempt) ? adoptedSubmission(task) : undefined;
  const submission = task.status?.submission ?? untold;
  const adopts = submission?.attempt === solution.attempt && submission.captchaID === undefined && solution.captchaID;
  return restate(
    task,
    {
      completionTime: formatTime(now),
      solution,
      ...(adopts ? { submission: { ...submission, captchaID: adopts } } : {}),
    },
    { status: 'True', reason: 'Solved' },
    now,
  );
}

export function failed(
  task: CaptchaTask,
  failure: { class: FailureClass; reason: FailedReason; code?: string; message: string },
  now: Millis,
): CaptchaTaskStatus {
  const { reason, ...kept } = failure;
  const unknown = failure.class === 'Unknown' ? { unknownSubmissions: unknownSubmissions(task) + 1 } : {};
  return restate(
    task,
    { completionTime: formatTime(now), failure: kept, ...unknown },
    { status: 'False', reason, message: failure.message },
    now,
  );
}

/** The provider's word is that this task can never succeed. */
export function rejected(task: CaptchaTask, code: string, now: Millis): CaptchaTaskStatus {
  if (code === NOT_ENCODABLE) {
    const message = 'The task cannot be submitted as it is written.';
    return failed(task, { class: 'Permanent', reason: 'InvalidTask', message }, now);
  }
  const message = `The provider rejected the task (${code}).`;
  return failed(task, { class: 'Permanent', reason: 'ProviderRejected', code, message }, now);
}

/** The provider client's own word for a task that has no encoding; no call was made for it. */
const NOT_ENCODABLE = 'INVALID_TASK';

/**
 * A letter of this name is about to hold a result of the task: first step of section 4's order. Its time is always
 * later than that of the mark it replaces, whatever the clocks say: times are whole seconds, a write that changes
 * nothing makes no new version, and whoever judged by the mark before must see that this is another.
 */
export function marked(task: CaptchaTask, letter: string, now: Millis): CaptchaTaskStatus {
  const before = parseTime(task.status?.deadLetter?.time) ?? -Infinity;
  const time = formatTime(Math.max(now, before + 1_000));
  return restate(task, { deadLetter: { name: letter, time } }, unknownBecause('DeadLettered'), now);
}

/** The marked letter exists. */
export function markConfirmed(task: CaptchaTask, now: Millis): CaptchaTaskStatus {
  const mark = task.status?.deadLetter;
  if (mark === undefined) return waiting(task, 'DeadLettered', now);
  return restate(task, { deadLetter: { ...mark, confirmed: true } }, unknownBecause('DeadLettered'), now);
}

/** The mark never got its letter: forgotten, and the task is polled at once where its id is known. */
export function markDropped(task: CaptchaTask, now: Millis): CaptchaTaskStatus {
  const before = task.status?.submission;
  const open = before?.captchaID !== undefined && before.endTime === undefined;
  const submission = open ? { ...before, pollAfterTime: formatTime(now) } : before;
  const reason = submission === undefined ? 'Pending' : openReason(task, submission, false);
  return restate(task, { deadLetter: undefined, submission }, unknownBecause(reason), now);
}

/** An open submission whose acceptance is not known: no id, no end. */
export function isUnresolved(task: CaptchaTask): boolean {
  const submission = task.status?.submission;
  return submission !== undefined && submission.captchaID === undefined && submission.endTime === undefined;
}

/**
 * Whether this is the first submission of a task whose status shows none yet: its intent is elsewhere, and whoever hears
 * of the submission first tells status of it (*adopts* it).
 */
export function isUntold({ status }: CaptchaTask, attempt: number): boolean {
  return attempt === 1 && (status?.attempts ?? 0) === 0 && status?.submission === undefined;
}

/** The reason that fits a task whose submission stands as given and which waits for nothing else. */
export function openReason(
  task: CaptchaTask,
  submission: Submission,
  marked = task.status?.deadLetter !== undefined,
): UnknownReason {
  if (marked) return 'DeadLettered';
  if (task.spec.suspend) return 'Suspended';
  if (submission.endTime !== undefined) return 'Pending';
  return submission.captchaID === undefined ? 'Submitting' : acceptedReason(submission);
}

function acceptedReason(submission: Submission): UnknownReason {
  return submission.pingback ? 'AwaitingCallback' : 'Polling';
}

function unknownSubmissions(task: CaptchaTask): number {
  return task.status?.unknownSubmissions ?? 0;
}

function unknownBecause(reason: UnknownReason): Summary {
  return { status: 'Unknown', reason };
}

/** Made up for a submission that status does not show, or not any more, because the provider has answered about it. */
function adoptedSubmission(task: CaptchaTask): Submission {
  return {
    attempt: Math.max(1, task.status?.attempts ?? 0),
    // Nobody knows any more when its intent was written.
    intentTime: task.metadata.creationTimestamp,
    intentBy: ADOPTED,
    pingback: true,
  };
}

type StatusChange = { [Field in keyof CaptchaTaskStatus]?: CaptchaTaskStatus[Field] | undefined };

/** The status with these fields changed (`undefined` removes one), and everything derived derived again. */
function restate(task: CaptchaTask, change: StatusChange, summary: Summary, now: Millis): CaptchaTaskStatus {
  const generation = task.metadata.generation;
  const startTime = task.spec.suspend || summary.reason === 'Suspended' ? undefined : formatTime(now);
  const fields = present({
    startTime,
    attempts: 0,
    unknownSubmissions: 0,
    ...task.status,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...change,
  });
  const phase = derivePhase(fields);
  const conditions = deriveConditions({ ...fields, phase }, summary, { time: formatTime(now), generation });
  return { ...fields, phase, conditions };
}

function derivePhase(fields: CaptchaTaskStatus): TaskPhase {
  if (fields.solution !== undefined) return 'Solved';
  if (fields.failure !== undefined) return 'Failed';
  if (fields.submission === undefined || fields.submission.endTime !== undefined) return 'Pending';
  return fields.submission.captchaID === undefined ? 'Submitting' : 'Submitted';
}

function present(change: StatusChange): CaptchaTaskStatus {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as CaptchaTaskStatus;
}
