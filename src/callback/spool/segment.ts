/**
 * One segment file: creating it, appending to it, reading single records back.
 *
 * *Open*: it takes records, one write after another, until it is full, a write or fsync on it failed, or the process
 * ends. *Sealed*: it is only read, and finally removed; it is never opened again. A file found at start is sealed. After
 * a failed fsync nobody knows which pages reached the device, so nothing written to that file later may be called
 * durable.
 */
import { HEADER_BYTES, encodeHeader, readFrame } from './format.ts';
import type { Frame } from './format.ts';
import type { SpoolFile, SpoolFiles } from './files.ts';

export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly file: SpoolFile;
  /** Bytes in use; where the next append goes. */
  size: number;
  /** Records in it that are not released. At zero the file goes, unless it is `kept` or its notes are needed. */
  live: number;
  /** Bytes of those records. */
  liveBytes: number;
  /** Its records are being appended anew. */
  moving: boolean;
  sealed: boolean;
  /** Numbers of the segments whose released records are noted here. */
  notes: Set<number>;
  /** It holds something that could not be moved to safety. */
  kept: boolean;
}

/** Where one frame lies. */
export interface Place {
  segment: Segment;
  offset: number;
  length: number;
}

export function newSegment(known: Pick<Segment, 'number' | 'path' | 'file' | 'size' | 'sealed'>): Segment {
  return { ...known, live: 0, liveBytes: 0, moving: false, notes: new Set(), kept: false };
}

const ZEROS = Buffer.alloc(1024 * 1024);
const NAME = /^segment-(\d{8})\.spool$/;

export function segmentName(number: number): string {
  return `segment-${String(number).padStart(8, '0')}.spool`;
}

/** The number in a segment's file name; undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/**
 * Creates a segment and makes its name durable. With `reserveBytes` its blocks are written ahead, as zeros, so that
 * later fsyncs have no file size to record and do not wait for what others write to the same file system. Leaves no
 * file behind when it fails.
 */
export async function createSegment(
  files: SpoolFiles,
  directory: string,
  number: number,
  reserveBytes = 0,
): Promise<Segment> {
  const path = `${directory}/${segmentName(number)}`;
  const file = await files.create(path);
  try {
    await file.write(encodeHeader(), 0);
    for (let at = HEADER_BYTES; at < reserveBytes; at += ZEROS.length) {
      await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, reserveBytes - at)), at);
    }
    await file.sync();
    await files.syncDirectory(directory);
    return newSegment({ number, path, file, size: HEADER_BYTES, sealed: false });
  } catch (error) {
    await file.close().catch(() => undefined);
    await files.remove(path).catch(() => undefined);
    throw error;
  }
}

/** Appends bytes; `durable` waits for the device. On an error the segment is sealed and the error thrown. */
export async function appendTo(segment: Segment, bytes: Buffer, durable: boolean): Promise<void> {
  if (segment.sealed) throw new Error('spool: a sealed segment takes no more frames');
  const position = segment.size;
  segment.size += bytes.length;
  try {
    await segment.file.write(bytes, position);
    if (durable) await segment.file.sync();
  } catch (error) {
    segment.sealed = true;
    throw error;
  }
}

/** The frame at this place, or undefined when it is not sound (any more). */
export type ReadFrame = (place: Place) => Promise<Frame | undefined>;

/** Some sixty records; small enough to be read for nothing when records are taken here and there. */
const BLOCK_BYTES = 64 * 1024;
const NOTHING = Buffer.alloc(0);

interface Block {
  segment: Segment;
  start: number;
  bytes: Promise<Buffer>;
}

/**
 * Reads single records back. The drainer takes them oldest first, which is the order in which they lie in a segment, so
 * one block is read ahead and serves the next ones: a system call of its own for each record was a sixth of what
 * draining costs the sidecar. The block is only a short cut. It may have been read before a record was written in it,
 * so a record is called damaged by its own bytes alone. Segments are never written twice in one place, so what is
 * sound in the block is current.
 */
export function createFrameReader(): ReadFrame {
  let block: Block | undefined;
  const blockWith = ({ segment, offset, length }: Place): Block => {
    const covers = block?.segment === segment && offset >= block.start && offset + length <= block.start + BLOCK_BYTES;
    if (block === undefined || !covers) {
      block = { segment, start: offset, bytes: segment.file.read(offset, BLOCK_BYTES).catch(() => NOTHING) };
    }
    return block;
  };
  return async (place) => {
    const { segment, offset, length } = place;
    const { start, bytes } = blockWith(place);
    const ahead = readFrame((await bytes).subarray(offset - start, offset - start + length), 0);
    return ahead ?? readFrame(await segment.file.read(offset, length), 0);
  };
}
