/**
 * What the sidecar tells the outside about its work: one narrow interface, so that no middleware knows a metrics
 * library or a logger. `bin/callback/main.ts` connects it to `ops/metrics` and `ops/log` through `reportTo`.
 *
 * Nothing that passes here holds a token, a code or free text from a request, except the tasks in a verdict: of those
 * only namespace, name, uid and attempt may be shown, and only in the log.
 */
import type { LetterErrorClass, LetterStage } from '../api/names.ts';
import type { CallbackVerdict } from '../core/callback/callback.ts';
import type { TokenClaims } from '../core/token.ts';
import type { LabelsOf } from '../ops/metrics.ts';

/** Label `result` of `callbacks_total`. */
export type CallbackResult = LabelsOf<'captcha_operator_callbacks_total'>['result'];

/** What went wrong with the spool; each is logged, and none loses an acknowledged callback silently. */
export type SpoolFault =
  /** The directory cannot be used: missing, read-only, locked by another process. */
  | 'unavailable'
  /** A write or fsync failed; that segment takes no more records. */
  | 'writeFailed'
  /** At a bound, its own or that of one task: the callback was refused. */
  | 'full'
  /** A record whose checksum does not match was moved to quarantine. */
  | 'damaged'
  /** A segment of a version that this build cannot read was left where it is. */
  | 'unknownVersion'
  /** A file could not be read or removed; its records stay. */
  | 'ioError';

/** Why a callback is not applied now: the API was down before or did not answer in time, or how it answered. */
export type Deferral = 'apiDown' | 'apiSlow' | 'noPlace' | LetterErrorClass;

export interface CallbackHooks {
  /**
   * One result, of a callback that was answered too late when it is known. One that waited in the spool is reported
   * twice: `spooled` when it was answered, and its verdict when the drainer applied it.
   */
  onResult(result: CallbackResult): void;
  /** A callback was answered 503 because nothing was durable in time, and then something was. */
  onLateAnswer(): void;
  /** One request for a callback path was answered. */
  onAnswered(durationMs: number): void;
  /** The verdict behind a result, for the log and for counters beside `callbacks_total`. */
  onVerdict(verdict: CallbackVerdict, claims: TokenClaims): void;
  /** A dead letter was created; its delivery may still have to be tried again. */
  onLetterCreated(stage: LetterStage): void;
  /** A connection was closed to make room for another, or because it heaped up requests. */
  onConnectionDropped(): void;
  /** A callback goes to the spool, or stays there, for this reason. */
  onDeferred(why: Deferral): void;
  /** `code` is a system error code (`ENOSPC`) or a stable word of ours. */
  onSpoolFault(fault: SpoolFault, code: string): void;
  /** A bug: something threw where nothing may. The name of the error's class only. */
  onCrash(place: string, errorName: string): void;
}

/** The result label of a settled verdict. */
export function resultOf(verdict: Exclude<CallbackVerdict, { kind: 'retry' }>): CallbackResult {
  return verdict.kind === 'deadLettered' ? 'dead_lettered' : verdict.kind;
}
