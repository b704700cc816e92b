/**
 * `fold`: the only functions that make a new CaptchaTask status. Each takes the task as it is and returns the status
 * as it shall be, with phase and conditions derived; none knows how or by whom it is written.
 */
import type { CaptchaTask, CaptchaTaskStatus, Solution } from '../../api/captchatask.ts';
import type { FailedReason, FailureClass, UnknownReason } from '../../api/names.ts';

/** Times are epoch milliseconds; written as RFC 3339 in whole seconds. */
export type Millis = number;

export declare function isFinished(task: CaptchaTask): boolean;
/** Waiting with a reason (sets startTime when absent unless suspended). */
export declare function waiting(task: CaptchaTask, reason: UnknownReason, now: Millis): CaptchaTaskStatus;
export declare function intended(
  task: CaptchaTask,
  intent: { by: string; pingback: boolean; sameAttempt: boolean },
  now: Millis,
): CaptchaTaskStatus;
export declare function submitted(task: CaptchaTask, captchaID: string, pollAfter: Millis, now: Millis): CaptchaTaskStatus;
export declare function notAccepted(task: CaptchaTask, reason: UnknownReason, now: Millis): CaptchaTaskStatus;
/** Makes the current attempt due for a poll now (hints, conflicts, refused callbacks). */
export declare function pollDue(task: CaptchaTask, now: Millis): CaptchaTaskStatus;
/** The current attempt ended without a result: `submission.endTime` and `code`, written once. */
export declare function attemptEnded(task: CaptchaTask, code: string, now: Millis): CaptchaTaskStatus;
export declare function solved(task: CaptchaTask, solution: Solution, now: Millis): CaptchaTaskStatus;
export declare function failed(
  task: CaptchaTask,
  failure: { class: FailureClass; reason: FailedReason; code?: string; message: string },
  now: Millis,
): CaptchaTaskStatus;
export declare function marked(task: CaptchaTask, letter: string, now: Millis): CaptchaTaskStatus;
export declare function markConfirmed(task: CaptchaTask, now: Millis): CaptchaTaskStatus;
export declare function markDropped(task: CaptchaTask, now: Millis): CaptchaTaskStatus;
