/**
 * One change of a task's status from anywhere: a patch that tests uid, phase and attempts, and therefore needs no fresh
 * copy; a PUT where there is no status yet to test, where the write tells status of its first submission, or where the
 * caller asks for an exact match (`put`). When it misses,
 * the object is read (quorum) and the caller judges again. A 422 does not say whether a test failed or the API refuses
 * the new status: after one, an object that still matches is written once more by PUT, and only a 422 to that proves the
 * refusal. A write whose reply was lost is looked for once, so that who made it counts it.
 *
 * It judges nothing: what a copy means, and what is to be written to it, is the caller's.
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { ObjectRef } from '../../api/conditions.ts';
import type { LetterError } from '../../api/deadletter.ts';
import type { ApiRequest, Protocol } from '../protocol.ts';
import type { Refused } from './trouble.ts';
import { API_VERSION, CAPTCHA_TASK } from '../../api/names.ts';
import { conditionalPatch, shows } from '../task/patch.ts';
import { isUntold } from '../task/transitions.ts';
import { troubleOf } from './trouble.ts';

/** A task as it was read, or its absence. Only a quorum read proves that it is gone or recreated. */
export interface TaskCopy {
  task: CaptchaTask | undefined;
  quorum: boolean;
}

/** What the caller makes of a copy: a new status, another look, or the end of it. */
export type Step<Verdict> =
  | { kind: 'write'; status: CaptchaTaskStatus }
  | { kind: 'reread' }
  | { kind: 'stop'; verdict: Verdict };

export type Written<Verdict> =
  /** `before`: the copy that was judged. */
  | { kind: 'written'; before: CaptchaTask; task: CaptchaTask }
  | { kind: 'stopped'; verdict: Verdict; copy: TaskCopy }
  /** Proved: the API will not take this status from us. */
  | { kind: 'refused'; error: LetterError; copy: TaskCopy }
  | { kind: 'unavailable'; error: LetterError };

/** Others write the same task now and then, not in turns: more rounds than this is a storm, and the caller comes back. */
const MAX_ROUNDS = 6;

/** Reads the task. A cached read may be stale. */
export function* readTask(
  ref: ObjectRef,
  read: 'cached' | 'quorum',
): Protocol<{ kind: 'read'; copy: TaskCopy } | { kind: 'unavailable'; error: LetterError }> {
  const reply = yield { verb: 'get', resource: CAPTCHA_TASK, namespace: ref.namespace, name: ref.name, read };
  const quorum = read === 'quorum';
  if (reply.ok) return { kind: 'read', copy: { task: reply.object as CaptchaTask, quorum } };
  if (reply.status === 404 && !reply.transient) return { kind: 'read', copy: { task: undefined, quorum } };
  return { kind: 'unavailable', error: troubleOf(reply, 'reading the task').error };
}

/** Writes what `decide` makes of the task, asking it again whenever the object turned out to be another than thought. */
export function* writeTaskStatus<Verdict>(
  ref: ObjectRef,
  start: TaskCopy,
  decide: (copy: TaskCopy) => Step<Verdict>,
  how: 'patch' | 'put' = 'patch',
): Protocol<Written<Verdict>> {
  let copy = start;
  let byPut = how === 'put';
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const step = decide(copy);
    if (step.kind === 'stop') return { kind: 'stopped', verdict: step.verdict, copy };
    const tried = step.kind === 'write' ? yield* tryWrite(copy, step.status, byPut) : MISSED;
    if (tried.kind !== 'missed') return tried;
    const fresh = yield* readTask(ref, 'quorum');
    if (fresh.kind === 'unavailable') return fresh;
    byPut = how === 'put' || (tried.refused && sameTested(copy.task, fresh.copy.task));
    copy = fresh.copy;
  }
  return { kind: 'unavailable', error: { class: 'Unavailable', message: 'The task is being changed by others.' } };
}

/** `refused`: as invalid, unless a test of the patch failed. */
type Tried = Exclude<Written<never>, { kind: 'stopped' }> | { kind: 'missed'; refused: boolean };

const MISSED: Tried = { kind: 'missed', refused: false };

function* tryWrite(copy: TaskCopy, status: CaptchaTaskStatus, byPut: boolean): Protocol<Tried> {
  if (copy.task === undefined) return MISSED;
  const request = statusWrite(copy.task, status, byPut);
  const reply = yield request;
  if (reply.ok) return { kind: 'written', before: copy.task, task: reply.object as CaptchaTask };
  if (reply.transient && reply.sent && reply.status !== 429) {
    const made = yield* ownWrite(copy.task, status);
    if (made !== undefined) return { kind: 'written', before: copy.task, task: made };
  }
  const refused = reply.status === 422 || reply.status === 400;
  return endOf(reply, request, copy) ?? { kind: 'missed', refused };
}

/** The task as it shows the very change that was sent. */
function* ownWrite(before: CaptchaTask, status: CaptchaTaskStatus): Protocol<CaptchaTask | undefined> {
  const seen = yield* readTask(before.metadata, 'quorum');
  const task = seen.kind === 'read' ? seen.copy.task : undefined;
  if (task?.status === undefined || task.metadata.uid !== before.metadata.uid) return undefined;
  return shows(task.status, before.status, status) ? task : undefined;
}

function statusWrite(task: CaptchaTask, status: CaptchaTaskStatus, byPut: boolean): ApiRequest {
  const { namespace, name, uid, resourceVersion } = task.metadata;
  const adopts = isUntold(task, status.attempts ?? 0);
  const patch = byPut || adopts ? undefined : conditionalPatch(task, status, { phase: true, attempts: true });
  const target = { resource: CAPTCHA_TASK, namespace, name };
  if (patch !== undefined) return { verb: 'patchStatus', ...target, patch };
  const metadata = { namespace, name, uid, resourceVersion };
  return {
    verb: 'replaceStatus',
    ...target,
    object: { apiVersion: API_VERSION, kind: CAPTCHA_TASK.kind, metadata, status },
  };
}

/** How the write ended for good; undefined where only a fresh look can tell. */
function endOf(
  reply: Refused,
  request: ApiRequest,
  copy: TaskCopy,
): Extract<Written<never>, { kind: 'refused' | 'unavailable' }> | undefined {
  const { cure, error } = troubleOf(reply, "writing the task's status");
  if (reply.transient) return { kind: 'unavailable', error };
  const lookAgain = reply.status === 404 || reply.status === 409;
  const mayBeTest = (reply.status === 422 || reply.status === 400) && request.verb === 'patchStatus';
  if (lookAgain || mayBeTest) return undefined;
  return cure === 'soon' ? { kind: 'unavailable', error } : { kind: 'refused', error, copy };
}

function sameTested(before: CaptchaTask | undefined, now: CaptchaTask | undefined): boolean {
  return testedFields(before) === testedFields(now);
}

function testedFields(task: CaptchaTask | undefined): string {
  return JSON.stringify([task?.metadata.uid, task?.status?.phase, task?.status?.attempts]);
}
