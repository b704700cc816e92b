/**
 * A CaptchaTask as the cache keeps it: the few fields that are looked at by the thousand, and the rest as one JSON
 * text, a sixth of the memory of the parsed object. What no rule reads is left out (managedFields, labels,
 * annotations), and so is what can be told without being kept: defaults of the schema, names of fields, the sentence
 * that a reason implies. So an entry is small whatever the task holds. The store's projection; unpacked for one pass at
 * a time.
 *
 * A captcha is abridged: its long texts (pictures, tiles, parameters, cookies) are needed for the one submission only,
 * and are up to a megabyte for each of thousands of waiting tasks. What rules read (type, flags, numbers, references)
 * stays; the submission reads the task again.
 */
import type { Captcha, CaptchaTask, CaptchaTaskSpec, CaptchaTaskStatus, Submission } from '../../api/captchatask.ts';
import type { Condition, ConditionStatus } from '../../api/conditions.ts';
import type { CaptchaType, TaskPhase } from '../../api/names.ts';
import { API_VERSION } from '../../api/names.ts';
import { IMPLIED_MESSAGES } from './conditions.ts';

export interface PackedTask {
  readonly resourceVersion: string;
  readonly phase: TaskPhase;
  readonly type: CaptchaType;
  /** Since when it is at work: start, or creation where it has not started; Infinity while suspended or dead-lettered. */
  readonly sinceTime: number;
  readonly text: string;
}

/** Values of the fields of a list, in its order; null where one is absent. */
type Values = unknown[];
type PackedCondition = [
  type: string,
  status: ConditionStatus,
  time: string,
  reason: string,
  generation: number,
  message?: string,
];
type RareStatus = Pick<CaptchaTaskStatus, 'solution' | 'failure' | 'deadLetter'>;
type PackedStatus = [status: Values, submission: Values | null, conditions: PackedCondition[], rare: RareStatus | null];
type PackedText = [metadata: Values, spec: Partial<CaptchaTaskSpec>, status: PackedStatus | null];

const METADATA = ['name', 'namespace', 'uid', 'creationTimestamp', 'generation', 'deletionTimestamp'] as const;
const STATUS = ['attempts', 'unknownSubmissions', 'observedGeneration', 'startTime', 'completionTime'] as const;
const SUBMISSION = [
  'attempt',
  'intentBy',
  'intentTime',
  'pingback',
  'submittedTime',
  'captchaID',
  'pollAfterTime',
  'endTime',
  'code',
] as const satisfies (keyof Submission)[];
/** As the schema sets them. */
const DEFAULTS = {
  delivery: 'Callback',
  callbackTimeoutSeconds: 120,
  activeDeadlineSeconds: 600,
  backoffLimit: 0,
  suspend: false,
} as const;

/** A captcha that takes no more than this as JSON is kept whole: most are, and they need no second read. */
const WHOLE_UP_TO = 1_024;
const SHORT_TEXT = 64;

/** From an object of the API (a frozen or a raw one; nothing of it is kept). */
export function packTask(task: CaptchaTask): PackedTask {
  const { metadata, spec, status } = task;
  const packed: PackedText = [
    valuesOf(metadata, METADATA),
    withoutDefaults({ ...spec, captcha: abridgeCaptcha(spec.captcha) }),
    status === undefined ? null : packStatus(status),
  ];
  return {
    resourceVersion: metadata.resourceVersion,
    phase: status?.phase ?? 'Pending',
    type: spec.captcha.type,
    sinceTime: sinceTimeOf(task),
    text: JSON.stringify(packed),
  };
}

/** The same task, its captcha abridged. */
export function unpackTask(packed: PackedTask): CaptchaTask {
  const [metadata, spec, status] = JSON.parse(packed.text) as PackedText;
  const { resourceVersion, phase } = packed;
  return {
    apiVersion: API_VERSION,
    kind: 'CaptchaTask',
    metadata: { ...fieldsOf<CaptchaTask['metadata']>(METADATA, metadata), resourceVersion },
    spec: { ...DEFAULTS, ...(spec as Pick<CaptchaTaskSpec, 'captcha'>) },
    ...(status === null ? {} : { status: { ...unpackStatus(status), phase } }),
  };
}

function sinceTimeOf({ metadata, spec, status }: CaptchaTask): number {
  if (spec.suspend || status?.deadLetter !== undefined) return Infinity;
  return Date.parse(status?.startTime ?? metadata.creationTimestamp);
}

function packStatus(status: CaptchaTaskStatus): PackedStatus {
  const { solution, failure, deadLetter, submission, conditions = [] } = status;
  const rare = { ...(solution && { solution }), ...(failure && { failure }), ...(deadLetter && { deadLetter }) };
  return [
    valuesOf(status, STATUS),
    submission === undefined ? null : valuesOf(submission, SUBMISSION),
    conditions.map(packCondition),
    Object.keys(rare).length === 0 ? null : rare,
  ];
}

function unpackStatus([values, submission, conditions, rare]: PackedStatus): CaptchaTaskStatus {
  return {
    ...fieldsOf<CaptchaTaskStatus>(STATUS, values),
    ...(submission === null ? {} : { submission: fieldsOf<Submission>(SUBMISSION, submission) }),
    conditions: conditions.map(unpackCondition),
    ...rare,
  };
}

function packCondition(condition: Condition): PackedCondition {
  const { type, status, lastTransitionTime, reason, message, observedGeneration = 0 } = condition;
  if (impliedMessage(reason) === message) return [type, status, lastTransitionTime, reason, observedGeneration];
  return [type, status, lastTransitionTime, reason, observedGeneration, message];
}

function unpackCondition([type, status, lastTransitionTime, reason, generation, message]: PackedCondition): Condition {
  const observed = generation === 0 ? {} : { observedGeneration: generation };
  return { type, status, ...observed, lastTransitionTime, reason, message: message ?? impliedMessage(reason) ?? '' };
}

function impliedMessage(reason: string): string | undefined {
  return (IMPLIED_MESSAGES as Readonly<Record<string, string>>)[reason];
}

function withoutDefaults(spec: CaptchaTaskSpec): Partial<CaptchaTaskSpec> {
  const defaults: Partial<CaptchaTaskSpec> = DEFAULTS;
  return Object.fromEntries(
    Object.entries(spec).filter(([field, value]) => defaults[field as keyof CaptchaTaskSpec] !== value),
  );
}

function valuesOf<Of extends object>(object: Of, fields: readonly (keyof Of)[]): Values {
  const values: Values = fields.map((field) => object[field] ?? null);
  while (values.at(-1) === null) values.pop();
  return values;
}

function fieldsOf<Of extends object>(fields: readonly (keyof Of)[], values: Values): Of {
  const object: Partial<Record<keyof Of, unknown>> = {};
  for (const [index, value] of values.entries()) {
    const field = fields[index];
    if (field !== undefined && value !== null) object[field] = value;
  }
  return object as Of;
}

/** Empty values stand where something was left out. */
function abridgeCaptcha(captcha: Captcha): Captcha {
  if (JSON.stringify(captcha).length <= WHOLE_UP_TO) return captcha;
  const members = Object.entries(captcha).map(([name, member]) => {
    if (typeof member !== 'object') return [name, member];
    return [
      name,
      Object.fromEntries(
        Object.entries(member as Record<string, unknown>).map(([field, value]) => [field, shorten(value)]),
      ),
    ];
  });
  return Object.fromEntries(members) as Captcha;
}

/** Whether something is missing. A task that brought an empty value of its own is taken for one; that costs a read. */
export function isAbridged(captcha: Captcha): boolean {
  return Object.values(captcha).some(
    (member) => typeof member === 'object' && Object.values(member as Record<string, unknown>).some(isEmpty),
  );
}

function shorten(value: unknown): unknown {
  if (typeof value === 'string') return value.length > SHORT_TEXT ? '' : value;
  if (Array.isArray(value)) return [];
  if (typeof value !== 'object' || value === null) return value;
  return JSON.stringify(value).length > WHOLE_UP_TO ? {} : value;
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === '';
}
