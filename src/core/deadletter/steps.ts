/**
 * Everything the dead-letter controller does at the Kubernetes API for one letter: a protocol for each effect, so that
 * the property tests run these very steps, killed at every `yield`. A retry goes from reading the letter to recording
 * what came of it: the delivery recognises its own work, and a retry that was not recorded is repeated. While a letter's
 * result cannot be stored its task stays held by it; a letter that turns out not to be its task's (another id) gives the
 * mark back, so that the provider is asked.
 */
import type { DeadLetter, DeadLetterStatus, LetterError } from '../../api/deadletter.ts';
import type { LetterEffect } from './decide.ts';
import type { Protocol } from '../protocol.ts';
import type { ReceivedResult } from '../delivery/types.ts';
import type { Letter, RetryOutcome } from './facts.ts';
import type { StatusWrite } from '../status-write.ts';
import type { LetterPolicy } from './schedule.ts';
import type { Millis } from '../task/times.ts';
import { API_VERSION, DEAD_LETTER } from '../../api/names.ts';
import { deliverResult } from '../delivery/deliver.ts';
import { holdTask, releaseTask } from '../delivery/letter.ts';
import { troubleOf } from '../delivery/trouble.ts';
import { putStatus } from '../status-write.ts';
import { parseTime } from '../task/times.ts';
import { askedRedrive, outcomeOf, phaseOf } from './facts.ts';
import { retried } from './transitions.ts';

export interface RetryOptions {
  now: Millis;
  /** In [0,1), for the next retry's jitter. */
  random: number;
  policy: LetterPolicy;
  /** Whether the controller's cache shows a letter of this name in this namespace. */
  exists: (letter: string) => boolean;
}

export type Retry =
  | { kind: 'recorded'; outcome: RetryOutcome; letter: DeadLetter }
  /** Done, but not recorded; the same retry has to come again. `conflict`: somebody wrote the letter meanwhile. */
  | { kind: 'unrecorded'; outcome: RetryOutcome; error: LetterError; conflict: boolean }
  /** The letter itself could not be read. */
  | { kind: 'unread'; error: LetterError }
  /** The letter is gone, or another has its name. */
  | { kind: 'gone' }
  /** It is not what the caller knew: decide again. */
  | { kind: 'changed'; letter: DeadLetter };

/** What came of an effect. */
export type LetterOutcome = {
  retry?: Retry;
  /** How writing the letter's own status ended, where that was tried. */
  write?: StatusWrite<never>['kind'];
} & (
  | {
      kind: 'done';
      /** The letter's new status, where one was written. */
      status?: DeadLetterStatus | undefined;
      /** The letter is no more. */
      gone?: true;
    }
  /** Somebody wrote first, or the API was away: look again after a backoff. */
  | { kind: 'again'; why: string }
);

export function* letterStep(letter: Letter, effect: LetterEffect, options: RetryOptions): Protocol<LetterOutcome> {
  switch (effect.kind) {
    case 'writeStatus':
      return yield* writeStatus(letter, effect.status);
    case 'retry':
      return endOf(yield* retryLetter(letter.metadata, options));
    case 'delete':
      break;
  }
  return yield* remove(letter);
}

function* writeStatus(letter: Letter, status: DeadLetterStatus): Protocol<LetterOutcome> {
  const { kind: write } = yield* putStatus(DEAD_LETTER, letter, status);
  switch (write) {
    case 'written':
      return { kind: 'done', status, write };
    case 'gone':
      return { kind: 'done', gone: true, write };
    case 'unchanged':
      return { kind: 'done', write };
    case 'conflict':
    case 'invalid':
    case 'transient':
      break;
  }
  return { kind: 'again', why: write, write };
}

function* remove({ metadata }: Letter): Protocol<LetterOutcome> {
  const { namespace, name, uid, resourceVersion } = metadata;
  const preconditions = { uid, resourceVersion };
  const reply = yield { verb: 'delete', resource: DEAD_LETTER, namespace, name, preconditions };
  return reply.ok || reply.status === 404 ? { kind: 'done', gone: true } : { kind: 'again', why: 'delete' };
}

function endOf(retry: Retry): LetterOutcome {
  switch (retry.kind) {
    case 'recorded':
      return { kind: 'done', status: retry.letter.status, retry, write: 'written' };
    case 'gone':
      return { kind: 'done', gone: true, retry };
    case 'changed':
      return { kind: 'done', retry };
    case 'unrecorded':
      return { kind: 'again', why: retry.kind, retry, write: retry.conflict ? 'conflict' : 'transient' };
    case 'unread':
      break;
  }
  return { kind: 'again', why: retry.kind, retry };
}

/** Retries the letter of this name and uid, if it is still pending and not being redriven. */
export function* retryLetter(
  ref: { namespace: string; name: string; uid: string },
  options: RetryOptions,
): Protocol<Retry> {
  const { namespace, name } = ref;
  const found = yield { verb: 'get', resource: DEAD_LETTER, namespace, name, read: 'quorum' };
  if (!found.ok) {
    if (found.status === 404 && !found.transient) return { kind: 'gone' };
    return { kind: 'unread', error: troubleOf(found, 'reading the dead letter').error };
  }
  const letter = found.object as DeadLetter;
  if (letter.metadata.uid !== ref.uid) return { kind: 'gone' };
  if (phaseOf(letter) !== 'Pending' || askedRedrive(letter) !== undefined) return { kind: 'changed', letter };
  const outcome = yield* attempt(letter, options);
  return yield* record(letter, outcome, options);
}

function* attempt(letter: DeadLetter, options: RetryOptions): Protocol<RetryOutcome> {
  const result = resultIn(letter);
  const { name } = letter.metadata;
  const { now, exists } = options;
  const delivery = yield* deliverResult(result, { now, onFailure: 'report' });
  const outcome = outcomeOf(delivery);
  if (outcome.kind === 'failed') yield* holdTask(result.task, name, { now, letterExists: exists });
  if (outcome.kind === 'superseded' && outcome.why === 'otherId') {
    const released = yield* releaseTask(result.task, name, now);
    const message = 'The mark on the task could not be taken back yet.';
    if (!released) return { kind: 'failed', hopeless: false, error: { class: 'Unavailable', message } };
  }
  return outcome;
}

function* record(letter: DeadLetter, outcome: RetryOutcome, options: RetryOptions): Protocol<Retry> {
  const { namespace, name, uid, resourceVersion } = letter.metadata;
  const status: DeadLetterStatus = retried(letter, outcome, options, options.policy);
  const reply = yield {
    verb: 'replaceStatus',
    resource: DEAD_LETTER,
    namespace,
    name,
    object: {
      apiVersion: API_VERSION,
      kind: DEAD_LETTER.kind,
      metadata: { namespace, name, uid, resourceVersion },
      status,
    },
  };
  if (reply.ok) return { kind: 'recorded', outcome, letter: reply.object as DeadLetter };
  const { error } = troubleOf(reply, "writing the dead letter's status");
  return { kind: 'unrecorded', outcome, error, conflict: reply.status === 409 };
}

/** What the letter holds, as it was received. */
export function resultIn(letter: DeadLetter): ReceivedResult {
  const { spec, metadata } = letter;
  const { code, userAgent } = spec.payload;
  return {
    task: { namespace: metadata.namespace, ...spec.taskRef },
    attempt: spec.attempt,
    captchaID: spec.captchaID,
    value: code,
    ...(userAgent === undefined ? {} : { userAgent }),
    source: 'DeadLetter',
    receivedTime: parseTime(spec.receivedTime) ?? parseTime(metadata.creationTimestamp) ?? 0,
  };
}
