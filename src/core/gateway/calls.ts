/**
 * What the gateway does at the Kubernetes API, as protocols: create a task whose name was chosen before, look one up,
 * take one back. Each is one pass; who waits and tries again is the shell. None of them changes a task.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import { API_VERSION, CAPTCHA_TASK, GATEWAY_LABEL } from '../../api/names.ts';
import type { ApiReply, Protocol } from '../protocol.ts';
import { refusalOf, type Refusal, type Submission } from './submission.ts';

export interface NewTask {
  namespace: string;
  name: string;
  submission: Submission & { ok: true };
  ttlSeconds: number;
}

export type Placed =
  | { kind: 'created'; task: CaptchaTask }
  /** Another task has the name: choose another. */
  | { kind: 'taken' }
  /** The schema refuses it, for good. */
  | { kind: 'refused'; refusal: Refusal }
  /** Not now. `mayExist`: an earlier try or this one may have been acted on. */
  | { kind: 'away'; mayExist: boolean; reason: string }
  /** Nothing that waiting helps: no right, no namespace, a quota. */
  | { kind: 'barred'; reason: string };

/** `mayExist`: an earlier try had no answer, so that a task of this name is the one that it made. */
export function* placeTask(task: NewTask, mayExist: boolean): Protocol<Placed> {
  const { namespace, name } = task;
  const made = yield { verb: 'create', resource: CAPTCHA_TASK, namespace, object: objectOf(task) };
  if (made.ok) return { kind: 'created', task: made.object as CaptchaTask };
  if (made.reason !== 'AlreadyExists') return refused(made, mayExist);
  if (!mayExist) return { kind: 'taken' };
  const read = yield { verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' };
  if (read.ok) return { kind: 'created', task: read.object as CaptchaTask };
  return { kind: 'away', mayExist: true, reason: read.reason };
}

function refused(reply: Exclude<ApiReply, { ok: true }>, mayExist: boolean): Placed {
  if (reply.transient) return { kind: 'away', mayExist: mayExist || reply.sent, reason: reply.reason };
  if (reply.status === 422 || reply.status === 400) return { kind: 'refused', refusal: refusalOf(reply.message) };
  return { kind: 'barred', reason: reply.reason };
}

function objectOf({ namespace, name, submission, ttlSeconds }: NewTask): object {
  const { captcha, proxy } = submission;
  return {
    apiVersion: API_VERSION,
    kind: CAPTCHA_TASK.kind,
    metadata: { namespace, name, labels: { [GATEWAY_LABEL]: 'true' } },
    spec: { captcha, ...(proxy === undefined ? {} : { proxy }), ttlSecondsAfterFinished: ttlSeconds },
  };
}

export type Found = { kind: 'found'; task: CaptchaTask } | { kind: 'gone' } | { kind: 'away' };

/** What a cache does not know is not proved to be gone: only this read proves it. */
export function* findTask(namespace: string, name: string): Protocol<Found> {
  const read = yield { verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' };
  if (read.ok) {
    const task = read.object as CaptchaTask;
    return task.metadata.labels?.[GATEWAY_LABEL] === 'true' ? { kind: 'found', task } : { kind: 'gone' };
  }
  return read.transient || read.status !== 404 ? { kind: 'away' } : { kind: 'gone' };
}

/** Takes back what nobody will ask for: its client was told "no", or has left. */
export function* withdrawTask(namespace: string, name: string): Protocol<'withdrawn' | 'gone' | 'away'> {
  const found = yield* findTask(namespace, name);
  if (found.kind !== 'found') return found.kind;
  const { uid } = found.task.metadata;
  const reply = yield { verb: 'delete', resource: CAPTCHA_TASK, namespace, name, preconditions: { uid } };
  return reply.ok || !reply.transient ? 'withdrawn' : 'away';
}
