/**
 * The mark by which a letter holds its task, beyond its first writing (`letter.ts`): kept up by the letter's own
 * retries where its producer died or another letter's mark came to nothing, and given back where the letter turned out
 * not to be the task's. Used by `core/deadletter/retry`.
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { ObjectRef } from '../../api/conditions.ts';
import type { Protocol } from '../protocol.ts';
import type { Step, TaskCopy } from './task-status.ts';
import { isFinished, markConfirmed, markDropped, marked } from '../task/transitions.ts';
import { readTask, writeTaskStatus } from './task-status.ts';

export interface Hold {
  now: number;
  /** Writes once more although the mark says it already: see `heldStatus`. */
  afresh?: boolean;
  /** Whether a letter of this name exists, as far as the caller can tell; all do where absent. */
  exists?: (letter: string) => boolean;
}

/**
 * The status that makes this existing letter hold the task; undefined where a confirmed mark of an existing letter
 * holds it already. `afresh`: a letter that was created under a mark confirmed earlier replaces one that is gone, and
 * whoever is about to fail the task for that must see the task changed.
 */
export function heldStatus(task: CaptchaTask, name: string, hold: Hold): CaptchaTaskStatus | undefined {
  const mark = task.status?.deadLetter;
  const own = mark?.name === name;
  if (mark?.confirmed === true) {
    const stays = own ? hold.afresh !== true : (hold.exists?.(mark.name) ?? true);
    if (stays) return undefined;
  } else if (own) return markConfirmed(task, hold.now);
  return markConfirmed({ ...task, status: marked(task, name, hold.now) }, hold.now);
}

/** Sees to it that this letter's unfinished task is held. Trouble is left to the letter's next retry. */
export function* holdTask(ref: ObjectRef, letter: string, hold: Hold): Protocol<void> {
  yield* changeMark(ref, (task) => heldStatus(task, letter, hold), 'patch');
}

/** Takes this letter's own mark from its task, exactly as read: another letter's mark stays. True when it is gone. */
export function* releaseTask(ref: ObjectRef, letter: string, now: number): Protocol<boolean> {
  const ownMark = (task: CaptchaTask): boolean => task.status?.deadLetter?.name === letter;
  return yield* changeMark(ref, (task) => (ownMark(task) ? markDropped(task, now) : undefined), 'put');
}

function* changeMark(
  ref: ObjectRef,
  statusOf: (task: CaptchaTask) => CaptchaTaskStatus | undefined,
  how: 'patch' | 'put',
): Protocol<boolean> {
  const read = yield* readTask(ref, 'quorum');
  if (read.kind === 'unavailable') return false;
  const decide = (copy: TaskCopy): Step<undefined> => {
    const { task } = copy;
    const ours = task !== undefined && task.metadata.uid === ref.uid && !isFinished(task);
    const status = ours ? statusOf(task) : undefined;
    return status === undefined ? { kind: 'stop', verdict: undefined } : { kind: 'write', status };
  };
  const written = yield* writeTaskStatus(ref, read.copy, decide, how);
  return written.kind === 'written' || written.kind === 'stopped';
}
