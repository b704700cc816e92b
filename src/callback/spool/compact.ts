/**
 * Gives the disk back that a few stuck records hold. A segment goes only when all its records are released; one task
 * that cannot be applied for hours would keep eight megabytes. When little of a segment is left and there are many,
 * its records are appended anew, and then released in their old place. Called after releases, by `directory.ts`.
 */
import type { Place } from './journal.ts';
import type { Segment } from './segment.ts';
import type { OpenSpool } from './types.ts';

/** Fewer segments than this are not worth the writing. */
const MIN_SEGMENTS = 4;
/** A segment is worth moving when at most this share of it is still needed. */
const MAX_LIVE_SHARE = 0.25;

export function isSparse(open: OpenSpool, segment: Segment): boolean {
  if (!segment.sealed || segment.moving || segment.live === 0 || open.segments.size < MIN_SEGMENTS) return false;
  return segment.liveBytes <= segment.size * MAX_LIVE_SHARE;
}

/**
 * Moves what is left of a segment. `release` is called for each place that is not needed any more: the old one, or
 * the new one where the record was released on the way. Stops at the first failure, which the journal has reported.
 */
export async function moveRecords(open: OpenSpool, segment: Segment, release: (place: Place) => void): Promise<void> {
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
