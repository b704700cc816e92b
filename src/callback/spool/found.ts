/**
 * The records found in one segment, packed: twenty bytes each instead of an object each, so that a spool that was
 * filled beyond what a process may hold in memory can still be opened, and drained segment by segment. No I/O.
 */
import type { Place } from './journal.ts';
import type { Segment } from './segment.ts';

/** One record, as the scan of its segment shows it. */
export interface FoundRecord extends Pick<Place, 'offset' | 'length'> {
  receivedTime: number;
  /** See `taskKeyOf`. */
  task: number;
}

export interface FoundSegment {
  segment: Segment;
  offsets: Uint32Array;
  lengths: Uint32Array;
  times: Float64Array;
  tasks: Int32Array;
  /** When its oldest record was received; `Infinity` without one. */
  oldest: number;
}

export function packFound(segment: Segment, records: readonly FoundRecord[]): FoundSegment {
  return {
    segment,
    offsets: Uint32Array.from(records, ({ offset }) => offset),
    lengths: Uint32Array.from(records, ({ length }) => length),
    times: Float64Array.from(records, ({ receivedTime }) => receivedTime),
    tasks: Int32Array.from(records, ({ task }) => task),
    oldest: records.reduce((oldest, { receivedTime }) => Math.min(oldest, receivedTime), Number.POSITIVE_INFINITY),
  };
}

export function countOf({ offsets }: FoundSegment): number {
  return offsets.length;
}

export function unpackFound(found: FoundSegment): (FoundRecord & { segment: Segment })[] {
  const { segment, lengths, times, tasks } = found;
  return Array.from(found.offsets, (offset, index) => ({
    segment,
    offset,
    length: lengths[index]!,
    receivedTime: times[index]!,
    task: tasks[index]!,
  }));
}

/** Without the records at these offsets. */
export function withoutFound(found: FoundSegment, offsets: ReadonlySet<number>): FoundSegment {
  const left = unpackFound(found).filter(({ offset }) => !offsets.has(offset));
  return left.length === countOf(found) ? found : packFound(found.segment, left);
}
