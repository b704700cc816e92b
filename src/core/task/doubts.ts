/**
 * A write whose reply was lost, and what a later copy of the task says about it. Such a write is counted and told when
 * a copy proves it, and forgotten when a newer copy does not show it. Only what people are told depends on it: that no
 * submission is paid twice is the fence of the intent, which is settled by a read of its own (`steps.ts`).
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { ReceivedResult } from '../delivery/types.ts';
import { shows } from './patch.ts';
import { formatTime } from './times.ts';

export interface Doubt {
  /** The copy that the write was checked against. */
  before: CaptchaTask;
  /** A status as it was sent, or a result on its way into status. */
  sent: { status: CaptchaTaskStatus } | { result: ReceivedResult };
}

/** Whether this copy is newer than the one that the write was checked against, so that it tells. */
export function isSettledBy({ before }: Doubt, copy: CaptchaTask): boolean {
  return before.metadata.resourceVersion !== copy.metadata.resourceVersion;
}

/** The task as the write in doubt made it, where this copy proves that it did. */
export function provenBy({ before, sent }: Doubt, copy: CaptchaTask): CaptchaTask | undefined {
  if (before.metadata.uid !== copy.metadata.uid) return undefined;
  if ('result' in sent) return holdsOwn(copy, sent.result) ? copy : undefined;
  return showsWrite(copy, before, sent.status) ? { ...copy, status: sent.status } : undefined;
}

/** An intent has a name of its own, which stays when others write after it. */
function showsWrite({ status }: CaptchaTask, before: CaptchaTask, written: CaptchaTaskStatus): boolean {
  const by = written.submission?.intentBy;
  if (by !== undefined && by !== before.status?.submission?.intentBy) return status?.submission?.intentBy === by;
  return status !== undefined && shows(status, before.status, written);
}

/**
 * The very result that this process polled is there: it wrote it. What a Secret held is not ours to count again: whoever
 * put it there may have written the status, too.
 */
export function holdsOwn({ status }: CaptchaTask, result: ReceivedResult): boolean {
  const { source, receivedTime } = status?.solution ?? {};
  return result.source === 'Poll' && source === 'Poll' && receivedTime === formatTime(result.receivedTime);
}
