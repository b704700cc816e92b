/**
 * Rules that end a task or an attempt without a result: the deadline (after one more look at every place where a
 * result may lie), a submission that stays unknown, and an attempt that the provider gave up on (sections 5 and 7).
 * Each acts only after the operator has watched for a while, so that callbacks from the spool win.
 */
import { summaryOf } from './conditions.ts';
import type { KeyView } from './facts.ts';
import { FINAL_POLL_TRIES, UNREAD_KEY_PATIENCE_MS, UNSEEN_CALL_GRACE_MS } from './policy.ts';
import {
  type TaskChoice,
  type Rule,
  type Situation,
  deadlinePassed,
  msToWatch,
  order,
  wakeIn,
  write,
} from './situation.ts';
import { failed, isUnresolved, waiting } from './transitions.ts';

export const DEADLINE_RULES: readonly Rule[] = [
  {
    name: 'a deadline that passed waits until the operator has watched for a while',
    when: (situation) =>
      deadlinePassed(situation) && msToWatch(situation) > 0 && situation.open?.captchaID === undefined,
    choose: (situation) => wakeIn(Math.min(msToWatch(situation), 1_000)),
  },
  {
    name: 'a task with an id is polled once more before its deadline counts',
    when: (situation) => deadlinePassed(situation) && msToWatch(situation) <= 0 && needsFinalPoll(situation),
    choose: finalPoll,
  },
  {
    name: 'a solution Secret that the task owns already is looked for before its deadline counts',
    when: (situation) =>
      deadlinePassed(situation) &&
      msToWatch(situation) <= 0 &&
      situation.task.spec.solutionSecretName !== undefined &&
      !situation.memory.solutionSecretRead,
    choose: () => order({ kind: 'readSolutionSecret' }),
  },
  {
    name: 'a task that has passed its deadline fails',
    when: (situation) => deadlinePassed(situation) && msToWatch(situation) <= 0,
    choose: ({ task, moment }) => {
      const message = 'The task was not solved before its deadline.';
      return write(failed(task, { class: 'Deadline', reason: 'DeadlineExceeded', message }, moment.now));
    },
  },
];

export const UNRESOLVED_RULES: readonly Rule[] = [
  {
    name: 'an unknown submission says so',
    when: ({ task, status }) => isUnresolved(task) && summaryOf(status)?.reason !== 'SubmissionUnknown',
    choose: ({ task, moment }) => write(waiting(task, 'SubmissionUnknown', moment.now)),
  },
  {
    name: 'an unknown submission waits for its callback during the grace',
    when: (situation) => isUnresolved(situation.task) && (graceLeftMs(situation) > 0 || msToWatch(situation) > 0),
    choose: (situation) => wakeIn(Math.max(graceLeftMs(situation), Math.min(msToWatch(situation), 1_000))),
  },
  {
    name: 'a second unknown submission fails the task',
    when: ({ task, status }) => isUnresolved(task) && ((status?.unknownSubmissions ?? 0) >= 1 || worksOnce(task)),
    choose: ({ task, moment }) => {
      const message = 'It stayed unknown whether the provider accepted the submission; it is not sent again.';
      return write(failed(task, { class: 'Unknown', reason: 'SubmissionUnknown', message }, moment.now));
    },
  },
];

export const RETRY_RULES: readonly Rule[] = [
  {
    name: 'an attempt that ended fails the task when its retries are used up',
    when: ({ task, status }) =>
      status?.submission?.endTime !== undefined && (retriesLeft(task) <= 0 || worksOnce(task)),
    choose: ({ task, status, moment }) => {
      const code = status?.submission?.code;
      const message = 'The provider could not solve the captcha and no retries are left.';
      const failure = {
        class: 'Retriable',
        reason: 'Unsolvable',
        message,
        ...(code === undefined ? {} : { code }),
      } as const;
      return write(failed(task, failure, moment.now));
    },
  },
];

/** How long an unresolved submission is still left alone, on the monotonic clock. */
export function graceLeftMs({ memory, open, moment, policy }: Situation): number {
  if (open === undefined) return 0;
  const graceMs = open.pingback ? policy.unknownSubmissionGraceMs : UNSEEN_CALL_GRACE_MS;
  const { intent, sighted } = memory;
  if (intent?.by !== open.intentBy) return (sighted?.atMono ?? moment.mono) + graceMs - moment.mono;
  if (!open.pingback && intent.call === 'ended') return 0;
  return (intent.endedMono ?? intent.sentMono) + graceMs - moment.mono;
}

function retriesLeft({ spec, status }: Situation['task']): number {
  const used = (status?.attempts ?? 1) - 1 - (status?.unknownSubmissions ?? 0);
  return spec.backoffLimit - used;
}

/** The challenge of GeeTest v3 works once: whatever happened to it, it is never submitted a second time. */
function worksOnce({ spec }: Situation['task']): boolean {
  return spec.captcha.type === 'GeeTestV3';
}

function needsFinalPoll({ open, memory, facts }: Situation): boolean {
  if (open?.captchaID === undefined || lacksKey(facts.key)) return false;
  return !memory.poll.finalDone && memory.poll.finalTries < FINAL_POLL_TRIES;
}

/** A Secret that only cannot be read just now is waited for: the result that a poll may find was paid for. */
function lacksKey(key: KeyView): boolean {
  return key.state === 'missing' && (key.unreadForMs ?? Infinity) >= UNREAD_KEY_PATIENCE_MS;
}

function finalPoll({ memory, facts, moment }: Situation): TaskChoice {
  if (memory.poll.underWay) return wakeIn(60_000);
  if (facts.key.state === 'unread') return order({ kind: 'readKey' });
  if (facts.key.state === 'missing') return wakeIn(facts.key.retryInMs);
  const { finalTries, booked, nextMono = 0 } = memory.poll;
  const restMs = finalTries === 0 && !booked ? 0 : nextMono - moment.mono;
  const waitMs = Math.max(facts.lane.pollPauseMs, restMs);
  return waitMs > 0 ? wakeIn(waitMs) : order({ kind: 'poll', final: true });
}
