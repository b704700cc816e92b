/**
 * Everything the task controller can be told to do, as one closed union. `decide` chooses, `controllers/task/perform`
 * has one case for each, and the compiler lists both places when one is added. Effects are orders; what came of them
 * is folded into `TaskMemory` or read back from the object.
 */
import type { CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { Entry } from '../journal/entry.ts';
import type { Rest } from './memory.ts';

export type TaskEffect =
  /** One version-checked write. */
  | { kind: 'writeStatus'; status: CaptchaTaskStatus }
  /** The same, and the submit reply in memory is settled by it; the task itself rests for `restMs`. */
  | { kind: 'recordReply'; status: CaptchaTaskStatus; restMs?: number }
  /** The submit reply needs no write (finished, ended, the same id is there, or another id wins). */
  | { kind: 'settleReply'; conflict: boolean }
  /** The intent; the writer that gets 200 holds the right to one provider call. */
  | { kind: 'writeIntent'; status: CaptchaTaskStatus; by: string; pingbackURL?: string | undefined }
  /** The intent of a first submission, entered into the journal; allowed once its write is answered. */
  | { kind: 'enterIntent'; entry: Entry; pingbackURL?: string | undefined }
  /** The id of an accepted first submission, put into its entry; its reply is kept until status shows it. */
  | { kind: 'enterID'; by: string; captchaID: string }
  /** The entry of a submission that was not accepted leaves the journal; its reply is settled when that is sent. */
  | { kind: 'dropEntry'; by: string; rest: Rest }
  /** A quorum read that tells whether the intent in memory was written. */
  | { kind: 'settleDoubt' }
  /** The call of the intent in memory; once, while it is fresh. */
  | { kind: 'submit' }
  /** Gives the right to that call up, for good: from now on the intent is provably not accepted. */
  | { kind: 'forgoCall' }
  | { kind: 'poll'; final: boolean }
  /** A final answer of a poll that is no result, written; then forgotten. */
  | { kind: 'recordRefusal'; status: CaptchaTaskStatus }
  /** Brings the result in memory to the task. */
  | { kind: 'deliver' }
  | { kind: 'readKey' }
  /** Reads what the submission needs beside the key: the proxy's address, the image. */
  | { kind: 'readSources' }
  /** A quorum read of the letter that the task's mark names. */
  | { kind: 'readLetter' }
  /** Looks for a solution Secret that this task owns. */
  | { kind: 'readSolutionSecret' }
  | { kind: 'joinLane' }
  | { kind: 'leaveLane' };
