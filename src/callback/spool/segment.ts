/**
 * One segment file. It is open for appending until it is full, a write or fsync on it failed, or the process ends;
 * from then on it is only read and finally removed. A file found at start is never appended to. After a failed fsync
 * nobody knows which pages reached the device, so nothing written to that file later may be called durable.
 */
import { HEADER_BYTES, encodeHeader } from './format.ts';
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
