/**
 * The durable spool: an append-only log of callbacks that could not be applied in time. `append` resolves when the
 * record is fsynced; callbacks that arrive during one fsync share the next (`journal.ts`).
 *
 * States. *Closed*: the directory could not be used (missing, read-only, locked); every append tries again, at most
 * once a second. *Open*: one segment takes records, older ones are only read. *Full*: at the byte limit appends are
 * refused and reported. Nothing that was acknowledged is ever dropped: a record leaves by `release`, or, when its bytes
 * are damaged, into quarantine, with a report and a poll for its task where its token is still readable.
 *
 * Releases are noted without an fsync: losing a note means that a record is applied again, which has no second effect.
 * Used by the intake (append) and the drainer (everything else).
 */
import { diskFiles } from './files.ts';
import { SpoolError, codeOf, openDirectory, releaseFrom, setAside, usedBytes } from './directory.ts';
import { FRAME_RECORD, encodeFrame } from './format.ts';
import { createFrameReader } from './frame-reader.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { OpenSpool, Spool, SpoolEntry, SpoolOptions } from './types.ts';

const REOPEN_INTERVAL_MS = 1_000;

export function createSpool(options: SpoolOptions): Spool {
  const parts = { ...options, files: options.files ?? diskFiles };
  const door = createDoor(() => openDirectory(parts), {
    onFault: options.onFault,
    onOpened: ({ entries }) => entries.forEach((entry) => options.onEntry(entry)),
  });
  const frameAt = createFrameReader();

  return {
    entries: () => door.current()?.entries ?? [],
    async open() {
      await door.enter().catch(() => undefined);
    },
    async append(record, take = options.onEntry) {
      const open = door.current() ?? (await door.enter());
      const frame = encodeFrame(FRAME_RECORD, record.receivedTime, encodeRecord(record));
      if (usedBytes(open) + open.journal.pendingBytes() + frame.length > options.maxBytes) {
        options.onFault('full', 'bound');
        throw new SpoolError('full');
      }
      const entry = { ...(await open.journal.append(frame)), receivedTime: record.receivedTime };
      open.entries.add(entry);
      take(entry);
    },
    async read(entry) {
      const frame = await frameAt(entry);
      const record = frame === undefined ? undefined : decodeRecord(frame.payload, entry.receivedTime);
      if (record === undefined) await setAside(parts, entry);
      return record;
    },
    release(entry) {
      const open = door.current();
      if (open === undefined || !open.entries.delete(entry)) return;
      releaseFrom(open, entry, parts);
      if (open.entries.size === 0) open.journal.startOver();
    },
    stats() {
      const open = door.current();
      if (open === undefined) return { records: 0, bytes: 0, oldestReceivedTime: undefined };
      const oldest: SpoolEntry | undefined = open.entries.values().next().value;
      return { records: open.entries.size, bytes: usedBytes(open), oldestReceivedTime: oldest?.receivedTime };
    },
    close: () => door.close(),
  };
}

interface DoorHooks {
  onFault: SpoolOptions['onFault'];
  onOpened(open: OpenSpool): void;
}

/** The directory's state: closed, being opened, open, or shut for good. */
function createDoor(openNow: () => Promise<OpenSpool>, hooks: DoorHooks) {
  let state: OpenSpool | undefined;
  let opening: Promise<OpenSpool> | undefined;
  let shut = false;
  let triedAtMs = Number.NEGATIVE_INFINITY;

  const tryOpening = async (): Promise<OpenSpool> => {
    triedAtMs = performance.now();
    try {
      state = await openNow();
      hooks.onOpened(state);
      return state;
    } catch (error) {
      hooks.onFault('unavailable', codeOf(error));
      throw error;
    } finally {
      opening = undefined;
    }
  };
  return {
    current: (): OpenSpool | undefined => state,
    async enter(): Promise<OpenSpool> {
      if (state !== undefined) return state;
      const tooSoon = opening === undefined && performance.now() - triedAtMs < REOPEN_INTERVAL_MS;
      if (shut || tooSoon) throw new SpoolError('unavailable');
      opening ??= tryOpening();
      return opening;
    },
    async close(): Promise<void> {
      shut = true;
      await opening?.catch(() => undefined);
      if (state === undefined) return;
      const { journal, segments, removals, unlock } = state;
      await journal.close();
      await Promise.all(removals);
      state = undefined;
      for (const { file } of segments) await file.close().catch(() => undefined);
      unlock();
    },
  };
}
