/**
 * What the rules of a task ask again and again, computed from the facts in one place: has the deadline passed, has the
 * operator watched long enough, what was said last. Also the small choices that others are made of. No rule stands
 * here, and nothing that only one of the stories (submission, polling, holding) needs.
 */
import type { CaptchaTask, CaptchaTaskStatus, Submission } from '../../api/captchatask.ts';
import type { UnknownReason } from '../../api/names.ts';
import type { Choice } from '../decision.ts';
import type { TaskEffect } from './effects.ts';
import type { Moment, TaskFacts } from './facts.ts';
import type { TaskMemory } from './memory.ts';
import type { TaskPolicy } from './policy.ts';
import { REASON_MESSAGES, summaryOf } from './conditions.ts';
import { MAX_WATCHED_MS, WAITING_WRITE_MS } from './policy.ts';
import { parseTime } from './times.ts';
import { type WaitingDetail, isUnresolved, waiting } from './transitions.ts';

export interface Situation {
  readonly facts: TaskFacts;
  readonly task: CaptchaTask;
  readonly status: CaptchaTaskStatus | undefined;
  /** The current submission while it has not ended. */
  readonly open: Submission | undefined;
  readonly memory: TaskMemory;
  readonly moment: Moment;
  readonly policy: TaskPolicy;
}

export type TaskChoice = Choice<TaskEffect>;

export const IDLE: TaskChoice = {};

export function order(effect: TaskEffect): TaskChoice {
  return { effect };
}

export function wakeIn(ms: number): TaskChoice {
  return { wakeInMs: Math.max(1, Math.ceil(ms)) };
}

/** After so long; and each second while the operator has not watched long enough. */
export function watchOn(situation: Situation, leftMs = 0): TaskChoice {
  return wakeIn(Math.max(leftMs, Math.min(msToWatch(situation), 1_000)));
}

export function write(status: CaptchaTaskStatus): TaskChoice {
  return order({ kind: 'writeStatus', status });
}

export function situationOf(facts: TaskFacts, moment: Moment, policy: TaskPolicy): Situation {
  const { task, memory } = facts;
  const { status } = task;
  const open = status?.submission?.endTime === undefined ? status?.submission : undefined;
  return { facts, task, status, open, memory, moment, policy };
}

/** Milliseconds until the deadline (negative: passed); undefined while none runs. */
export function msToDeadline({ task, status, moment }: Situation): number | undefined {
  const startTime = parseTime(status?.startTime);
  if (startTime === undefined || task.spec.suspend) return undefined;
  return startTime + task.spec.activeDeadlineSeconds * 1_000 - moment.now;
}

export function deadlinePassed(situation: Situation): boolean {
  const ms = msToDeadline(situation);
  return ms !== undefined && ms <= 0;
}

/** How much longer the operator must watch before it may act on a deadline or a grace: spooled callbacks go first. */
export function msToWatch({ facts, policy }: Situation): number {
  return Math.min(policy.unknownSubmissionGraceMs, MAX_WATCHED_MS) - facts.watchedMs;
}

/**
 * Says in status why the task waits (an unresolved submission keeps saying that): once it has waited for two seconds,
 * and again only when the reason changes. The write takes its turn among all waiting tasks, so that a storm of them
 * does not delay submissions.
 */
export function sayWaiting(
  situation: Situation,
  reason: UnknownReason,
  detail: WaitingDetail,
  wakeInMs?: number,
): TaskChoice {
  const { facts, task, memory, moment } = situation;
  const rest: TaskChoice = wakeInMs === undefined ? IDLE : wakeIn(wakeInMs);
  if (isUnresolved(task) || saysSo(situation, reason, detail)) return rest;
  const waitedMs = moment.mono - (memory.waitingSinceMono ?? -Infinity);
  if (waitedMs < WAITING_WRITE_MS) return wakeIn(Math.min(WAITING_WRITE_MS - waitedMs, wakeInMs ?? Infinity));
  if (!facts.mayWriteWaiting) return wakeIn(100 + 400 * moment.random);
  return write(waiting(task, reason, moment.now, detail));
}

/** Without an API key; a Secret that just now cannot be read is no reason to say so at once. */
export function waitForKey(situation: Situation): TaskChoice {
  const { key } = situation.facts;
  if (key.state !== 'missing') return IDLE;
  const { message, retryInMs, unreadForMs = Infinity } = key;
  if (unreadForMs < WAITING_WRITE_MS) return wakeIn(retryInMs);
  return sayWaiting(situation, 'MissingAPIKey', { message, stalled: true }, retryInMs);
}

/** Another sentence for the same reason is worth a write only where a person has to act on it. */
function saysSo({ status }: Situation, reason: UnknownReason, detail: WaitingDetail): boolean {
  const said = summaryOf(status);
  if (said?.reason !== reason || status?.startTime === undefined) return false;
  return (
    detail.stalled !== true || (said.stalled === true && said.message === (detail.message ?? REASON_MESSAGES[reason]))
  );
}
