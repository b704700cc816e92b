/**
 * The shapes of the spool: what intake, drainer and server see of it, and what its own files share. No code.
 */
import type { SpoolFault } from '../hooks.ts';
import type { SpoolFiles } from './files.ts';
import type { Journal, Place } from './journal.ts';
import type { SpoolRecord } from './record.ts';
import type { Segment } from './segment.ts';

export interface SpoolWriter {
  /**
   * Resolves when the record is on disk, fsynced. Rejects when it cannot be made so. `take` gets the entry instead of
   * `onEntry`: the caller is still applying it and says later who goes on.
   */
  append(record: SpoolRecord, take?: (entry: SpoolEntry) => void): Promise<void>;
  /** The record need not be applied again. */
  release(entry: SpoolEntry): void;
}

/** One record that is still to be applied. */
export interface SpoolEntry extends Place {
  /** Epoch milliseconds. */
  receivedTime: number;
}

export interface SpoolStats {
  records: number;
  bytes: number;
  /** Epoch milliseconds; undefined when the spool is empty. */
  oldestReceivedTime: number | undefined;
}

export interface Spool extends SpoolWriter {
  /** First try to open the directory; never rejects, faults go to `onFault`. */
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
  segmentBytes: number;
  /** Called for each record that is to be applied: those found at start, and each append. */
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
  segments: Set<Segment>;
  foreignBytes: number;
  /** Files that are being removed. */
  removals: Set<Promise<void>>;
  unlock(): void;
}
