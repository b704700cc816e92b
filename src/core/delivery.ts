/**
 * Brings one received result to its task: solution Secret where asked for, then status, or a DeadLetter when it
 * cannot be applied. The one road for callbacks, polls and letter retries. (Signatures first; see section 4 and 6.)
 */
import type { CaptchaTask } from '../api/captchatask.ts';
import type { ObjectRef } from '../api/conditions.ts';
import type { LetterError, } from '../api/deadletter.ts';
import type { LetterStage, ResultSource } from '../api/names.ts';
import type { Protocol } from './protocol.ts';

/** A result as it was received. Times are epoch milliseconds. */
export interface ReceivedResult {
  task: ObjectRef;
  attempt: number;
  captchaID: string;
  value: string;
  userAgent?: string;
  source: ResultSource;
  receivedTime: number;
}

export interface DeliveryOptions {
  /** Now, epoch milliseconds. */
  now: number;
  /** The newest copy the caller holds; saves the read. */
  known?: CaptchaTask;
  /** `letter`: permanent trouble becomes a DeadLetter. `report`: it is returned (used by the letter's own retries). */
  onFailure: 'letter' | 'report';
}

/** How a delivery ended. Only `retry` leaves the result with the caller. */
export type Delivery =
  | { kind: 'applied'; task: CaptchaTask }
  /** The same result is there already. */
  | { kind: 'duplicate'; task: CaptchaTask }
  /** A different result is there already, or the id is not this attempt's. Nothing changed. */
  | { kind: 'conflict'; task?: CaptchaTask }
  /** Finished otherwise, gone, or another uid: proved by a quorum read (or a stale finished copy of the same uid). */
  | { kind: 'late'; why: 'finished' | 'gone' | 'recreated'; task?: CaptchaTask }
  | { kind: 'deadLettered'; letter: string; stage: LetterStage; created: boolean; error: LetterError; task?: CaptchaTask }
  /** Permanent trouble, with `onFailure: 'report'`. */
  | { kind: 'failed'; stage: LetterStage; error: LetterError }
  /** Transient trouble: nothing durable happened here; keep the result and try again. */
  | { kind: 'retry'; error: LetterError };

export declare function deliverResult(result: ReceivedResult, options: DeliveryOptions): Protocol<Delivery>;
