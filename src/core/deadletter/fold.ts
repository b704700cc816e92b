/**
 * The only functions that make a DeadLetter's status. Each takes the letter as it is and returns the status as it shall
 * be; who writes it is not known here. `decide` uses them for what needs no outcome, the controller for a retry's.
 */
import type { DeadLetterStatus } from '../../api/deadletter.ts';
import type { Letter, RetryOutcome } from './facts.ts';
import type { LetterPolicy, Millis } from './schedule.ts';
import { cureOf } from '../delivery/trouble.ts';
import { formatTime, parseTime } from '../task/times.ts';
import { abandonedBecause, pendingBecause, resolvedCondition, supersededBecause } from './conditions.ts';
import { nextRetryAt, triesInBudget } from './schedule.ts';

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

const RESOLVED = {
  status: 'True',
  reason: 'Resolved',
  message: 'A retry stored the result and the task is solved. Nothing is left to do.',
} as const;

function ended(
  letter: Letter,
  status: DeadLetterStatus,
  cause: Parameters<typeof resolvedCondition>[1],
  now: Millis,
): DeadLetterStatus {
  const { nextRetryTime: _none, ...kept } = status;
  return { ...kept, completionTime: formatTime(now), conditions: [resolvedCondition(letter, cause, now)] };
}

function expiryOf(letter: Letter): Millis | undefined {
  return parseTime(letter.spec.contentExpiresTime);
}
