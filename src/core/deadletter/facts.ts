/**
 * What a decision about a letter may look at. The letter comes without its payload: the cache holds none, and no
 * decision needs one; a retry reads it afresh.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { ObjectMeta } from '../../api/conditions.ts';
import type { DeadLetter, DeadLetterSpec, DeadLetterStatus, LetterError } from '../../api/deadletter.ts';
import type { LetterPhase, ResultSource } from '../../api/names.ts';
import type { Delivery } from '../delivery/types.ts';
import { RETRY_ANNOTATION } from '../../api/names.ts';
import { cureOf } from '../delivery/trouble.ts';

/** A letter without what it holds. */
export interface Letter {
  metadata: ObjectMeta;
  spec: Omit<DeadLetterSpec, 'payload'>;
  status?: DeadLetterStatus;
}

export interface LetterFacts {
  letter: Letter;
  /** This process is the leader and is not stopping. */
  mayAct: boolean;
  /** Another letter of the same task is being retried. */
  taskBusy: boolean;
}

/** What a retry came to. */
export type RetryOutcome =
  | { kind: 'resolved' }
  | { kind: 'superseded'; why: SupersededWhy }
  | { kind: 'failed'; error: LetterError; hopeless: boolean };

export type SupersededWhy = 'finished' | 'gone' | 'recreated' | 'otherId';

/** `status.lastRedrive.value` is bounded; a longer annotation is compared by its beginning. */
const MAX_REDRIVE_LENGTH = 1_024;

/** The letter as the cache keeps it. */
export function withoutPayload(letter: DeadLetter): Letter {
  const { payload: _held, ...spec } = letter.spec;
  const { metadata, status } = letter;
  return { metadata, spec, ...(status === undefined ? {} : { status }) };
}

/** A letter that the controller has not written yet is pending. */
export function phaseOf(letter: Letter): LetterPhase {
  return letter.status?.phase ?? 'Pending';
}

/** The value of a redrive that was asked for and not acted on yet. */
export function askedRedrive(letter: Letter): string | undefined {
  const value = letter.metadata.annotations?.[RETRY_ANNOTATION]?.slice(0, MAX_REDRIVE_LENGTH);
  return value === letter.status?.lastRedrive?.value ? undefined : value;
}

/** A delivery of the letter's content, as the letter sees it. */
export function outcomeOf(delivery: Delivery): RetryOutcome {
  switch (delivery.kind) {
    case 'applied':
      return { kind: 'resolved' };
    case 'duplicate':
      // Solved by this retry before its end could be recorded, or by whoever delivered the same result again.
      return sourceOf(delivery.task) === 'DeadLetter' ? { kind: 'resolved' } : SUPERSEDED;
    case 'conflict':
      return sourceOf(delivery.task) === undefined ? { kind: 'superseded', why: 'otherId' } : SUPERSEDED;
    case 'late':
      return { kind: 'superseded', why: delivery.why };
    case 'failed':
    case 'retry':
    case 'deadLettered':
      break;
  }
  return { kind: 'failed', error: delivery.error, hopeless: cureOf(delivery.error.class) === 'hopeless' };
}

const SUPERSEDED: RetryOutcome = { kind: 'superseded', why: 'finished' };

function sourceOf(task: CaptchaTask | undefined): ResultSource | undefined {
  return task?.status?.solution?.source;
}
