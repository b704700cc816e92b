/**
 * What the spool does with its directory: takes and recovers it, removes segments that hold nothing any more, and
 * moves damaged records aside. Called by `spool.ts` only.
 */
import type { SpoolFiles } from './files.ts';
import { codeOf } from './fault-code.ts';
import { isSparse, moveRecords } from './compact.ts';
import { countOf, unpackFound } from './found.ts';
import { createJournal } from './journal.ts';
import type { Place } from './journal.ts';
import { lockDirectory } from './lock.ts';
import { tokenCandidates } from './record.ts';
import { QUARANTINE, keepBytes, recover } from './recover.ts';
import type { Recovery } from './recover.ts';
import { segmentName } from './segment.ts';
import type { Segment } from './segment.ts';
import { createTaskIndex } from './task-index.ts';
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
/** Bytes on disk, those of segments that cannot be read included. */
export function usedBytes({ segments, foreignBytes }: OpenSpool): number {
  let bytes = foreignBytes;
  for (const { size } of segments) bytes += size;
  return bytes;
}

/** Records that are still to be applied. */
export function recordsOf({ entries, waiting }: OpenSpool): number {
  return waiting.reduce((count, found) => count + countOf(found), entries.size);
}

/** When the oldest of them was received. */
export function oldestOfAll({ entries, waiting }: OpenSpool): number | undefined {
  const first: SpoolEntry | undefined = entries.values().next().value;
  const oldest = Math.min(first?.receivedTime ?? Number.POSITIVE_INFINITY, ...waiting.map((found) => found.oldest));
  return Number.isFinite(oldest) ? oldest : undefined;
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
    for (const { segment } of recovery.found) removeIfDone(open, segment, parts);
    takeUp(open, parts.maxRecords);
    return open;
  } catch (error) {
    unlock();
    throw error;
  }
}

function openWith(parts: Parts, recovery: Recovery, unlock: () => void): OpenSpool {
  const { files, directory, segmentBytes } = parts;
  const { found, unreadable } = recovery;
  const foreignBytes = unreadable.reduce((sum, { bytes }) => sum + bytes, recovery.foreignBytes);
  const segments = new Set(found.map(({ segment }) => segment));
  const journal = createJournal({
    files,
    directory,
    segmentBytes,
    nextNumber: recovery.nextNumber,
    onCreated: (segment) => segments.add(segment),
    onRetired: (segment) => removeIfDone(open, segment, parts),
    onWriteFailed: (error) => parts.onFault('writeFailed', codeOf(error)),
  });
  const open: OpenSpool = {
    journal,
    entries: new Set(),
    tasks: createTaskIndex(),
    waiting: found.filter((each) => countOf(each) > 0),
    segments,
    foreignBytes,
    removals: new Set(),
    unlock,
  };
  return open;
}

/**
 * Makes entries of records that were found on disk, whole segments at a time, while there is room for them in memory.
 * Returns the new ones, oldest first.
 */
export function takeUp(open: OpenSpool, maxRecords: number): SpoolEntry[] {
  const { entries, tasks, waiting } = open;
  const taken: SpoolEntry[] = [];
  for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
    const count = entries.size + taken.length;
    if (count > 0 && count + countOf(next) > maxRecords) break;
    waiting.shift();
    for (const entry of unpackFound(next)) taken.push(entry);
  }
  // Not by place: a segment prepared ahead may be used after a later one.
  taken.sort((left, right) => left.receivedTime - right.receivedTime);
  for (const entry of taken) {
    entries.add(entry);
    tasks.add(entry);
  }
  return taken;
}

function report(parts: Parts, recovery: Recovery): void {
  for (let count = 0; count < recovery.damaged; count++) parts.onFault('damaged', 'checksum');
  if (recovery.foreignBytes > 0) parts.onFault('unknownVersion', 'segment');
  for (const { code } of recovery.unreadable) parts.onFault('ioError', code);
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
