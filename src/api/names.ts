/**
 * Every name that other people's manifests, alerts and scripts rely on: group, version, resources, annotations,
 * and the closed lists of phases, reasons and classes. Nothing here decides anything; `core/` does.
 */

export const GROUP = 'captcha-operator.io';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

export const CAPTCHA_TASK = { group: GROUP, version: VERSION, plural: 'captchatasks', kind: 'CaptchaTask' } as const;
export const DEAD_LETTER = { group: GROUP, version: VERSION, plural: 'deadletters', kind: 'DeadLetter' } as const;
export const SECRET = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret' } as const;
export const CONFIG_MAP = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap' } as const;

/** A new value of this annotation on a DeadLetter retries it at once. */
export const RETRY_ANNOTATION = `${GROUP}/retry`;
/** On a Secret that no task may name; any value. */
export const PRIVATE_ANNOTATION = `${GROUP}/private`;
/** On every task that came through the gateway; its value is `true`. */
export const GATEWAY_LABEL = `${GROUP}/gateway`;
export const SOLUTION_SECRET_TYPE = `${GROUP}/solution`;
/** Keys of a solution Secret's `data`. */
export const SOLUTION_SECRET_VALUE = 'value';
export const SOLUTION_SECRET_USER_AGENT = 'user-agent';

export const TASK_PHASES = ['Pending', 'Submitting', 'Submitted', 'Solved', 'Failed'] as const;
export type TaskPhase = (typeof TASK_PHASES)[number];
export const UNFINISHED_PHASES = ['Pending', 'Submitting', 'Submitted'] as const;

/** Reasons of the condition `Solved`, by its status. The list is closed; docs/api.md is generated from it. */
export const UNKNOWN_REASONS = [
  'Pending',
  'Suspended',
  'MissingAPIKey',
  'AccountExhausted',
  'ProviderBusy',
  'ProviderUnreachable',
  'KeyRejected',
  'Submitting',
  'SubmissionUnknown',
  'AwaitingCallback',
  'Polling',
  'DeadLettered',
] as const;
export type UnknownReason = (typeof UNKNOWN_REASONS)[number];
export const FAILED_REASONS = [
  'ProviderRejected',
  'Unsolvable',
  'DeadlineExceeded',
  'SubmissionUnknown',
  'DeadLetterAbandoned',
  'InvalidTask',
] as const;
export type FailedReason = (typeof FAILED_REASONS)[number];
export type SolvedReason = UnknownReason | FailedReason | 'Solved';

export const FAILURE_CLASSES = ['Permanent', 'Retriable', 'Deadline', 'Unknown', 'DeadLetter'] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];

export const RESULT_SOURCES = ['Callback', 'Poll', 'DeadLetter'] as const;
export type ResultSource = (typeof RESULT_SOURCES)[number];

export const CAPTCHA_TYPES = [
  'RecaptchaV2',
  'RecaptchaV3',
  'Turnstile',
  'CloudflareChallenge',
  'GeeTestV3',
  'GeeTestV4',
  'Image',
  'Grid',
  'BLS',
  'CaptchaFox',
  'FriendlyCaptcha',
  'Lemin',
  'Custom',
] as const;
export type CaptchaType = (typeof CAPTCHA_TYPES)[number];

export const LETTER_PHASES = ['Pending', 'Resolved', 'Superseded', 'Abandoned'] as const;
export type LetterPhase = (typeof LETTER_PHASES)[number];
export const LETTER_STAGES = ['ApplyCallback', 'ApplyPoll', 'WriteSecret'] as const;
export type LetterStage = (typeof LETTER_STAGES)[number];
export const LETTER_ERROR_CLASSES = ['Forbidden', 'Conflict', 'Invalid', 'Quota', 'TooLarge', 'Unavailable'] as const;
export type LetterErrorClass = (typeof LETTER_ERROR_CLASSES)[number];

/** Limits that the schema, the sidecar and the core share. */
export const MAX_SOLUTION_BYTES = 12_288;
export const MAX_CALLBACK_URL_LENGTH = 512;
/** A letter may hold what status may not: as much as one reply of the provider brings. */
export const MAX_LETTER_CODE_LENGTH = 262_144;
