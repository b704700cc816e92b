/**
 * The bytes of a spool segment, version 1. A segment is a header and then frames, appended only:
 *
 *     header  "CAPSPOOL" · version u32 · crc32 of both u32
 *     frame   FF FE FD FC · crc32 u32 · payload length u32 · type u8 · time u48 (epoch ms) · payload (UTF-8)
 *
 * all little-endian; a frame's checksum covers everything behind it. The four bytes that open a frame never occur in
 * UTF-8 text, so a reader that met damage finds the next frame by searching for them: one flipped bit costs one
 * record, even in a length field. Pure: bytes in, values out.
 */
import { crc32 } from 'node:zlib';

export const FORMAT_VERSION = 1;
export const HEADER_BYTES = 16;
/** A code of 12,288 bytes in its most verbose JSON spelling, twice, a token and the names of the members. */
const MAX_PAYLOAD_BYTES = 192 * 1024;

export const FRAME_RECORD = 1;
/** Payload `[[segment, offset], …]`: records that need not be applied again. */
export const FRAME_RELEASES = 2;

const MAGIC = Buffer.from('CAPSPOOL', 'latin1');
const SYNC = Buffer.from([0xff, 0xfe, 0xfd, 0xfc]);
const FRAME_HEAD_BYTES = 19;
const ZEROS = Buffer.alloc(64 * 1024);

export interface Frame {
  type: number;
  /** Of its first byte in the segment. */
  offset: number;
  /** Of the whole frame. */
  length: number;
  time: number;
  payload: string;
}

/** Bytes `[start, end)` of a segment. */
export interface Range {
  start: number;
  end: number;
}

export interface Scan {
  frames: Frame[];
  /** What was written as records, and no longer is one. */
  damaged: Range[];
  /** An incomplete frame at the end: a write that a crash cut off, never acknowledged. */
  torn: Range | undefined;
  /** What follows are reserved blocks. */
  contentEnd: number;
}

export function encodeHeader(): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(FORMAT_VERSION, 8);
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
  return header;
}

/** The version a segment says it has; undefined when its header is damaged (its frames may still be good). */
export function versionOf(segment: Buffer): number | undefined {
  if (segment.length < HEADER_BYTES || !segment.subarray(0, 8).equals(MAGIC)) return undefined;
  return crc32(segment.subarray(0, 12)) === segment.readUInt32LE(12) ? segment.readUInt32LE(8) : undefined;
}

export function encodeFrame(type: number, time: number, payload: string): Buffer {
  const length = Buffer.byteLength(payload);
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + length);
  SYNC.copy(frame);
  frame.writeUInt32LE(length, 8);
  frame.writeUInt8(type, 12);
  frame.writeUIntLE(time, 13, 6);
  frame.write(payload, FRAME_HEAD_BYTES);
  frame.writeUInt32LE(crc32(frame.subarray(8)), 4);
  return frame;
}

/** The frame at `offset` of `bytes`, or undefined when there is no whole and sound one. */
export function readFrame(bytes: Buffer, offset: number): Frame | undefined {
  const end = frameEnd(bytes, offset);
  if (end === undefined || end > bytes.length) return undefined;
  if (crc32(bytes.subarray(offset + 8, end)) !== bytes.readUInt32LE(offset + 4)) return undefined;
  return {
    type: bytes.readUInt8(offset + 12),
    offset,
    length: end - offset,
    time: bytes.readUIntLE(offset + 13, 6),
    payload: bytes.toString('utf8', offset + FRAME_HEAD_BYTES, end),
  };
}

/** Where the frame at `offset` would end by its own account; undefined when none begins there. */
function frameEnd(bytes: Buffer, offset: number): number | undefined {
  if (offset + FRAME_HEAD_BYTES > bytes.length || bytes.indexOf(SYNC, offset) !== offset) return undefined;
  const length = bytes.readUInt32LE(offset + 8);
  return length > MAX_PAYLOAD_BYTES ? undefined : offset + FRAME_HEAD_BYTES + length;
}

/** Every sound frame of a segment, and what lies between them. */
export function scanSegment(segment: Buffer): Scan {
  const contentEnd = endOfContent(segment);
  const content = segment.subarray(0, contentEnd);
  const scan: Scan = { frames: [], damaged: [], torn: undefined, contentEnd };
  const first = content.indexOf(SYNC);
  let offset = first === -1 ? HEADER_BYTES : first;
  while (offset < contentEnd) {
    const frame = readFrame(content, offset);
    const next = frame === undefined ? content.indexOf(SYNC, offset + 1) : offset + frame.length;
    const end = next === -1 ? contentEnd : next;
    if (frame !== undefined) scan.frames.push(frame);
    else if (next === -1 && isCutOff(content, offset)) scan.torn = { start: offset, end };
    else scan.damaged.push({ start: offset, end });
    offset = end;
  }
  return scan;
}

/** Whether the last bytes are the beginning of a frame that never was written whole. */
function isCutOff(content: Buffer, offset: number): boolean {
  const end = frameEnd(content, offset);
  return end === undefined || end > content.length;
}

/** Where the blocks begin that were only reserved: behind the last byte that is not zero, as every frame's last is. */
function endOfContent(segment: Buffer): number {
  let end = segment.length;
  while (end >= ZEROS.length && segment.subarray(end - ZEROS.length, end).equals(ZEROS)) end -= ZEROS.length;
  while (end > 0 && segment[end - 1] === 0) end--;
  return end;
}
