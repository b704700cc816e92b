/**
 * The one condition of a DeadLetter, `Resolved`, in words for a person who has never seen one: what failed and what to
 * do about it. Unknown while pending (the reason is the error's class), True when resolved or superseded, False when
 * abandoned. Messages are stable: no ids, no clock times, no counters. Used by `fold`; docs/dead-letters.md says more.
 */
import type { Condition } from '../../api/conditions.ts';
import type { LetterError } from '../../api/deadletter.ts';
import type { LetterErrorClass, LetterStage } from '../../api/names.ts';
import type { Letter, SupersededWhy } from './facts.ts';
import type { Millis } from './schedule.ts';
import { RETRY_ANNOTATION } from '../../api/names.ts';
import { formatTime } from '../task/times.ts';

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

/** The condition, dated: its time moves only when its status does. */
export function resolvedCondition(letter: Letter, cause: Cause, now: Millis): Condition {
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

export function pendingBecause(error: LetterError, stage: LetterStage): Cause {
  const message = `${error.message} ${advice(error, stage)} It is retried by itself; to retry at once: ${REDRIVE}`;
  return { status: 'Unknown', reason: error.class, message };
}

export function abandonedBecause(failed: { error: LetterError; hopeless: boolean }, stage: LetterStage): Cause {
  const { error, hopeless } = failed;
  const why = hopeless ? 'It can never be stored' : 'All retries failed';
  const next = hopeless
    ? 'The task waits until this letter is deleted.'
    : `The task waits. Then retry: ${REDRIVE} or give up: delete this letter.`;
  const message = `${why}: ${error.message} ${advice(error, stage)} ${next}`;
  return { status: 'False', reason: 'Abandoned', message };
}

export function supersededBecause(why: SupersededWhy): Cause {
  return { status: 'True', reason: 'Superseded', message: SUPERSEDED[why] };
}

function advice(error: LetterError, stage: LetterStage): string {
  // Only a solution Secret can belong to someone else; elsewhere the class says that a letter stands in the way.
  if (error.class === 'Conflict' && stage !== 'WriteSecret') return 'Delete what stands in the way.';
  return ADVICE[error.class];
}
