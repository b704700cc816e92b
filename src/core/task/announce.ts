/**
 * What a change of status is worth telling: events for the few turns a person needs (none on the happy path) and the
 * metric steps that follow from the change alone. Computed from before and after, so that whoever writes counts it
 * once and nobody counts a write that failed. Sent by the shells; texts hold no ids and no results.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { CaptchaType, FailureClass, ResultSource, SolvedReason } from '../../api/names.ts';
import { isHint } from '../solution.ts';
import { summaryOf } from './conditions.ts';
import { parseTime } from './times.ts';
import { isFinished } from './transitions.ts';

export interface TaskEvent {
  type: 'Normal' | 'Warning';
  reason: SolvedReason | 'SolvedByPoll' | 'AttemptEnded' | 'CallbackRefused' | 'CallbacksSilent';
  action: 'Submit' | 'Poll' | 'Finish' | 'Hold';
  note: string;
}

export const AMBIGUITY_RESOLUTIONS = ['adopted', 'resubmitted', 'failed'] as const;
export type AmbiguityResolution = (typeof AMBIGUITY_RESOLUTIONS)[number];

/** Steps of metrics that both processes count; the names are those of the metric table. */
export type TaskMetricStep =
  | { metric: 'captcha_operator_tasks_started_total'; labels: Readonly<Record<string, never>> }
  | { metric: 'captcha_operator_results_total'; labels: { source: ResultSource } }
  | { metric: 'captcha_operator_stale_results_total'; labels: { type: CaptchaType } }
  | { metric: 'captcha_operator_failures_total'; labels: { class: FailureClass } }
  | { metric: 'captcha_operator_ambiguous_submissions_total'; labels: { resolution: AmbiguityResolution } }
  | {
      metric: 'captcha_operator_task_duration_seconds';
      labels: { type: CaptchaType; outcome: 'Solved' | 'Failed'; source: ResultSource | 'None' };
      seconds: number;
    };

export interface Announcement {
  events: TaskEvent[];
  metrics: TaskMetricStep[];
}

/** `before` is the copy that the write was checked against; `after` what the server returned. */
export function announce(before: CaptchaTask, after: CaptchaTask): Announcement {
  const finished = isFinished(after) && !isFinished(before);
  const metrics: TaskMetricStep[] = [];
  if (before.status === undefined) metrics.push({ metric: 'captcha_operator_tasks_started_total', labels: {} });
  const resolution = resolutionOf(before, after);
  if (resolution !== undefined) {
    metrics.push({ metric: 'captcha_operator_ambiguous_submissions_total', labels: { resolution } });
  }
  if (finished) metrics.push(...finishMetrics(after));
  return { events: [...turnEvents(before, after), ...(finished ? finishEvents(after) : [])], metrics };
}

/** Turns on the way that somebody may want to look into. */
const TURNS: Partial<Record<SolvedReason, Pick<TaskEvent, 'type' | 'action'>>> = {
  MissingAPIKey: { type: 'Warning', action: 'Submit' },
  AccountExhausted: { type: 'Warning', action: 'Submit' },
  KeyRejected: { type: 'Warning', action: 'Submit' },
  SubmissionUnknown: { type: 'Warning', action: 'Submit' },
  DeadLettered: { type: 'Warning', action: 'Hold' },
};

function turnEvents(before: CaptchaTask, after: CaptchaTask): TaskEvent[] {
  const reason = reasonOf(after);
  const turn = reason === undefined || reason === reasonOf(before) ? undefined : TURNS[reason];
  const events: TaskEvent[] = [];
  if (reason !== undefined && turn !== undefined) {
    events.push({ ...turn, reason, note: summaryOf(after.status)?.message ?? '' });
  }
  const code = endedWith(after);
  if (code !== undefined && endedWith(before) === undefined) {
    const note = `The attempt ended without a result (${code}).`;
    events.push({ type: 'Warning', reason: 'AttemptEnded', action: 'Submit', note });
  }
  return events;
}

function reasonOf({ status }: CaptchaTask): SolvedReason | undefined {
  return summaryOf(status)?.reason;
}

/** The code of an attempt that ended and may be followed by another. */
function endedWith({ status }: CaptchaTask): string | undefined {
  return status?.submission?.endTime === undefined ? undefined : (status.submission.code ?? 'no code');
}

function finishEvents(task: CaptchaTask): TaskEvent[] {
  const { status } = task;
  if (status?.failure !== undefined) {
    const reason = summaryOf(status)?.reason ?? 'ProviderRejected';
    return [{ type: 'Warning', reason, action: 'Finish', note: status.failure.message }];
  }
  if (!wasFallback(task)) return [];
  const note = 'No callback came in time; the result was found by polling.';
  return [{ type: 'Normal', reason: 'SolvedByPoll', action: 'Poll', note }];
}

/** Polling is the normal way without a pingback, and where a callback cannot carry the result. */
function wasFallback({ spec, status }: CaptchaTask): boolean {
  const pinged = status?.submission?.pingback === true && !isHint(spec.captcha);
  return pinged && status.solution?.source === 'Poll';
}

/** The steps that follow from a finished task alone. */
export function finishMetrics(after: CaptchaTask): TaskMetricStep[] {
  const source = after.status?.solution?.source;
  const { type } = after.spec.captcha;
  const duration = { metric: 'captcha_operator_task_duration_seconds' as const, seconds: secondsTaken(after) };
  if (source !== undefined) {
    return [
      { metric: 'captcha_operator_results_total', labels: { source } },
      ...(cameStale(after) ? [{ metric: 'captcha_operator_stale_results_total' as const, labels: { type } }] : []),
      { ...duration, labels: { type, outcome: 'Solved', source } },
    ];
  }
  return [
    { metric: 'captcha_operator_failures_total', labels: { class: after.status?.failure?.class ?? 'Permanent' } },
    { ...duration, labels: { type, outcome: 'Failed', source: 'None' } },
  ];
}

/** It was perhaps dead when it came: no longer certain to work. */
function cameStale({ status }: CaptchaTask): boolean {
  const freshUntil = parseTime(status?.solution?.freshUntilTime);
  const received = parseTime(status?.solution?.receivedTime);
  return freshUntil !== undefined && received !== undefined && received > freshUntil;
}

function secondsTaken({ status }: CaptchaTask): number {
  const startTime = parseTime(status?.startTime);
  const endTime = parseTime(status?.completionTime);
  return startTime === undefined || endTime === undefined ? 0 : Math.max(0, endTime - startTime) / 1_000;
}

/** How a submission that was said to be unknown was settled by this change. */
function resolutionOf(before: CaptchaTask, after: CaptchaTask): AmbiguityResolution | undefined {
  if (reasonOf(before) !== 'SubmissionUnknown') return undefined;
  if (after.status?.failure !== undefined) return 'failed';
  if (attemptsOf(after) > attemptsOf(before)) return 'resubmitted';
  return hasAnswer(after) ? 'adopted' : undefined;
}

function attemptsOf({ status }: CaptchaTask): number {
  return status?.attempts ?? 0;
}

function hasAnswer({ status }: CaptchaTask): boolean {
  return status?.solution !== undefined || status?.submission?.captchaID !== undefined;
}
