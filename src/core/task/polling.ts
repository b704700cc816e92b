/**
 * What an answer of `res.php?action=get` means for one task's memory: a result is held until it is delivered, a final
 * refusal until it is written, anything else postpones the next poll. Key, address and block codes never fail a task
 * here; the lane pauses polling for them.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { PollOutcome, RefusalClass } from '../outcome.ts';
import type { Moment } from './facts.ts';
import type { TaskPolicy } from './policy.ts';
import { type TaskMemory, pollPostponed, pollRefused, resultHeld } from './memory.ts';
import { POLL_BACKOFF, backoffMs, pollIntervalMs } from './schedule.ts';

/** Refusals that are the provider's last word on this submission. */
const FINAL_CLASSES: ReadonlySet<RefusalClass> = new Set(['permanent', 'retriable', 'proxy']);

/** A final poll that did not get through is repeated soon: the task is overdue. */
const FINAL_BACKOFF = { baseMs: 2_000, maxMs: 2_000 };

/** The memory after a poll of the task's current submission was answered (or was not). */
export function pollAnswered(
  memory: TaskMemory,
  poll: { task: CaptchaTask; outcome: PollOutcome; final: boolean },
  moment: Moment,
  policy: TaskPolicy,
): TaskMemory {
  const { task, outcome, final } = poll;
  const submission = task.status?.submission;
  const after = submission?.pollAfterTime;
  if (outcome.kind === 'solved') return held(memory, task, outcome, moment);
  if (outcome.kind === 'refused' && FINAL_CLASSES.has(outcome.class)) return pollRefused(memory, outcome);
  const backoff = final ? FINAL_BACKOFF : POLL_BACKOFF;
  const waitMs =
    outcome.kind === 'pending'
      ? pollIntervalMs(submission?.pingback === true, policy, moment.random)
      : backoffMs(backoff, memory.poll.failures + 1, moment.random);
  return pollPostponed(memory, { after, nextMono: moment.mono + waitMs, answer: outcome.kind, final });
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
  });
}
