/**
 * The thread pool of one account, as far as `threadsinfo` tells it. The provider may refuse a submission while all
 * threads are busy, or accept it and let it wait without a word; so no more is submitted than has a thread. One look
 * says how many are at work, for whomever: what is not ours of that belongs to others, who are other programs with the
 * same key, tasks that were deleted here, and tasks so old that their permits ended.
 *
 * It also tells the two meanings of "no balance" apart: no free thread, or an account that can buy nothing.
 * A mutable value and its functions, without I/O, clock or chance; each lane of `core/task/lane` has one.
 */
import type { ThreadCounts } from '../outcome.ts';

/** One look is a race: a thread may have become free since the refusal. */
const BETWEEN_LOOKS_MS = 10_000;

export interface Pool {
  /** Undefined while nobody has said a positive number. */
  total: number | undefined;
  /** At work when it was looked last; undefined where that look did not say it. */
  working: number | undefined;
  /** Of those at work, the ones that hold no permit of ours. */
  others: number;
  /** "No balance" was answered since the last look began. */
  refused: boolean;
  /** When such an answer and the look after it contradicted each other first, and have since. */
  contradictedMono: number | undefined;
}

/** One call of `threadsinfo`: what was the case when it began. */
export interface Look {
  ours: number;
  refused: boolean;
}

export function createPool(): Pool {
  return { total: undefined, working: undefined, others: 0, refused: false, contradictedMono: undefined };
}

/** @param ours permits and calls under way */
export function beginLook(pool: Pool, ours: number): Look {
  const look = { ours, refused: pool.refused };
  pool.refused = false;
  return look;
}

/** What a look proves about "no balance". */
export type Verdict = 'exhausted' | 'busy' | undefined;

/** The look is over. Without an answer the number of threads stands, and who uses them is not known. */
export function endLook(
  pool: Pool,
  look: Look,
  counts: ThreadCounts | undefined,
  { ours, mono }: { ours: number; mono: number },
): Verdict {
  if (counts !== undefined && counts.threads > 0) pool.total = counts.threads;
  pool.working = counts?.working;
  // A task that ended, or was accepted, during the look may or may not be counted: no thread of ours is another's.
  pool.others = Math.max(0, (pool.working ?? 0) - Math.max(look.ours, ours));
  if (!look.refused || counts === undefined) return undefined;
  if (!contradicts(counts, ours)) {
    pool.contradictedMono = undefined;
    return 'busy';
  }
  pool.contradictedMono ??= mono;
  return mono - pool.contradictedMono >= BETWEEN_LOOKS_MS ? 'exhausted' : undefined;
}

/** Free threads, or none at all; but who has tasks at work has threads, whatever that number says. */
function contradicts({ threads, working = threads }: ThreadCounts, ours: number): boolean {
  return threads === 0 ? ours === 0 : working < threads;
}

/** A submission was accepted: the account can buy. */
export function bought(pool: Pool): void {
  pool.refused = false;
  pool.contradictedMono = undefined;
}

/** Permits ended by themselves. Whether their tasks hold their threads still is for the next look to say. */
export function outlived(pool: Pool, permits: number): void {
  if (pool.working !== undefined) pool.others += permits;
}
