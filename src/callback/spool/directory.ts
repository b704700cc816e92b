/**
 * What the spool does with its directory: takes and recovers it, moves damaged records aside, and gives the disk back.
 *
 * A segment's file goes when it takes no more records and holds none that is needed, and when no other segment needs
 * its notes: they say which records of that other one are released. So removing one may free others. Notes are about
 * records that were written before, so of two segments only the one that was written later can be needed by the other.
 */
import { codeOf, lockDirectory } from './files.ts';
import type { SpoolFiles } from './files.ts';
import { createJournal } from './journal.ts';
import { tokenCandidates } from './record.ts';
import { QUARANTINE, countOf, keepBytes, recover, unpackFound } from './recover.ts';
import type { Recovery } from './recover.ts';
import { segmentName } from './segment.ts';
import type { Place, Segment } from './segment.ts';
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
/** Fewer segments than this are not worth the writing. */
const MIN_SEGMENTS = 4;
/** A segment is worth moving when at most this share of it is still needed. */
const MAX_LIVE_SHARE = 0.25;

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
  if (segment.live === 0) throw new Error('spool: a record was released that its segment does not count');
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

/**
 * Whether moving what is left of a segment gives disk back that a few stuck records hold. A segment goes only when all
 * its records are released; one task that cannot be applied for hours would keep eight megabytes.
 */
function isSparse(open: OpenSpool, segment: Segment): boolean {
  if (!segment.sealed || segment.moving || segment.live === 0 || open.segments.size < MIN_SEGMENTS) return false;
  return segment.liveBytes <= segment.size * MAX_LIVE_SHARE;
}

/**
 * Appends anew what is left of a segment. `release` is called for each place that is not needed any more: the old one,
 * or the new one where the record was released on the way. Stops at the first failure, which the journal has reported.
 */
async function moveRecords(open: OpenSpool, segment: Segment, release: (place: Place) => void): Promise<void> {
  segment.moving = true;
  const entries = [...open.entries].filter((entry) => entry.segment === segment);
  try {
    for (const entry of entries) {
      const { offset, length } = entry;
      const moved = await open.journal.append(await segment.file.read(offset, length));
      const needed = open.entries.has(entry);
      release(needed ? { segment, offset, length } : moved);
      if (needed) Object.assign(entry, moved);
    }
  } catch {
    // What was not moved stays where it is, as good as before.
  } finally {
    segment.moving = false;
  }
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
