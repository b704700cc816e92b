/**
 * The durable spool: an append-only log of callbacks that could not be applied in time. `append` resolves when the
 * record is fsynced; callbacks that arrive during one fsync share the next (`journal.ts`).
 *
 * States. *Closed*: the directory could not be used (missing, read-only, locked); it is tried again by itself, and by
 * appends at most once a second (`door.ts`). *Open*: one segment takes records, older ones are only read. *Full*: at a
 * bound appends are refused and reported (`append.ts`). Nothing that was acknowledged is ever dropped: a record leaves
 * by `release`, or, when its bytes are damaged, into quarantine, with a report and a poll for its task where its token
 * is still readable.
 *
 * Releases are noted without an fsync: losing a note means that a record is applied again, which has no second effect.
 * Used by the intake (append) and the drainer (everything else).
 */
import { createAppend } from './append.ts';
import { diskFiles } from './files.ts';
import { oldestOfAll, openDirectory, recordsOf, releaseFrom, setAside, takeUp, usedBytes } from './directory.ts';
import { createDoor } from './door.ts';
import { decodeRecord } from './record.ts';
import { createFrameReader } from './segment.ts';
import type { Spool, SpoolOptions } from './types.ts';

export function createSpool(options: SpoolOptions): Spool {
  const parts = { ...options, files: options.files ?? diskFiles };
  const door = createDoor(() => openDirectory(parts), {
    onFault: options.onFault,
    onOpened: ({ entries }) => entries.forEach((entry) => options.onEntry(entry)),
  });
  const frameAt = createFrameReader();
  const appendTo = createAppend(options);

  return {
    entries: () => door.current()?.entries ?? [],
    async open() {
      await door.enter().catch(() => undefined);
    },
    async append(record, take = options.onEntry) {
      return appendTo(door.current() ?? (await door.enter()), record, take);
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
      open.tasks.remove(entry);
      releaseFrom(open, entry, parts);
      for (const next of takeUp(open, options.maxRecords)) options.onEntry(next);
      if (open.entries.size === 0) open.journal.startOver();
    },
    stats() {
      const open = door.current();
      if (open === undefined) return { open: false, records: 0, bytes: 0, oldestReceivedTime: undefined };
      return { open: true, records: recordsOf(open), bytes: usedBytes(open), oldestReceivedTime: oldestOfAll(open) };
    },
    close: () => door.close(),
  };
}
