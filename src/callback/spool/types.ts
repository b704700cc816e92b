/**
 * The shapes of the spool: what intake, drainer and server see of it, and what its own files share. No code.
 */
import type { SpoolFault } from '../hooks.ts';
import type { SpoolFiles } from './files.ts';
import type { Journal } from './journal.ts';
import type { SpoolRecord } from './record.ts';
import type { FoundSegment } from './recover.ts';
import type { Place, Segment } from './segment.ts';
import type { TaskIndex } from './task-index.ts';

/** `repeat`: a record that says exactly the same was on disk already; there is no new one. */
export type Appended = 'written' | 'repeat';

export interface SpoolWriter {
  /**
   * Resolves when the record is on disk, fsynced. Rejects when it cannot be made so. `take` gets the entry of a new
   * record instead of `onEntry`: the caller is still applying it and says later who goes on.
   */
  append(record: SpoolRecord, take?: (entry: SpoolEntry) => void): Promise<Appended>;
  /** The record need not be applied again. */
  release(entry: SpoolEntry): void;
}

/** One record that is still to be applied. */
export interface SpoolEntry extends Place {
  /** Epoch milliseconds. */
  receivedTime: number;
  /** See `taskKeyOf`. */
  task: number;
}

export interface SpoolStats {
  /** Whether the directory is in use; while it is not, nobody knows what lies in it. */
  open: boolean;
  records: number;
  bytes: number;
  /** Epoch milliseconds; undefined when the spool is empty. */
  oldestReceivedTime: number | undefined;
}

export interface Spool extends SpoolWriter {
  /** First try to open the directory; never rejects, faults go to `onFault`. Further tries follow by themselves. */
  open(): Promise<void>;
  /** Live records, oldest first. */
  entries(): Iterable<SpoolEntry>;
  /** The record, or undefined when its bytes are damaged: then it went to quarantine and is released. */
  read(entry: SpoolEntry): Promise<SpoolRecord | undefined>;
  stats(): SpoolStats;
  /** Writes what is pending, lets go of the directory. Records stay for the next start. */
  close(): Promise<void>;
}

export interface SpoolOptions {
  directory: string;
  maxBytes: number;
  /** Also how many records are held in memory at once, whatever lies on disk. */
  maxRecords: number;
  maxRecordsPerTask: number;
  segmentBytes: number;
  /** Called for each record that is to be applied: those found on disk, and each append. */
  onEntry(entry: SpoolEntry): void;
  onFault(fault: SpoolFault, code: string): void;
  /** Texts from damaged records; some may be tokens of ours. */
  onTokenCandidates(candidates: string[]): void;
  files?: SpoolFiles;
}

/** What a spool has while it holds its directory. */
export interface OpenSpool {
  journal: Journal;
  /** Records that are still to be applied, oldest first. */
  entries: Set<SpoolEntry>;
  /** The same records by task. */
  tasks: TaskIndex<SpoolEntry>;
  /** Segments found at start whose records have no entries yet, because there are so many. Oldest first. */
  waiting: FoundSegment[];
  segments: Set<Segment>;
  /** Of segments that this build cannot read, or the disk does not give. */
  foreignBytes: number;
  /** Files that are being removed. */
  removals: Set<Promise<void>>;
  unlock(): void;
}
