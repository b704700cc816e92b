/**
 * What a release leaves behind for the next one to read: tasks and letters in every state, the Lease, a spool. Stored
 * under test/fixtures/<version>/ by record-release.ts and read by the upgrade tests.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CaptchaTask, CaptchaTaskSpec } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import type { Script } from '../../dev/simulator/script.ts';
import { ROOT } from './kubectl.ts';

export interface ReleaseObjects {
  /** RFC 3339; the times in the objects are shifted by what has passed since. */
  recorded: string;
  tasks: CaptchaTask[];
  letters: DeadLetter[];
  lease: object;
}

/** A callback in the spool, and the task it is for. */
export interface ReleaseSpool {
  task: CaptchaTask;
  value: string;
}

export const FIXTURES = join(ROOT, 'test/fixtures');

/** `v0.1.0`, … in the order of their names. */
export const RELEASES = readdirSync(FIXTURES)
  .filter((name) => /^v\d/.test(name) && existsSync(join(FIXTURES, name, 'objects.json')))
  .toSorted();

export function readFixture<T>(release: string, file: string): T {
  return JSON.parse(readFileSync(join(FIXTURES, release, file), 'utf8')) as T;
}

export interface ReleaseSample {
  name: string;
  spec?: Partial<CaptchaTaskSpec>;
  script?: Script;
  /** It is recorded once its condition Solved has this reason, and it has made so many attempts. */
  reason: string;
  attempts: number;
}

const LOST = { pingbacks: [] };
const OPEN = { ...LOST, result: 'never' as const };

/** One for each state in which an upgrade may find a task. */
export const RELEASE_SAMPLES: readonly ReleaseSample[] = [
  { name: 'solved', reason: 'Solved', attempts: 1 },
  { name: 'polled', spec: { callbackTimeoutSeconds: 1 }, script: { tasks: [LOST] }, reason: 'Solved', attempts: 1 },
  {
    name: 'failed',
    script: { submit: [{ code: 'ERROR_BAD_TOKEN_OR_PAGEURL' }] },
    reason: 'ProviderRejected',
    attempts: 1,
  },
  { name: 'suspended', spec: { suspend: true }, reason: 'Suspended', attempts: 0 },
  {
    name: 'keyless',
    spec: { apiKeySecretRef: { name: 'own-key', key: 'api-key' } },
    reason: 'MissingAPIKey',
    attempts: 0,
  },
  {
    name: 'awaiting',
    spec: { callbackTimeoutSeconds: 20 },
    script: { tasks: [OPEN] },
    reason: 'AwaitingCallback',
    attempts: 1,
  },
  {
    name: 'second',
    spec: { callbackTimeoutSeconds: 20, backoffLimit: 1 },
    script: { tasks: [{ result: { code: 'ERROR_CAPTCHA_UNSOLVABLE' } }, OPEN] },
    reason: 'AwaitingCallback',
    attempts: 2,
  },
  {
    name: 'unknown',
    script: { submit: [{ fault: 'reset', accept: true }], tasks: [OPEN] },
    reason: 'SubmissionUnknown',
    attempts: 1,
  },
  { name: 'lettered', spec: { solutionSecretName: 'foreign' }, reason: 'DeadLettered', attempts: 1 },
];
