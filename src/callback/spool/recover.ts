/**
 * Reads a spool directory at start: which records are still to be applied, and what is no record any more.
 *
 * Sound records survive whatever lies beside them. Damaged ranges go to the folder `quarantine`, named by segment and
 * offset, so that finding them again at the next start is no second loss. A torn end is what a crash leaves of an
 * unacknowledged write; it is reported like damage only for the token it may still show. A segment that the disk does
 * not give costs that segment, until the next start. Segments of a version this build does not know stay untouched for
 * the build that does.
 */
import { FORMAT_VERSION, FRAME_RECORD, FRAME_RELEASES, scanSegment, versionOf } from './format.ts';
import type { Frame, Range } from './format.ts';
import { codeOf } from './files.ts';
import type { SpoolFile, SpoolFiles } from './files.ts';
import { tokenCandidates, tokenOf } from './record.ts';
import type { Place, Segment } from './segment.ts';
import { newSegment, segmentName, segmentNumber } from './segment.ts';
import { taskKeyOf } from './task-index.ts';

export interface Recovery {
  /** Every segment that could be read, with the records in it that are not released; oldest first. */
  found: FoundSegment[];
  nextNumber: number;
  /** Texts in damaged bytes that may be tokens. */
  tokenCandidates: string[];
  /** Damaged records met for the first time. */
  damaged: number;
  /** Segments of an unknown version, in bytes. */
  foreignBytes: number;
  /** Segments that the disk does not give: why, and their bytes as far as they are known. */
  unreadable: { code: string; bytes: number }[];
}

/** One record, as the scan of its segment shows it. */
interface FoundRecord extends Pick<Place, 'offset' | 'length'> {
  receivedTime: number;
  /** See `taskKeyOf`. */
  task: number;
}

/**
 * The records found in one segment, packed: twenty bytes each instead of an object each, so that a spool that was
 * filled beyond what a process may hold in memory can still be opened, and drained segment by segment.
 */
export interface FoundSegment {
  segment: Segment;
  offsets: Uint32Array;
  lengths: Uint32Array;
  times: Float64Array;
  tasks: Int32Array;
  /** When its oldest record was received; `Infinity` without one. */
  oldest: number;
}

interface Walk {
  files: SpoolFiles;
  directory: string;
  numbers: ReadonlySet<number>;
  quarantined: Set<string>;
  /** Offsets of released records, by segment. */
  released: Map<number, number[]>;
  result: Recovery;
}

export const QUARANTINE = 'quarantine';
const MAX_QUARANTINED = 1_000;

export async function recover(files: SpoolFiles, directory: string): Promise<Recovery> {
  const names = await files.list(directory);
  const numbers = names.map(segmentNumber).filter((number) => number !== undefined);
  numbers.sort((a, b) => a - b);
  const walk: Walk = {
    files,
    directory,
    numbers: new Set(numbers),
    quarantined: new Set(names.includes(QUARANTINE) ? await files.list(`${directory}/${QUARANTINE}`) : []),
    released: new Map(),
    result: {
      found: [],
      nextNumber: (numbers.at(-1) ?? 0) + 1,
      tokenCandidates: [],
      damaged: 0,
      foreignBytes: 0,
      unreadable: [],
    },
  };
  for (const number of numbers) await openSegment(walk, number);
  return withoutReleased(walk);
}

/** Reads a segment and keeps its file open, or notes why it cannot be read and lets go of it. */
async function openSegment(walk: Walk, number: number): Promise<void> {
  const path = `${walk.directory}/${segmentName(number)}`;
  let file: SpoolFile | undefined;
  let bytes = 0;
  try {
    file = await walk.files.open(path);
    bytes = await file.size();
    const kept = await readSegment(walk, { number, path, file, size: bytes });
    if (!kept) await file.close();
  } catch (error) {
    walk.result.unreadable.push({ code: codeOf(error), bytes });
    await file?.close().catch(() => undefined);
  }
}

/** False when it is of a version that this build does not know. */
async function readSegment(walk: Walk, known: Pick<Segment, 'number' | 'path' | 'file' | 'size'>): Promise<boolean> {
  const { file, size } = known;
  const bytes = await file.read(0, size);
  const version = versionOf(bytes);
  if (version !== undefined && version !== FORMAT_VERSION) {
    walk.result.foreignBytes += size;
    return false;
  }
  const scan = scanSegment(bytes);
  const segment = newSegment({ ...known, size: scan.contentEnd, sealed: true });
  // Blocks that a killed process had reserved: a few crashes would otherwise use up the bound with nothing in it.
  if (scan.contentEnd < size) await file.truncate(scan.contentEnd);
  for (const range of scan.damaged) await quarantine(walk, segment, bytes, range);
  if (scan.torn !== undefined) salvage(walk, bytes.subarray(scan.torn.start, scan.torn.end));
  const records: FoundRecord[] = [];
  for (const frame of scan.frames) {
    if (frame.type === FRAME_RECORD) records.push(recordIn(frame));
    else if (frame.type === FRAME_RELEASES) noteReleases(walk, segment, frame);
  }
  walk.result.found.push(packFound(segment, records));
  return true;
}

function recordIn({ offset, length, time: receivedTime, payload }: Frame): FoundRecord {
  return { offset, length, receivedTime, task: taskKeyOf(tokenOf(payload)) };
}

function noteReleases(walk: Walk, segment: Segment, frame: Frame): void {
  for (const [number, offset] of releasesIn(frame)) {
    segment.notes.add(number);
    const offsets = walk.released.get(number);
    if (offsets !== undefined) offsets.push(offset);
    else if (walk.numbers.has(number)) walk.released.set(number, [offset]);
  }
}

/** Without what is no note: the records it was about are applied once more, which has no second effect. */
function releasesIn({ payload }: Frame): [segment: number, offset: number][] {
  try {
    return JSON.parse(payload) as [number, number][];
  } catch {
    return [];
  }
}

function withoutReleased({ result, released }: Walk): Recovery {
  const found = result.found.map((each) => withoutFound(each, new Set(released.get(each.segment.number))));
  for (const each of found) {
    each.segment.live = countOf(each);
    each.segment.liveBytes = each.lengths.reduce((sum, length) => sum + length, 0);
  }
  found.sort((left, right) => left.oldest - right.oldest);
  return { ...result, found };
}

function packFound(segment: Segment, records: readonly FoundRecord[]): FoundSegment {
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
function withoutFound(found: FoundSegment, offsets: ReadonlySet<number>): FoundSegment {
  const left = unpackFound(found).filter(({ offset }) => !offsets.has(offset));
  return left.length === countOf(found) ? found : packFound(found.segment, left);
}

async function quarantine(walk: Walk, segment: Segment, segmentBytes: Buffer, { start, end }: Range): Promise<void> {
  const bytes = segmentBytes.subarray(start, end);
  salvage(walk, bytes);
  const name = `${segmentName(segment.number)}-${start}`;
  if (walk.quarantined.has(name)) return;
  walk.result.damaged++;
  if (walk.quarantined.size >= MAX_QUARANTINED) return;
  walk.quarantined.add(name);
  const kept = await keepBytes(walk.files, `${walk.directory}/${QUARANTINE}`, { name, bytes });
  if (!kept) segment.kept = true;
}

function salvage(walk: Walk, bytes: Buffer): void {
  walk.result.tokenCandidates.push(...tokenCandidates(bytes));
}

/** Writes damaged bytes to the quarantine folder; false when that failed, so that their segment has to stay. */
export async function keepBytes(
  files: SpoolFiles,
  folder: string,
  piece: { name: string; bytes: Uint8Array },
): Promise<boolean> {
  let file: SpoolFile | undefined;
  try {
    await files.makeDirectory(folder);
    file = await files.create(`${folder}/${piece.name}`);
    await file.write(piece.bytes, 0);
    await file.sync();
    // The segment that held these bytes may be the next to go.
    await files.syncDirectory(folder);
    return true;
  } catch {
    return false;
  } finally {
    await file?.close().catch(() => undefined);
  }
}
