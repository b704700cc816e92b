/**
 * What an entry of the journal means for its task: how the task looks with it, and what shows that it may go. The rules
 * of a task see it like this, and what is written from that view puts the entry into status.
 */
import type { CaptchaTask, CaptchaTaskStatus, Submission } from '../../api/captchatask.ts';
import { firstPollAt } from '../task/polling.ts';
import { parseTime } from '../task/times.ts';
import { intended, isFinished, isUntold, submitted } from '../task/transitions.ts';
import type { Entry } from './entry.ts';

/** Whether this entry is of this very task, and its status does not show it. */
export function isUnshown(task: CaptchaTask, entry: Entry | undefined): entry is Entry {
  return entry !== undefined && entry.uid === task.metadata.uid && !isFinished(task) && isUntold(task, 1);
}

/** The task as if its status showed the entry. What is written from it puts the entry into status. */
export function withEntry(task: CaptchaTask, entry: Entry): CaptchaTask & { status: CaptchaTaskStatus } {
  const { by, intentTime, pingback, captchaID } = entry;
  const at = parseTime(intentTime) ?? 0;
  const begun = { ...task, status: intended(task, { by, pingback, sameAttempt: false }, at) };
  return captchaID === undefined ? begun : { ...begun, status: acceptedStatus(begun, entry, captchaID) };
}

/** Nobody knows any more when the provider accepted it: not before its intent. */
function acceptedStatus(task: CaptchaTask, { intentTime, pingback }: Entry, captchaID: string): CaptchaTaskStatus {
  const at = parseTime(intentTime) ?? 0;
  return submitted(task, captchaID, firstPollAt(task, pingback, at), at);
}

/** The status of this copy with all that the entry says. Of a finished task only the number of its attempts changes. */
export function statusShowing(task: CaptchaTask, entry: Entry): CaptchaTaskStatus {
  if (isUnshown(task, entry)) return withEntry(task, entry).status;
  const { captchaID } = entry;
  if (!isFinished(task) && captchaID !== undefined) return acceptedStatus(task, entry, captchaID);
  return { ...task.status, attempts: Math.max(1, task.status?.attempts ?? 0) };
}

/** Whether this copy of the entry's task shows all that the entry says. It must be in the cache before the entry goes. */
export function isShown(task: CaptchaTask, { uid, captchaID }: Entry): boolean {
  const { attempts = 0, submission } = task.status ?? {};
  if (task.metadata.uid !== uid || attempts < 1) return false;
  return captchaID === undefined || attempts > 1 || isFinished(task) || isAnswered(submission);
}

function isAnswered(submission: Submission | undefined): boolean {
  return submission?.captchaID !== undefined || submission?.endTime !== undefined;
}
