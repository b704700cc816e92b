/**
 * What a delivery takes and how it can end: the words that the files of this folder and those who deliver share. No
 * code, so that the steps of a delivery can name each other's results without importing each other.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { ObjectRef } from '../../api/conditions.ts';
import type { LetterError } from '../../api/deadletter.ts';
import type { LetterStage, ResultSource } from '../../api/names.ts';

/** A result as it was received. Times are epoch milliseconds. */
export interface ReceivedResult {
  task: ObjectRef;
  attempt: number;
  captchaID: string;
  value: string;
  userAgent?: string;
  source: ResultSource;
  receivedTime: number;
  /** When it was last known not to be solved yet, where its receiver knows of a later time than status tells. */
  unsolvedTime?: number;
}

export interface DeliveryOptions {
  /** Now, epoch milliseconds. */
  now: number;
  /** The newest copy the caller holds; saves the read. */
  known?: CaptchaTask;
  /**
   * How the solution is written. `patch` (the default) tests only what matters and does not miss because the operator
   * writes just now. `put` costs the server 7 % less, and misses when anybody wrote since the copy.
   */
  write?: 'patch' | 'put';
  /** `letter`: permanent trouble becomes a DeadLetter. `report`: it is returned (used by the letter's own retries). */
  onFailure: 'letter' | 'report';
}

/**
 * How a delivery ended. Only `retry` and `failed` leave the result with the caller. `task` is the newest copy that was
 * seen; `before` is there where this delivery wrote it, and is the copy that it changed: what was not written here is
 * not for the caller to count or tell.
 */
export type Delivery =
  | { kind: 'applied'; before: CaptchaTask; task: CaptchaTask }
  /** The same result is there already. */
  | { kind: 'duplicate'; task: CaptchaTask }
  /**
   * A different result is there already, or the id is not this attempt's; this result changed nothing. (A solution
   * Secret that was already there may have been brought into status on the way: then `task` is solved by it.)
   */
  | { kind: 'conflict'; before?: CaptchaTask; task?: CaptchaTask }
  /** Finished otherwise, gone, or another uid: proved by a quorum read (or a stale finished copy of the same uid). */
  | { kind: 'late'; why: 'finished' | 'gone' | 'recreated'; task?: CaptchaTask }
  | {
      kind: 'deadLettered';
      letter: string;
      stage: LetterStage;
      error: LetterError;
      before?: CaptchaTask;
      task: CaptchaTask;
    }
  /** Permanent trouble, with `onFailure: 'report'`. */
  | { kind: 'failed'; stage: LetterStage; error: LetterError }
  /** Nothing durable that would let the caller forget the result: keep it and try again. */
  | { kind: 'retry'; error: LetterError };

/** A step that could not be done for good, with the stage that a letter about it carries. */
export interface Failure {
  stage: LetterStage;
  error: LetterError;
}
