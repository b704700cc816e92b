/**
 * What the spool does with its directory: takes and recovers it, removes segments that hold nothing any more, and
 * moves damaged records aside. Called by `spool.ts` only.
 */
import type { SpoolFiles } from './files.ts';
import { isSparse, moveRecords } from './compact.ts';
import { createJournal } from './journal.ts';
import type { Place } from './journal.ts';
import { lockDirectory } from './lock.ts';
import { tokenCandidates } from './record.ts';
import { QUARANTINE, keepBytes, recover } from './recover.ts';
import type { Recovery } from './recover.ts';
import { segmentName } from './segment.ts';
import type { Segment } from './segment.ts';
import type { OpenSpool, SpoolEntry, SpoolOptions } from './types.ts';

type Parts = SpoolOptions & { files: SpoolFiles };

/** Why an append was refused; says nothing about its content. */
export class SpoolError extends Error {
  readonly code: string;
  constructor(code: 'unavailable' | 'full') {
    super(`the spool is ${code}`);
    this.code = code;
  }
}

const LOCK_FILE = 'lock';
/** Result codes of SQLite, which holds the lock (sqlite.org/rescode.html). */
const LOCK_CODES: Record<number, string> = { 5: 'LOCKED', 8: 'EROFS', 14: 'EACCES' };

/** A system error code, or a stable word. Messages stay out: they hold paths. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN';
  if ('errcode' in error) return LOCK_CODES[Number(error.errcode)] ?? 'LOCK_FAILED';
  return 'code' in error ? String(error.code) : error.constructor.name;
}

/** Bytes on disk, segments of unknown versions included. */
export function usedBytes({ segments, foreignBytes }: OpenSpool): number {
  let bytes = foreignBytes;
  for (const { size } of segments) bytes += size;
  return bytes;
}

/** Takes the lock, reads what is there and gets ready to write. Throws, holding nothing, when that fails. */
export async function openDirectory(parts: Parts): Promise<OpenSpool> {
  const { files, directory } = parts;
  await files.makeDirectory(directory);
  const unlock = lockDirectory(`${directory}/${LOCK_FILE}`);
  try {
    const recovery = await recover(files, directory);
    const open = openWith(parts, recovery, unlock);
    report(parts, recovery);
    for (const segment of recovery.segments) removeIfDone(open, segment, parts);
    for (const record of recovery.records) open.entries.add(record);
    return open;
  } catch (error) {
    unlock();
    throw error;
  }
}

function openWith(parts: Parts, recovery: Recovery, unlock: () => void): OpenSpool {
  const { files, directory, segmentBytes } = parts;
  const segments = new Set(recovery.segments);
  const journal = createJournal({
    files,
    directory,
    segmentBytes,
    nextNumber: recovery.nextNumber,
    onCreated: (segment) => segments.add(segment),
    onRetired: (segment) => removeIfDone(open, segment, parts),
    onWriteFailed: (error) => parts.onFault('writeFailed', codeOf(error)),
  });
  const { foreignBytes } = recovery;
  const open: OpenSpool = { journal, entries: new Set(), segments, foreignBytes, removals: new Set(), unlock };
  return open;
}

function report(parts: Parts, recovery: Recovery): void {
  for (let count = 0; count < recovery.damaged; count++) parts.onFault('damaged', 'checksum');
  if (recovery.foreignBytes > 0) parts.onFault('unknownVersion', 'segment');
  if (recovery.tokenCandidates.length > 0) parts.onTokenCandidates(recovery.tokenCandidates);
}

/** The record at this place is not needed any more. */
export function releaseFrom(open: OpenSpool, place: Place, parts: Parts): void {
  const { segment } = place;
  segment.live--;
  segment.liveBytes -= place.length;
  if (removeIfDone(open, segment, parts)) return;
  open.journal.noteRelease(place);
  if (isSparse(open, segment)) void moveRecords(open, segment, (moved) => releaseFrom(open, moved, parts));
}

/** Removes a segment that takes no more records and holds nothing that is needed; then those that it was needed for. */
function removeIfDone(open: OpenSpool, segment: Segment, parts: Parts): boolean {
  if (!segment.sealed || segment.live > 0 || segment.kept || !open.segments.has(segment)) return false;
  for (const { number } of open.segments) {
    // Without its notes the records they are about would be applied again after a restart.
    if (number !== segment.number && segment.notes.has(number)) return false;
  }
  open.segments.delete(segment);
  const removal = segment.file
    .close()
    .then(() => parts.files.remove(segment.path))
    .catch((error: unknown) => parts.onFault('ioError', codeOf(error)))
    .finally(() => open.removals.delete(removal));
  open.removals.add(removal);
  for (const other of open.segments) {
    if (other.notes.has(segment.number)) removeIfDone(open, other, parts);
  }
  return true;
}

/** Moves the bytes of a record that went bad after it was written into quarantine. */
export async function setAside(parts: Parts, entry: SpoolEntry): Promise<void> {
  const { segment, offset, length } = entry;
  parts.onFault('damaged', 'checksum');
  const bytes = await segment.file.read(offset, length);
  parts.onTokenCandidates(tokenCandidates(bytes));
  const name = `${segmentName(segment.number)}-${offset}`;
  const kept = await keepBytes(parts.files, `${parts.directory}/${QUARANTINE}`, { name, bytes });
  if (!kept) segment.kept = true;
}
