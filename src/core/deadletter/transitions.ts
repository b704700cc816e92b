/**
 * The only functions that make a DeadLetter's status. Each takes the letter as it is and returns the status as it shall
 * be; who writes it is not known here.
 *
 * A status carries one condition, `Resolved`, in words for a person who has never seen one: what failed and what to do
 * about it. Unknown while pending (the reason is the error's class), True when resolved or superseded, False when
 * abandoned. Messages are stable: no ids, no clock times, no counters. docs/dead-letters.md says more.
 */
import type { Condition } from '../../api/conditions.ts';
import type { DeadLetterStatus, LetterError } from '../../api/deadletter.ts';
import type { LetterErrorClass, LetterStage } from '../../api/names.ts';
import type { Millis } from '../task/times.ts';
import type { Letter, RetryOutcome, SupersededWhy } from './facts.ts';
import type { LetterPolicy } from './schedule.ts';
import { RETRY_ANNOTATION } from '../../api/names.ts';
import { cureOf } from '../delivery/trouble.ts';
import { formatTime, parseTime } from '../task/times.ts';
import { nextRetryAt, triesInBudget } from './schedule.ts';

type Cause = Pick<Condition, 'status' | 'reason' | 'message'>;

const REDRIVE = `kubectl annotate dl <name> ${RETRY_ANNOTATION}=$(date +%s) --overwrite`;

/** What a person can do, by what went wrong. */
const ADVICE: Readonly<Record<LetterErrorClass, string>> = {
  Forbidden: 'Give the operator the permission it lacks.',
  Conflict: "Delete or rename the Secret that the task's spec.solutionSecretName names.",
  Invalid: 'Find what refuses the result (a policy, a webhook, an older CRD) and change it.',
  Quota: 'Raise the quota, or delete what uses it up.',
  TooLarge: 'No retry can help: take the result from spec.payload. A task with spec.solutionSecretName could hold it.',
  Unavailable: 'The API server, or a webhook it asks, has to recover.',
};

const SUPERSEDED: Readonly<Record<SupersededWhy, string>> = {
  finished: 'The task was finished otherwise. Nothing is left to do.',
  gone: 'The task was deleted. Nothing is left to do.',
  recreated: 'The task was deleted, and another one has its name now. Nothing is left to do.',
  otherId: "The result carries another id than the task's current attempt; the provider is asked instead.",
};

const RESOLVED = {
  status: 'True',
  reason: 'Resolved',
  message: 'A retry stored the result and the task is solved. Nothing is left to do.',
} as const;

/** A letter is first retried a while after its creation. */
export function firstRetryAt(letter: Letter, policy: LetterPolicy): Millis {
  const from = parseTime(letter.metadata.creationTimestamp) ?? 0;
  return nextRetryAt({ tries: 0, from, expiresAt: expiryOf(letter), random: 0.5 }, policy);
}

/** The first status: people see at once what failed, when it is retried and what to do, or that no retry can help. */
export function introduced(letter: Letter, now: Millis, policy: LetterPolicy): DeadLetterStatus {
  const { error, stage } = letter.spec;
  const { attempts = 0, lastError = error } = letter.status ?? {};
  const status: DeadLetterStatus = { ...letter.status, phase: 'Pending', attempts, lastError };
  if (cureOf(error.class) === 'hopeless') {
    return ended(letter, { ...status, phase: 'Abandoned' }, abandonedBecause({ error, hopeless: true }, stage), now);
  }
  return {
    ...status,
    nextRetryTime: formatTime(firstRetryAt(letter, policy)),
    conditions: [resolvedCondition(letter, pendingBecause(error, stage), now)],
  };
}

/** Someone asked for a retry: due at once, with a fresh budget. */
export function redriven(letter: Letter, value: string, now: Millis): DeadLetterStatus {
  const { completionTime: _ended, ...kept } = letter.status ?? {};
  const attempts = kept.attempts ?? 0;
  const error = kept.lastError ?? letter.spec.error;
  return {
    ...kept,
    phase: 'Pending',
    attempts,
    nextRetryTime: formatTime(now),
    redrives: (kept.redrives ?? 0) + 1,
    lastRedrive: { value, time: formatTime(now), attempts },
    conditions: [resolvedCondition(letter, pendingBecause(error, letter.spec.stage), now)],
  };
}

/** A retry was made and came to this. `random` in [0,1) is the jitter of the next one. */
export function retried(
  letter: Letter,
  outcome: RetryOutcome,
  moment: { now: Millis; random: number },
  policy: LetterPolicy,
): DeadLetterStatus {
  const { now } = moment;
  const counted: DeadLetterStatus = { ...letter.status, attempts: (letter.status?.attempts ?? 0) + 1 };
  if (outcome.kind !== 'failed') {
    const superseded = outcome.kind === 'superseded';
    const cause = superseded ? supersededBecause(outcome.why) : RESOLVED;
    return ended(letter, { ...counted, phase: superseded ? 'Superseded' : 'Resolved' }, cause, now);
  }
  const failed: DeadLetterStatus = { ...counted, lastError: outcome.error };
  const tries = triesInBudget(failed);
  if (outcome.hopeless || tries >= policy.maxAttempts) {
    return ended(letter, { ...failed, phase: 'Abandoned' }, abandonedBecause(outcome, letter.spec.stage), now);
  }
  const at = nextRetryAt({ tries, from: now, expiresAt: expiryOf(letter), random: moment.random }, policy);
  return {
    ...failed,
    phase: 'Pending',
    nextRetryTime: formatTime(at),
    conditions: [resolvedCondition(letter, pendingBecause(outcome.error, letter.spec.stage), now)],
  };
}

function ended(letter: Letter, status: DeadLetterStatus, cause: Cause, now: Millis): DeadLetterStatus {
  const { nextRetryTime: _none, ...kept } = status;
  return { ...kept, completionTime: formatTime(now), conditions: [resolvedCondition(letter, cause, now)] };
}

function expiryOf(letter: Letter): Millis | undefined {
  return parseTime(letter.spec.contentExpiresTime);
}

/** The condition, dated: its time moves only when its status does. */
function resolvedCondition(letter: Letter, cause: Cause, now: Millis): Condition {
  const before = letter.status?.conditions?.find((one) => one.type === 'Resolved');
  const same = before?.status === cause.status;
  const { generation } = letter.metadata;
  return {
    type: 'Resolved',
    ...cause,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    lastTransitionTime: same && before !== undefined ? before.lastTransitionTime : formatTime(now),
  };
}

function pendingBecause(error: LetterError, stage: LetterStage): Cause {
  const message = `${error.message} ${advice(error, stage)} It is retried by itself; to retry at once: ${REDRIVE}`;
  return { status: 'Unknown', reason: error.class, message };
}

function abandonedBecause(failed: { error: LetterError; hopeless: boolean }, stage: LetterStage): Cause {
  const { error, hopeless } = failed;
  const why = hopeless ? 'It can never be stored' : 'All retries failed';
  const next = hopeless
    ? 'The task waits until this letter is deleted.'
    : `The task waits. Then retry: ${REDRIVE} or give up: delete this letter.`;
  const message = `${why}: ${error.message} ${advice(error, stage)} ${next}`;
  return { status: 'False', reason: 'Abandoned', message };
}

function supersededBecause(why: SupersededWhy): Cause {
  return { status: 'True', reason: 'Superseded', message: SUPERSEDED[why] };
}

function advice(error: LetterError, stage: LetterStage): string {
  // Only a solution Secret can belong to someone else; elsewhere the class says that a letter stands in the way.
  if (error.class === 'Conflict' && stage !== 'WriteSecret') return 'Delete what stands in the way.';
  return ADVICE[error.class];
}
