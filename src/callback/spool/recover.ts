/**
 * Reads a spool directory at start: which records are still to be applied, and what is no record any more.
 *
 * Sound records survive whatever lies beside them. Damaged ranges go to the folder `quarantine`, named by segment and
 * offset, so that finding them again at the next start is no second loss. A torn end is what a crash leaves of an
 * unacknowledged write; it is reported like damage only for the token it may still show. Segments of a version this
 * build does not know stay untouched for the build that does.
 */
import { FORMAT_VERSION, FRAME_RECORD, FRAME_RELEASES, scanSegment, versionOf } from './format.ts';
import type { Frame } from './format.ts';
import type { SpoolFiles } from './files.ts';
import { tokenCandidates } from './record.ts';
import type { Segment } from './segment.ts';
import { newSegment, segmentName, segmentNumber } from './segment.ts';

export interface FoundRecord {
  segment: Segment;
  offset: number;
  length: number;
  receivedTime: number;
}

export interface Recovery {
  segments: Segment[];
  /** Oldest first. */
  records: FoundRecord[];
  nextNumber: number;
  /** Texts in damaged bytes that may be tokens. */
  tokenCandidates: string[];
  /** Damaged records met for the first time. */
  damaged: number;
  /** Segments of an unknown version, in bytes. */
  foreignBytes: number;
}

interface Walk {
  files: SpoolFiles;
  directory: string;
  quarantined: Set<string>;
  released: Set<string>;
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
    quarantined: new Set(names.includes(QUARANTINE) ? await files.list(`${directory}/${QUARANTINE}`) : []),
    released: new Set(),
    result: {
      segments: [],
      records: [],
      nextNumber: (numbers.at(-1) ?? 0) + 1,
      tokenCandidates: [],
      damaged: 0,
      foreignBytes: 0,
    },
  };
  for (const number of numbers) await readSegment(walk, number);
  return withoutReleased(walk);
}

async function readSegment(walk: Walk, number: number): Promise<void> {
  const { files, directory, result } = walk;
  const path = `${directory}/${segmentName(number)}`;
  const file = await files.open(path);
  const size = await file.size();
  const bytes = await file.read(0, size);
  const version = versionOf(bytes);
  if (version !== undefined && version !== FORMAT_VERSION) {
    result.foreignBytes += size;
    await file.close();
    return;
  }
  const scan = scanSegment(bytes);
  const segment = newSegment({ number, path, file, size: scan.contentEnd, sealed: true });
  // Blocks that a killed process had reserved: a few crashes would otherwise use up the bound with nothing in it.
  if (scan.contentEnd < size) await file.truncate(scan.contentEnd);
  for (const range of scan.damaged)
    await quarantine(walk, segment, bytes.subarray(range.start, range.end), range.start);
  if (scan.torn !== undefined) salvage(walk, bytes.subarray(scan.torn.start, scan.torn.end));
  for (const frame of scan.frames) takeFrame(walk, segment, frame);
  result.segments.push(segment);
}

function takeFrame(walk: Walk, segment: Segment, frame: Frame): void {
  const { offset, length, time: receivedTime } = frame;
  if (frame.type === FRAME_RECORD) walk.result.records.push({ segment, offset, length, receivedTime });
  if (frame.type !== FRAME_RELEASES) return;
  for (const [number, at] of JSON.parse(frame.payload) as [number, number][]) {
    walk.released.add(`${number}:${at}`);
    segment.notes.add(number);
  }
}

function withoutReleased({ result, released }: Walk): Recovery {
  const records = result.records.filter(({ segment, offset }) => !released.has(`${segment.number}:${offset}`));
  for (const { segment, length } of records) {
    segment.live++;
    segment.liveBytes += length;
  }
  // Not by place: a segment prepared ahead may be used after a later one.
  records.sort((left, right) => left.receivedTime - right.receivedTime);
  return { ...result, records };
}

async function quarantine(walk: Walk, segment: Segment, damaged: Buffer, start: number): Promise<void> {
  salvage(walk, damaged);
  const name = `${segmentName(segment.number)}-${start}`;
  if (walk.quarantined.has(name)) return;
  walk.result.damaged++;
  if (walk.quarantined.size >= MAX_QUARANTINED) return;
  walk.quarantined.add(name);
  const kept = await keepBytes(walk.files, `${walk.directory}/${QUARANTINE}`, { name, bytes: damaged });
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
  try {
    await files.makeDirectory(folder);
    const file = await files.create(`${folder}/${piece.name}`);
    await file.write(piece.bytes, 0);
    await file.sync();
    await file.close();
    return true;
  } catch {
    return false;
  }
}
