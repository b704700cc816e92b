/**
 * Reads single records back. The drainer takes them oldest first, which is the order in which they lie in a segment, so
 * one block is read ahead and serves the next ones: a system call of its own for each record was a sixth of what
 * draining costs the sidecar. The block is only a short cut. It may have been read before a record was written in it,
 * so a record is called damaged by its own bytes alone. Segments are never written twice in one place, so what is
 * sound in the block is current. Called by `spool.ts`.
 */
import { readFrame } from './format.ts';
import type { Frame } from './format.ts';
import type { Place } from './journal.ts';
import type { Segment } from './segment.ts';

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
