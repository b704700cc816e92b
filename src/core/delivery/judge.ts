/**
 * What a result means for a task as it was just read. The order of the questions is the contract's (section 6): whose
 * object is it, is it finished, whose attempt, whose id. Only a quorum read proves absence, and a copy that has not
 * yet heard of the result's attempt is too old to judge by; only of the first submission status may not know yet, so that
 * any copy will do whose write is checked against its resourceVersion (`task-status.ts`). Changes nothing; every step of
 * a delivery asks it again for every fresh copy.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { ReceivedResult } from './types.ts';
import type { TaskCopy } from './task-status.ts';
import { isFinished, isUntold } from '../task/transitions.ts';

export type Judgement =
  /** Unfinished, and the result is the current attempt's or an earlier one's. */
  | { kind: 'open'; task: CaptchaTask }
  | { kind: 'unproven' }
  | { kind: 'gone' }
  | { kind: 'recreated'; task: CaptchaTask }
  | { kind: 'finished'; task: CaptchaTask }
  /** The current attempt has another id: the result is not applied, the provider is asked. */
  | { kind: 'otherId'; task: CaptchaTask };

type Asked = Pick<ReceivedResult, 'task' | 'attempt' | 'captchaID'>;

export function judge(copy: TaskCopy, result: Asked): Judgement {
  const { task, quorum } = copy;
  if (task?.metadata.uid !== result.task.uid) return notOurs(copy);
  if (isFinished(task)) return { kind: 'finished', task };
  const attempts = task.status?.attempts ?? 0;
  if (result.attempt > attempts && !quorum && !isUntold(task, result.attempt)) return { kind: 'unproven' };
  return hasOtherId(task, result) ? { kind: 'otherId', task } : { kind: 'open', task };
}

function notOurs({ task, quorum }: TaskCopy): Judgement {
  if (!quorum) return { kind: 'unproven' };
  return task === undefined ? { kind: 'gone' } : { kind: 'recreated', task };
}

/** Ids are compared for the current attempt only; while it has none, the result may supply it. */
function hasOtherId(task: CaptchaTask, result: Asked): boolean {
  const submission = task.status?.submission;
  if (submission?.captchaID === undefined || submission.attempt !== result.attempt) return false;
  return submission.captchaID !== result.captchaID;
}
