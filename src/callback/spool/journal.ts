/**
 * Writes frames to the active segment, one batch after another.
 *
 *   idle     nothing is pending.
 *   writing  one batch is under way; what arrives meanwhile goes with the next (group commit), until nothing is pending.
 *   closed   for good: what was pending is written, what comes now is rejected.
 *
 * It opens segments, the next one ahead of time, and retires them when they are full or a write on them failed; a failed
 * batch is tried once more on a new segment, because the old one may never be written again.
 *
 * Notes of released records ride along with the next batch, or are written alone after a moment, without an fsync.
 * It keeps no index and removes no file; `directory.ts` does.
 */
import type { SpoolFiles } from './files.ts';
import { FRAME_RELEASES, encodeFrame } from './format.ts';
import { appendTo, createSegment } from './segment.ts';
import type { Place, Segment } from './segment.ts';

export interface Journal {
  /** Resolves when the frame is durable; its segment's `live` counts it by then. Rejects once the journal is closed. */
  append(frame: Buffer): Promise<Place>;
  /** A record that need not be applied again. */
  noteRelease(place: Place): void;
  /** Everything is released: forgets notes and retires the active segment, unless a batch is under way. */
  startOver(): void;
  /** Bytes accepted and not yet written. */
  pendingBytes(): number;
  /** Writes what is pending and closes. */
  close(): Promise<void>;
}

export interface JournalOptions {
  files: SpoolFiles;
  directory: string;
  nextNumber: number;
  segmentBytes: number;
  onCreated(segment: Segment): void;
  /** The segment takes no more frames. */
  onRetired(segment: Segment): void;
  onWriteFailed(error: unknown): void;
}

interface Pending {
  frame: Buffer;
  resolve(place: Place): void;
  reject(error: unknown): void;
}

const MAX_BATCH_BYTES = 1024 * 1024;
/** Soon: a process that is killed again and again would otherwise apply the same records in every life. */
const NOTE_DELAY_MS = 20;
/** Blocks are reserved while this many segments fit on the disk: the last of the room is for callbacks, not for zeros. */
const SPARE_ROOM = 4;
const NOTHING = Buffer.alloc(0);

export function createJournal(options: JournalOptions): Journal {
  const active = activeSegment(options);
  const notes = releaseNotes();
  let pending: Pending[] = [];
  let pendingBytes = 0;
  let writing: Promise<void> | undefined;
  let closed = false;

  const writeAll = async (): Promise<void> => {
    do {
      const batch = takeBatch(pending);
      pending = pending.slice(batch.length);
      for (const { frame } of batch) pendingBytes -= frame.length;
      await commitOrRetry({ options, active, notes }, batch);
    } while (pending.length > 0);
    writing = undefined;
  };
  const startWriting = (): void => {
    writing ??= writeAll();
  };

  return {
    append: (frame) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error('the journal is closed'));
        pending.push({ frame, resolve, reject });
        pendingBytes += frame.length;
        return startWriting();
      }),
    noteRelease(place) {
      if (!closed) notes.add(place, startWriting);
    },
    startOver() {
      if (writing !== undefined) return;
      notes.take();
      active.retire();
    },
    pendingBytes: () => pendingBytes,
    async close() {
      notes.cancelTimer();
      // Records that are being moved come after this: they stay where they are, and no new segment is left open.
      closed = true;
      startWriting();
      await writing;
      await active.close();
    },
  };
}

interface Writing {
  options: JournalOptions;
  active: ReturnType<typeof activeSegment>;
  notes: ReturnType<typeof releaseNotes>;
}

async function commitOrRetry(writing: Writing, batch: Pending[]): Promise<void> {
  try {
    await commit(writing, batch);
  } catch (error) {
    writing.options.onWriteFailed(error);
    await commit(writing, batch).catch((again: unknown) => {
      writing.options.onWriteFailed(again);
      for (const { reject } of batch) reject(again);
    });
  }
}

async function commit({ active, notes }: Writing, batch: Pending[]): Promise<void> {
  const note = notes.take();
  if (batch.length === 0 && note.bytes.length === 0) return;
  const segment = await active.writable();
  for (const number of note.about) segment.notes.add(number);
  let offset = segment.size + note.bytes.length;
  await appendTo(segment, Buffer.concat([note.bytes, ...batch.map(({ frame }) => frame)]), batch.length > 0);
  for (const { frame, resolve } of batch) {
    segment.live++;
    segment.liveBytes += frame.length;
    resolve({ segment, offset, length: frame.length });
    offset += frame.length;
  }
}

/** Released records that the log does not say yet. */
function releaseNotes() {
  let places: [segment: number, offset: number][] = [];
  let timer: NodeJS.Timeout | undefined;
  return {
    add({ segment, offset }: Place, onDue: () => void): void {
      places.push([segment.number, offset]);
      timer ??= setTimeout(() => {
        timer = undefined;
        onDue();
      }, NOTE_DELAY_MS).unref();
    },
    /** One frame with all of them (no bytes when there are none), and the segments that they are about. */
    take(): { bytes: Buffer; about: Set<number> } {
      const taken = places;
      places = [];
      const about = new Set(taken.map(([segment]) => segment));
      const bytes = taken.length === 0 ? NOTHING : encodeFrame(FRAME_RELEASES, 0, JSON.stringify(taken));
      return { bytes, about };
    },
    cancelTimer(): void {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

function takeBatch(pending: readonly Pending[]): Pending[] {
  let bytes = 0;
  const end = pending.findIndex(({ frame }, index) => {
    bytes += frame.length;
    return index > 0 && bytes > MAX_BATCH_BYTES;
  });
  return end === -1 ? [...pending] : pending.slice(0, end);
}

/** The segment that is appended to now, replaced when it is full or sealed by a failure. */
function activeSegment(options: JournalOptions) {
  const { files, directory, segmentBytes } = options;
  let number = options.nextNumber;
  let segment: Segment | undefined;
  const create = (reserveBytes?: number): Promise<Segment> => createSegment(files, directory, number++, reserveBytes);
  const spare = spareSegment(async () => {
    const free = await files.freeBytes(directory);
    return free < segmentBytes * SPARE_ROOM ? undefined : create(segmentBytes);
  });
  spare.prepare();
  const retire = (): void => {
    if (segment === undefined) return;
    const retired = segment;
    segment = undefined;
    retired.sealed = true;
    options.onRetired(retired);
  };
  return {
    retire,
    async writable(): Promise<Segment> {
      if (segment !== undefined && !segment.sealed && segment.size < segmentBytes) return segment;
      retire();
      segment = spare.take() ?? (await create());
      options.onCreated(segment);
      spare.prepare();
      return segment;
    },
    async close(): Promise<void> {
      retire();
      const unused = await spare.close();
      if (unused === undefined) return;
      await unused.file.close();
      // What stays is empty, and removed at the next start.
      await files.remove(unused.path).catch(() => undefined);
    },
  };
}

/**
 * One segment prepared in the background, so that no callback waits for its blocks. There may be none: the disk is
 * almost full or slow, and then segments are created without.
 */
function spareSegment(create: () => Promise<Segment | undefined>) {
  let ready: Segment | undefined;
  let preparing: Promise<void> | undefined;
  let closed = false;
  return {
    prepare(): void {
      if (closed || ready !== undefined || preparing !== undefined) return;
      preparing = create()
        .then((segment) => void (ready = segment))
        .catch(() => undefined)
        .finally(() => (preparing = undefined));
    },
    take(): Segment | undefined {
      const taken = ready;
      ready = undefined;
      return taken;
    },
    async close(): Promise<Segment | undefined> {
      closed = true;
      await preparing;
      return ready;
    },
  };
}
