/**
 * Tells an intent of another installation from one of ours. Two installations that watch the same tasks are not fenced
 * from each other: each has a journal of its own, and each pays for every task. Nothing is decided by what is found here;
 * people are told.
 *
 * While this process holds the journal, new intents are its own. What a leader before it wrote may come later: whom it
 * took the journal over from, and whoever has entries in it, is known; all others are believed to have ended a while
 * before. The times that are compared may be of two clocks, so that while is long.
 */
import type { Submission } from '../../api/captchatask.ts';
import { type Millis, parseTime } from '../task/times.ts';
import { ADOPTED } from '../task/transitions.ts';

const AFTER_TAKE_OVER_MS = 60_000;

/** The process that an intent names. */
export function processOf(intentBy: string): string {
  return intentBy.slice(0, Math.max(0, intentBy.lastIndexOf('/')));
}

/**
 * Asked while this process holds the journal.
 * @param kin the processes of this installation, as far as the journal has named them
 * @param takenTime when this process took the journal over, by its own clock
 */
export function isForeign({ intentBy, intentTime }: Submission, kin: ReadonlySet<string>, takenTime: Millis): boolean {
  if (intentBy === ADOPTED || kin.has(processOf(intentBy))) return false;
  return (parseTime(intentTime) ?? -Infinity) > takenTime + AFTER_TAKE_OVER_MS;
}
