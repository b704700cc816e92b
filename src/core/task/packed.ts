/**
 * A CaptchaTask as the cache keeps it: the few fields that are looked at by the thousand, and the rest as one JSON
 * text, which takes a third of the memory of the parsed object. What no rule reads is left out (managedFields, labels,
 * annotations), and so is every condition's message that its reason implies. The store's projection; unpacked for one
 * pass at a time.
 */
import type { CaptchaTask, CaptchaTaskSpec, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { Condition } from '../../api/conditions.ts';
import type { CaptchaType, SolvedReason, TaskPhase } from '../../api/names.ts';
import { API_VERSION } from '../../api/names.ts';
import { REASON_MESSAGES } from './conditions.ts';

export interface PackedTask {
  readonly resourceVersion: string;
  readonly phase: TaskPhase;
  readonly type: CaptchaType;
  /** Since when it is at work: start, or creation where it has not started; Infinity while suspended or dead-lettered. */
  readonly sinceTime: number;
  readonly text: string;
}

type PackedCondition = [
  type: string,
  status: string,
  time: string,
  reason: string,
  message: string,
  generation: number,
];
type PackedText = [
  name: string,
  namespace: string,
  uid: string,
  generation: number,
  creationTimestamp: string,
  deletionTimestamp: string,
  spec: CaptchaTaskSpec,
  status: (Omit<CaptchaTaskStatus, 'conditions'> & { conditions?: PackedCondition[] }) | null,
];

/** From an object of the API (a frozen or a raw one; nothing of it is kept). */
export function packTask(task: CaptchaTask): PackedTask {
  const { metadata, spec, status } = task;
  const packed: PackedText = [
    metadata.name,
    metadata.namespace,
    metadata.uid,
    metadata.generation ?? 0,
    metadata.creationTimestamp,
    metadata.deletionTimestamp ?? '',
    spec,
    status === undefined ? null : { ...status, conditions: (status.conditions ?? []).map(packCondition) },
  ];
  return {
    resourceVersion: metadata.resourceVersion,
    phase: status?.phase ?? 'Pending',
    type: spec.captcha.type,
    sinceTime: sinceTimeOf(task),
    text: JSON.stringify(packed),
  };
}

function sinceTimeOf({ metadata, spec, status }: CaptchaTask): number {
  if (spec.suspend || status?.deadLetter !== undefined) return Infinity;
  return Date.parse(status?.startTime ?? metadata.creationTimestamp);
}

export function unpackTask(packed: PackedTask): CaptchaTask {
  const [name, namespace, uid, generation, creationTimestamp, deletionTimestamp, spec, status] = JSON.parse(
    packed.text,
  ) as PackedText;
  return {
    apiVersion: API_VERSION,
    kind: 'CaptchaTask',
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion: packed.resourceVersion,
      ...(generation === 0 ? {} : { generation }),
      creationTimestamp,
      ...(deletionTimestamp === '' ? {} : { deletionTimestamp }),
    },
    spec,
    ...(status === null ? {} : { status: { ...status, conditions: (status.conditions ?? []).map(unpackCondition) } }),
  };
}

function packCondition(condition: Condition): PackedCondition {
  const implied = REASON_MESSAGES[condition.reason as SolvedReason] === condition.message;
  const { type, status, lastTransitionTime, reason, message, observedGeneration = 0 } = condition;
  return [type, status, lastTransitionTime, reason, implied ? '' : message, observedGeneration];
}

function unpackCondition([type, status, lastTransitionTime, reason, message, generation]: PackedCondition): Condition {
  return {
    type,
    status: status as Condition['status'],
    ...(generation === 0 ? {} : { observedGeneration: generation }),
    lastTransitionTime,
    reason,
    message: message === '' ? (REASON_MESSAGES[reason as SolvedReason] ?? '') : message,
  };
}
