/**
 * Waits for the end of one CaptchaTask: list it, watch it from there, and again when the watch ends, until it is solved
 * or failed, gone, or the caller's time is over. It never changes the task. Called through `client/index.ts`.
 */
import type { CaptchaTask, Solution } from '../api/captchatask.ts';
import type { ObjectRef } from '../api/conditions.ts';
import type { FailedReason } from '../api/names.ts';
import { CAPTCHA_TASK, SECRET, SOLUTION_SECRET_USER_AGENT, SOLUTION_SECRET_VALUE } from '../api/names.ts';
import type { KubeClient } from '../kube/client.ts';
import { pause } from '../kube/pause.ts';
import { refusedBy, retryBackoff, signalOf } from './tasks.ts';
import type { Refused, SolvedValue, Waited, WaitLimits } from './types.ts';

/** A living watch is never silent for longer: bookmarks come about every minute. */
const SILENCE_MS = 90_000;

interface Wait {
  kube: KubeClient;
  ref: ObjectRef;
  signal: AbortSignal;
  last?: CaptchaTask;
  onChange: WaitLimits['onChange'];
}

export async function waitForSolved(kube: KubeClient, ref: ObjectRef, limits: WaitLimits): Promise<Waited> {
  const wait: Wait = { kube, ref, signal: signalOf(limits), onChange: limits.onChange };
  const backoff = retryBackoff();
  let failures = 0;
  while (!wait.signal.aborted) {
    const look = await listAndWatch(wait);
    if (typeof look === 'object') return look;
    failures = look === 'trouble' ? failures + 1 : 0;
    if (failures > 0) await pause(backoff(failures), wait.signal);
  }
  if (limits.signal?.aborted) return { kind: 'aborted' };
  return { kind: 'timedOut', ...(wait.last === undefined ? {} : { task: wait.last }) };
}

/** `again`: the watch ended as watches do. `trouble`: wait a little before the next try. */
async function listAndWatch(wait: Wait): Promise<Waited | 'again' | 'trouble'> {
  const { kube, ref, signal } = wait;
  const selection = { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}` };
  const page = await kube.list(CAPTCHA_TASK, { ...selection, signal });
  if (!page.ok) return page.transient ? 'trouble' : refusedBy(page);
  const found = (page.items as unknown as CaptchaTask[]).find((item) => item.metadata.uid === ref.uid);
  if (found === undefined) return { kind: 'gone' };
  see(wait, found);
  return isFinished(found) ? concluded(wait, found) : watchFrom(wait, page.resourceVersion);
}

async function watchFrom(wait: Wait, resourceVersion: string): Promise<Waited | 'again' | 'trouble'> {
  const { kube, ref, signal } = wait;
  const done = new AbortController();
  let isGone = false;
  const end = await kube.watch(CAPTCHA_TASK, {
    namespace: ref.namespace,
    fieldSelector: `metadata.name=${ref.name}`,
    resourceVersion,
    signal: AbortSignal.any([signal, done.signal]),
    silenceMs: SILENCE_MS,
    onEvent: (type, object) => {
      if (type === 'BOOKMARK') return;
      const task = object as unknown as CaptchaTask;
      if (task.metadata.uid === ref.uid) see(wait, task);
      // Seen by the uid, so that a deletion and a creation in one breath are not mistaken for a change.
      isGone = type === 'DELETED' || task.metadata.uid !== ref.uid;
      if (isGone || isFinished(task)) done.abort();
    },
  });
  if (wait.last !== undefined && isFinished(wait.last)) return concluded(wait, wait.last);
  if (isGone) return { kind: 'gone' };
  if (end.kind !== 'failed') return 'again';
  return end.failure.transient ? 'trouble' : refusedBy(end.failure);
}

function see(wait: Wait, task: CaptchaTask): void {
  if (wait.last?.metadata.resourceVersion !== task.metadata.resourceVersion) wait.onChange?.(task);
  wait.last = task;
}

function isFinished(task: CaptchaTask): boolean {
  return task.status?.phase === 'Solved' || task.status?.phase === 'Failed';
}

async function concluded(wait: Wait, task: CaptchaTask): Promise<Waited | 'trouble'> {
  const { solution } = task.status ?? {};
  if (solution === undefined) return failedWith(task);
  if (solution.secretRef !== undefined) {
    const read = await readSecret(wait, solution.secretRef.name);
    return 'value' in read ? { kind: 'solved', task, solution: { ...read, ...lifeOf(solution) } } : read.result;
  }
  const agent = solution.userAgent === undefined ? {} : { userAgent: solution.userAgent };
  return { kind: 'solved', task, solution: { value: solution.value ?? '', ...agent, ...lifeOf(solution) } };
}

function lifeOf({ freshUntilTime, expiresTime }: Solution): Omit<SolvedValue, 'value' | 'userAgent'> {
  const freshForMs = freshUntilTime === undefined ? undefined : Date.parse(freshUntilTime) - Date.now();
  return {
    ...(freshUntilTime === undefined ? {} : { freshUntilTime }),
    ...(freshForMs === undefined ? {} : { freshForMs: Math.max(0, freshForMs) }),
    ...(expiresTime === undefined ? {} : { expiresTime }),
  };
}

function failedWith(task: CaptchaTask): Waited {
  const solved = task.status?.conditions?.find((condition) => condition.type === 'Solved');
  const reason = (solved?.reason ?? 'InvalidTask') as FailedReason;
  return { kind: 'failed', task, reason, message: task.status?.failure?.message ?? solved?.message ?? '' };
}

/** The caller needs `get` on Secrets for tasks with `solutionSecretName`. */
async function readSecret(wait: Wait, name: string): Promise<SolvedValue | { result: Refused | 'trouble' }> {
  const { kube, ref, signal } = wait;
  const reply = await kube.execute(
    { verb: 'get', resource: SECRET, namespace: ref.namespace, name, read: 'quorum' },
    { signal },
  );
  if (!reply.ok) return { result: reply.transient ? 'trouble' : refusedBy(reply) };
  const { data = {} } = reply.object as { data?: Record<string, string> };
  const text = (key: string): string | undefined =>
    data[key] === undefined ? undefined : Buffer.from(data[key], 'base64').toString('utf8');
  const userAgent = text(SOLUTION_SECRET_USER_AGENT);
  return { value: text(SOLUTION_SECRET_VALUE) ?? '', ...(userAgent === undefined ? {} : { userAgent }) };
}
