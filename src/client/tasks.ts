/**
 * Creating and deleting one CaptchaTask, each safe to repeat: creation goes by name, deletion by uid. Trouble that may
 * pass is ridden out until the deadline; what will not pass is returned. Called through `client/index.ts`.
 */
import type { CaptchaTask } from '../api/captchatask.ts';
import type { ObjectRef } from '../api/conditions.ts';
import { API_VERSION, CAPTCHA_TASK } from '../api/names.ts';
import { exponentialBackoff } from '../waiting/backoff.ts';
import type { KubeClient } from '../kube/client.ts';
import { pause } from '../kube/pause.ts';
import type { ApiFailure, ApiRequest } from '../kube/types.ts';
import type { CallLimits, Created, Deleted, Found, NewTask, Refused } from './types.ts';

const DEFAULT_TIMEOUT_MS = 30_000;

export async function createTask(kube: KubeClient, task: NewTask, limits: CallLimits): Promise<Created> {
  const { name, namespace } = task.metadata;
  const object = { apiVersion: API_VERSION, kind: CAPTCHA_TASK.kind, ...task };
  return persist(limits, async (signal) => {
    const made = await kube.execute({ verb: 'create', resource: CAPTCHA_TASK, namespace, object }, { signal });
    if (made.ok) return { kind: 'created', task: made.object as CaptchaTask };
    if (made.reason !== 'AlreadyExists') return made;
    const read = await kube.execute(readOf(namespace, name), { signal });
    // Deleted in between: worth another try.
    if (!read.ok) return read.status === 404 ? { ...read, transient: true } : read;
    const found = read.object as CaptchaTask;
    return { kind: contains(found.spec.captcha, task.spec.captcha) ? 'existing' : 'taken', task: found };
  });
}

export async function getTask(
  kube: KubeClient,
  at: Pick<ObjectRef, 'namespace' | 'name'>,
  limits: CallLimits,
): Promise<Found> {
  return persist(limits, async (signal): Promise<Found | ApiFailure> => {
    const reply = await kube.execute(readOf(at.namespace, at.name), { signal });
    if (reply.ok) return { kind: 'found', task: reply.object as CaptchaTask };
    return reply.status === 404 && !reply.transient ? { kind: 'gone' } : reply;
  });
}

export async function deleteTask(kube: KubeClient, task: ObjectRef, limits: CallLimits): Promise<Deleted> {
  const { namespace, name, uid } = task;
  return persist(limits, async (signal): Promise<Deleted | ApiFailure> => {
    const reply = await kube.execute(
      { verb: 'delete', resource: CAPTCHA_TASK, namespace, name, preconditions: { uid } },
      { signal },
    );
    if (reply.ok) return { kind: 'deleted' };
    // 409: another task has the name now, so ours is gone.
    return (reply.status === 404 && !reply.transient) || reply.status === 409 ? { kind: 'gone' } : reply;
  });
}

function readOf(namespace: string, name: string): ApiRequest {
  return { verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' };
}

export function refusedBy(failure: ApiFailure): Refused {
  return { kind: 'refused', status: failure.status, reason: failure.reason, message: failure.message };
}

/** Tries again while the trouble may pass; the last failure is what the caller gets at the deadline. */
async function persist<T extends { kind: string }>(
  limits: CallLimits,
  attempt: (signal: AbortSignal) => Promise<T | ApiFailure>,
): Promise<T | Refused> {
  const signal = signalOf(limits);
  const backoff = retryBackoff();
  for (let failures = 1; ; failures += 1) {
    const result = await attempt(signal);
    if ('kind' in result) return result;
    if (!result.transient || !(await pause(backoff(failures), signal))) return refusedBy(result);
  }
}

export function signalOf({ signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallLimits): AbortSignal {
  const deadline = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
}

export function retryBackoff(): (failures: number) => number {
  return exponentialBackoff({ baseMs: 200, maxMs: 5_000, random: Math.random });
}

/** Whether `whole` has everything that `part` says; the API server may have added defaults. */
function contains(whole: unknown, part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return whole === part;
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole) !== Array.isArray(part)) return false;
  if (Array.isArray(part) && part.length !== (whole as unknown[]).length) return false;
  return Object.entries(part).every(([key, value]) => contains((whole as Record<string, unknown>)[key], value));
}
