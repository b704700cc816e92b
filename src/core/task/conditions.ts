/**
 * The four conditions of a CaptchaTask, derived from its other fields and one summary, and the stable sentence that
 * belongs to each reason. `Solved` is the summary; `Submitted` says whether the provider accepted the current attempt;
 * `Stalled` and `Reconciling` follow kstatus, which reads the first of the two that is True: so `Stalled` comes first.
 * Messages hold no ids, no clock times and no counters, or a waiting task would write status for ever.
 */
import type { CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { Condition, ConditionStatus } from '../../api/conditions.ts';
import type { SolvedReason } from '../../api/names.ts';

/** What `Solved` shall say, and whether only a person can help. */
export interface Summary {
  status: ConditionStatus;
  reason: SolvedReason;
  /** Stable text; the reason's own sentence where absent. */
  message?: string;
  stalled?: boolean;
}

/** One sentence a reason, for people who read `kubectl describe`. */
export const REASON_MESSAGES: Readonly<Record<SolvedReason, string>> = {
  Pending: 'Waiting for its turn to be submitted.',
  Suspended: 'Suspended: nothing is submitted and nothing is polled.',
  MissingAPIKey: 'No provider API key is available for this task.',
  AccountExhausted:
    'The account of this API key can buy nothing: its plan has ended, or it is suspended. Renew it or change the key.',
  ProviderBusy: 'The provider has no free thread or slot; the API key backs off.',
  ProviderUnreachable: 'The provider cannot be reached; submissions back off.',
  KeyRejected: 'The provider refuses this API key or this address for now.',
  Submitting: 'The task is being submitted to the provider.',
  SubmissionUnknown: 'It is not known whether the provider accepted the submission; waiting for its callback.',
  AwaitingCallback: 'The provider accepted the task; waiting for its callback.',
  Polling: 'The provider accepted the task; asking it for the result.',
  DeadLettered: 'A result was received but could not be applied; it is kept in a dead letter.',
  Solved: 'The captcha is solved.',
  ProviderRejected: 'The provider rejected the task.',
  Unsolvable: 'The provider could not solve the captcha.',
  DeadlineExceeded: 'The task was not solved before its deadline.',
  DeadLetterAbandoned: 'The dead letter that held the result is gone.',
  InvalidTask: 'The task cannot be submitted as it is written.',
};

/** The sentence of every reason, those of `Submitted` and `Reconciling` included. */
export const IMPLIED_MESSAGES = {
  ...REASON_MESSAGES,
  Accepted: 'The provider accepted the current attempt.',
  NotAccepted: 'The provider did not accept the current attempt.',
  Unconfirmed: 'The provider has not confirmed the current attempt.',
  InProgress: 'Not finished yet.',
} as const;

type SubmittedFields = Pick<CaptchaTaskStatus, 'phase' | 'submission' | 'failure' | 'conditions'>;

/** The conditions that belong to a status with these fields; times move only where a condition's status does. */
export function deriveConditions(
  fields: SubmittedFields,
  summary: Summary,
  at: { time: string; generation: number | undefined },
): Condition[] {
  const before = fields.conditions ?? [];
  const finished = fields.phase === 'Solved' || fields.phase === 'Failed';
  const message = summary.message ?? REASON_MESSAGES[summary.reason];
  const { reason } = summary;
  const derived: Omit<Condition, 'lastTransitionTime'>[] = [
    { type: 'Solved', status: summary.status, reason, message },
  ];
  const submitted = submittedCondition(fields);
  if (submitted !== undefined) derived.push(submitted);
  if (summary.stalled === true || fields.phase === 'Failed') {
    derived.push({ type: 'Stalled', status: 'True', reason, message });
  }
  if (!finished)
    derived.push({ type: 'Reconciling', status: 'True', reason: 'InProgress', message: IMPLIED_MESSAGES.InProgress });
  return derived.map((condition) => dated(condition, before, at));
}

/** What `Solved` says now, as a summary that a later status may repeat. */
export function summaryOf(status: CaptchaTaskStatus | undefined): Summary | undefined {
  const solved = status?.conditions?.find((condition) => condition.type === 'Solved');
  if (solved === undefined) return undefined;
  const stalled = status?.conditions?.some((condition) => condition.type === 'Stalled' && condition.status === 'True');
  return {
    status: solved.status,
    reason: solved.reason as SolvedReason,
    message: solved.message,
    ...(stalled === true ? { stalled } : {}),
  };
}

function submittedCondition(fields: SubmittedFields): Omit<Condition, 'lastTransitionTime'> | undefined {
  if (fields.submission === undefined) return undefined;
  const [status, reason] = submittedVerdict(fields);
  return { type: 'Submitted', status, reason, message: IMPLIED_MESSAGES[reason] };
}

function submittedVerdict({ submission, failure }: SubmittedFields): [ConditionStatus, keyof typeof IMPLIED_MESSAGES] {
  if (submission?.captchaID !== undefined) return ['True', 'Accepted'];
  return failure?.class === 'Permanent' ? ['False', 'NotAccepted'] : ['Unknown', 'Unconfirmed'];
}

function dated(
  condition: Omit<Condition, 'lastTransitionTime'>,
  before: readonly Condition[],
  at: { time: string; generation: number | undefined },
): Condition {
  const previous = before.find((one) => one.type === condition.type);
  const lastTransitionTime = previous?.status === condition.status ? previous.lastTransitionTime : at.time;
  const { type, status, reason, message } = condition;
  const observed = at.generation === undefined ? {} : { observedGeneration: at.generation };
  return { type, status, ...observed, lastTransitionTime, reason, message };
}
