/**
 * Builds CaptchaTasks for tests by the same transitions that the product uses, so that no test invents a status that
 * cannot exist: `aTask().intended(t0).submitted(t0 + 100).build()`. Times are epoch milliseconds.
 */
import type { CaptchaTask, CaptchaTaskSpec, CaptchaTaskStatus, Solution } from '../../src/api/captchatask.ts';
import type { FailedReason, FailureClass, UnknownReason } from '../../src/api/names.ts';
import { API_VERSION, SECRET } from '../../src/api/names.ts';
import * as transitions from '../../src/core/task/transitions.ts';
import { formatTime } from '../../src/core/task/times.ts';

/** An instant in whole seconds that tests count from. */
export const T0 = Date.parse('2026-01-01T00:00:00Z');
export const CAPTCHA_ID = '7383820914';

export interface TaskBuilder {
  spec(change: Partial<CaptchaTaskSpec>): TaskBuilder;
  named(name: string, namespace?: string): TaskBuilder;
  uid(uid: string): TaskBuilder;
  created(at: number): TaskBuilder;
  status(status: CaptchaTaskStatus): TaskBuilder;
  waiting(reason: UnknownReason, at?: number): TaskBuilder;
  intended(at?: number, options?: { by?: string; pingback?: boolean; sameAttempt?: boolean }): TaskBuilder;
  submitted(at?: number, options?: { captchaID?: string; pollAfter?: number }): TaskBuilder;
  notAccepted(reason: UnknownReason, at?: number): TaskBuilder;
  attemptEnded(code?: string, at?: number): TaskBuilder;
  solved(at?: number, solution?: Partial<Solution>): TaskBuilder;
  failed(at?: number, failure?: { class: FailureClass; reason: FailedReason; code?: string }): TaskBuilder;
  marked(letter?: string, at?: number): TaskBuilder;
  markConfirmed(at?: number): TaskBuilder;
  build(): CaptchaTask;
}

export function aTask(): TaskBuilder {
  return builderOf({
    apiVersion: API_VERSION,
    kind: 'CaptchaTask',
    metadata: {
      name: 'login',
      namespace: 'default',
      uid: 'b7b2a1c0-0000-4000-8000-000000000001',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: formatTime(T0),
    },
    spec: {
      captcha: { type: 'RecaptchaV2', recaptchaV2: { siteKey: 'site-key', pageURL: 'https://example.com/login' } },
      delivery: 'Callback',
      callbackTimeoutSeconds: 120,
      activeDeadlineSeconds: 600,
      backoffLimit: 0,
      suspend: false,
    },
  });
}

function builderOf(task: CaptchaTask): TaskBuilder {
  const status = (next: CaptchaTaskStatus): TaskBuilder => {
    const resourceVersion = String(Number(task.metadata.resourceVersion) + 1);
    return builderOf({ ...task, metadata: { ...task.metadata, resourceVersion }, status: next });
  };
  const metadata = (change: Partial<CaptchaTask['metadata']>): TaskBuilder =>
    builderOf({ ...task, metadata: { ...task.metadata, ...change } });
  return {
    spec: (change) => builderOf({ ...task, spec: { ...task.spec, ...change } }),
    named: (name, namespace = task.metadata.namespace) => metadata({ name, namespace }),
    uid: (uid) => metadata({ uid }),
    created: (at) => metadata({ creationTimestamp: formatTime(at) }),
    status,
    waiting: (reason, at = T0) => status(transitions.waiting(task, reason, at)),
    intended: (at = T0, options = {}) =>
      status(transitions.intended(task, { by: 'operator-a/1', pingback: true, sameAttempt: false, ...options }, at)),
    submitted: (at = T0, options = {}) =>
      status(transitions.submitted(task, options.captchaID ?? CAPTCHA_ID, options.pollAfter ?? at + 120_000, at)),
    notAccepted: (reason, at = T0) => status(transitions.notAccepted(task, reason, at)),
    attemptEnded: (code = 'ERROR_CAPTCHA_UNSOLVABLE', at = T0) => status(transitions.attemptEnded(task, code, at)),
    solved: (at = T0, solution = {}) => {
      const whole: Solution = {
        value: 'the-solution',
        source: 'Callback',
        attempt: task.status?.attempts ?? 1,
        captchaID: task.status?.submission?.captchaID ?? CAPTCHA_ID,
        receivedTime: formatTime(at),
        ...solution,
      };
      return status(transitions.solved(task, whole, at));
    },
    failed: (at = T0, failure = { class: 'Permanent', reason: 'ProviderRejected' }) =>
      status(transitions.failed(task, { message: 'The provider rejected the task.', ...failure }, at)),
    marked: (letter = 'login-letter', at = T0) => status(transitions.marked(task, letter, at)),
    markConfirmed: (at = T0) => status(transitions.markConfirmed(task, at)),
    build: () => structuredClone(task),
  };
}

/** A Secret as somebody's other hand creates it. */
export function aSecret(name: string, data: Record<string, string>, type = 'Opaque'): object {
  const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  return {
    kind: SECRET.kind,
    type,
    metadata: {
      name,
      namespace: 'default',
      uid: `uid-of-${name}`,
      resourceVersion: '1',
      creationTimestamp: formatTime(0),
    },
    data: Object.fromEntries(encoded) as Record<string, string>,
  };
}
