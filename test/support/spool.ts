/** Spools on a real directory, outside a sidecar: what the room tests of the spool open, and the records they write. */
import type { SpoolRecord } from '../../src/callback/spool/record.ts';
import { createSpool } from '../../src/callback/spool/spool.ts';
import type { Spool, SpoolEntry, SpoolOptions } from '../../src/callback/spool/types.ts';

export interface OpenedSpool {
  spool: Spool;
  entries: SpoolEntry[];
  faults: string[];
  candidates: string[];
}

/** The n-th of many callbacks, each of a task of its own. */
export function spoolRecord(n: number, code = `code-${n}`): SpoolRecord & { kind: 'callback' } {
  const uid = `b7b2a1c0-0000-4000-8000-${String(n).padStart(12, '0')}`;
  return {
    kind: 'callback',
    token: `k1.default.task-${n}.${uid}.1.AAAAAAAAAAAAAAAAAAAAAAAA`,
    callback: { id: String(1_000 + n), code },
    receivedTime: 1_700_000_000_000 + n,
  };
}

/** Tries to open the directory once; what went wrong is in `faults`. */
export async function openSpoolIn(directory: string, options: Partial<SpoolOptions> = {}): Promise<OpenedSpool> {
  const opened: Omit<OpenedSpool, 'spool'> = { entries: [], faults: [], candidates: [] };
  const spool = createSpool({
    directory,
    maxBytes: 10_000_000,
    maxRecords: 100_000,
    maxRecordsPerTask: 8,
    segmentBytes: 1_000_000,
    onEntry: (entry) => opened.entries.push(entry),
    onFault: (fault, code) => opened.faults.push(`${fault} ${code}`),
    onTokenCandidates: (candidates) => opened.candidates.push(...candidates),
    ...options,
  });
  await spool.open();
  return { spool, ...opened };
}

/** What every entry says, in the order in which they came. */
export function readEntries({ spool, entries }: OpenedSpool): Promise<(SpoolRecord | undefined)[]> {
  return Promise.all(entries.map((entry) => spool.read(entry)));
}
