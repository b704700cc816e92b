/**
 * What an answer of `res.php?action=get` means for one task's memory: a result is held until it is delivered, a final
 * refusal until it is written, anything else postpones the next poll. An answer without the shape of the task's type is
 * asked for again, and the third one is final. What is no result and comes after its attempt has ended or been replaced
 * is forgotten. Key, address and block codes never fail a task here; the lane pauses polling for them.
 */
import type { CaptchaTask, Submission } from '../../api/captchatask.ts';
import type { PollOutcome, Refusal, RefusalClass } from '../outcome.ts';
import type { Moment } from './facts.ts';
import { UNREADABLE_ANSWERS, type TaskPolicy } from './policy.ts';
import { UNREADABLE_ANSWER } from '../provider-codes.ts';
import { type TaskMemory, isAwaited, isOf, pollPostponed, pollRefused, resultHeld } from './memory.ts';
import { POLL_BACKOFF, backoffMs, pollIntervalMs } from './schedule.ts';

/** Refusals that are the provider's last word on this submission. */
const FINAL_CLASSES: ReadonlySet<RefusalClass> = new Set(['permanent', 'retriable', 'proxy']);

/** What the solver found answers something else; a new attempt may do better. */
const UNREADABLE: Refusal = { kind: 'refused', class: 'retriable', code: UNREADABLE_ANSWER };

/** A final poll that did not get through is repeated soon: the task is overdue. */
const FINAL_BACKOFF = { baseMs: 2_000, maxMs: 2_000 };

export interface AnsweredPoll {
  /** As it was when it was polled. */
  task: CaptchaTask;
  outcome: PollOutcome;
  final: boolean;
  /** Callbacks of its API key are silent: it is polled like a submission without. */
  silent?: boolean;
  /** When it was sent: a captcha that its answer calls not ready was not solved by then. */
  sentMono?: number;
}

/** Whether the answer came after its attempt had ended or been replaced, and says nothing any more. */
export function cameLate(memory: TaskMemory | undefined, { task, outcome }: AnsweredPoll): boolean {
  if (outcome.kind === 'solved') return false;
  return memory === undefined || !isAwaited(memory, task.status?.submission);
}

/** The memory after a poll of this submission was answered (or was not). */
export function pollAnswered(memory: TaskMemory, poll: AnsweredPoll, moment: Moment, policy: TaskPolicy): TaskMemory {
  const { task, outcome, final, silent = false, sentMono } = poll;
  const submission = task.status?.submission;
  if (outcome.kind === 'solved') return held(memory, task, outcome, moment);
  if (cameLate(memory, poll)) return memory;
  const refusal = finalRefusal(memory, outcome);
  if (refusal !== undefined) return pollRefused(memory, refusal);
  const backoff = final ? FINAL_BACKOFF : POLL_BACKOFF;
  const waitMs =
    outcome.kind === 'pending'
      ? pollIntervalMs(submission?.pingback === true && !silent, policy, moment.random)
      : backoffMs(backoff, memory.poll.failures + 1, moment.random);
  const nextMono = moment.mono + waitMs;
  return pollPostponed(memory, submission, { nextMono, answer: outcome.kind, final, sentMono });
}

function finalRefusal({ poll }: TaskMemory, outcome: PollOutcome): Refusal | undefined {
  if (outcome.kind === 'refused') return FINAL_CLASSES.has(outcome.class) ? outcome : undefined;
  const unreadable = outcome.kind === 'unreadable' ? (poll.unreadable ?? 0) + 1 : 0;
  return unreadable >= UNREADABLE_ANSWERS ? UNREADABLE : undefined;
}

function held(
  memory: TaskMemory,
  task: CaptchaTask,
  answer: { value: string; userAgent?: string },
  moment: Moment,
): TaskMemory {
  const { namespace, name, uid } = task.metadata;
  const submission = task.status?.submission;
  return resultHeld(memory, {
    task: { namespace, name, uid },
    attempt: submission?.attempt ?? 1,
    captchaID: submission?.captchaID ?? '',
    value: answer.value,
    ...(answer.userAgent === undefined ? {} : { userAgent: answer.userAgent }),
    source: 'Poll',
    receivedTime: moment.now,
    ...unsolvedTime(memory, submission, moment),
  });
}

function unsolvedTime(
  { poll }: TaskMemory,
  submission: Submission | undefined,
  { now, mono }: Moment,
): { unsolvedTime?: number } {
  if (poll.unsolvedMono === undefined || !isOf(poll.of, submission)) return {};
  return { unsolvedTime: now - (mono - poll.unsolvedMono) };
}
