/**
 * The durable spool: an append-only log of callbacks that could not be applied in time. `append` resolves when the
 * record is fsynced; callbacks that arrive during one fsync share the next (`journal.ts`).
 *
 * States of its directory. *Closed*: it could not be used (missing, read-only, locked); it is tried again by itself,
 * after a second and then less often, and by appends at most once a second. *Open*: one segment takes records, older
 * ones are only read; at a bound appends are refused and reported. *Shut*, for good: from the end of the process on.
 *
 * Nothing that was acknowledged is ever dropped: a record leaves by `release`, or, when its bytes are damaged, into
 * quarantine, with a report and a poll for its task where its token is still readable. Releases are noted without an
 * fsync: losing a note means that a record is applied again, which has no second effect.
 */
import { exponentialBackoff } from '../../waiting/backoff.ts';
import {
  SpoolError,
  oldestOfAll,
  openDirectory,
  recordsOf,
  releaseFrom,
  setAside,
  takeUp,
  usedBytes,
} from './directory.ts';
import { codeOf, diskFiles } from './files.ts';
import { FRAME_RECORD, encodeFrame, readFrame } from './format.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { SpoolRecord } from './record.ts';
import { createFrameReader } from './segment.ts';
import { taskKeyOf } from './task-index.ts';
import type { Appended, OpenSpool, Spool, SpoolEntry, SpoolOptions } from './types.ts';

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

interface Door {
  current(): OpenSpool | undefined;
  /** The open spool; tries to open it, at most once a second. */
  enter(): Promise<OpenSpool>;
  close(): Promise<void>;
}

interface DoorHooks {
  onFault: SpoolOptions['onFault'];
  onOpened(open: OpenSpool): void;
}

const REOPEN_INTERVAL_MS = 1_000;
const reopenDelay = exponentialBackoff({ baseMs: REOPEN_INTERVAL_MS, maxMs: 30_000, random: Math.random });

/**
 * Holds the directory while it can be used, and tries it again while it cannot: acknowledged records may lie in it, and
 * nothing else would come back for them while the API takes every callback.
 */
function createDoor(openNow: () => Promise<OpenSpool>, hooks: DoorHooks): Door {
  let state: OpenSpool | undefined;
  let opening: Promise<OpenSpool> | undefined;
  let shut = false;
  let failures = 0;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  const tryOpening = async (): Promise<OpenSpool> => {
    clearTimeout(timer);
    triedAtMs = performance.now();
    try {
      state = await openNow();
      hooks.onOpened(state);
      return state;
    } catch (error) {
      hooks.onFault('unavailable', codeOf(error));
      timer = setTimeout(() => void start().catch(() => undefined), reopenDelay(++failures)).unref();
      throw error;
    } finally {
      opening = undefined;
    }
  };
  const start = (): Promise<OpenSpool> => {
    if (shut) return Promise.reject(new SpoolError('unavailable'));
    opening ??= tryOpening();
    return opening;
  };
  return {
    current: () => state,
    async enter() {
      if (state !== undefined) return state;
      const tooSoon = opening === undefined && performance.now() - triedAtMs < REOPEN_INTERVAL_MS;
      if (tooSoon) throw new SpoolError('unavailable');
      return start();
    },
    async close() {
      shut = true;
      await opening?.catch(() => undefined);
      clearTimeout(timer);
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

type Bounds = Pick<SpoolOptions, 'maxBytes' | 'maxRecords' | 'maxRecordsPerTask' | 'onFault'>;
type Take = (entry: SpoolEntry) => void;

/**
 * What waits for the disk waits in memory, and its callbacks were answered 503 long ago when the disk hangs: as much as
 * arrives in a bad second, not as much as a disk holds.
 */
const MAX_PENDING_RECORDS = 8_192;
const MAX_PENDING_BYTES = 16 * 1024 * 1024;

/**
 * Takes a record in, or says why not. A repeat of a record that is on disk already needs no second one, and those of one
 * task are bounded: whoever learned one callback URL could otherwise fill the spool with it, and every task's callbacks
 * would be refused. What may be called a repeat is read back from the disk, word for word: 200 means durable.
 */
function createAppend(bounds: Bounds): (open: OpenSpool, record: SpoolRecord, take: Take) => Promise<Appended> {
  /** By payload; what is not durable yet. */
  const underWay = new Map<string, Promise<Appended>>();
  const pending = createCounts();

  /** The bound that this record would break. */
  const brokenBound = (open: OpenSpool, task: number, bytes: number): 'task' | 'pending' | 'bound' | undefined => {
    const pendingBytes = open.journal.pendingBytes() + bytes;
    if (open.tasks.of(task).length + pending.of(task) >= bounds.maxRecordsPerTask) return 'task';
    if (pending.all() >= MAX_PENDING_RECORDS || pendingBytes > MAX_PENDING_BYTES) return 'pending';
    if (recordsOf(open) + pending.all() >= bounds.maxRecords) return 'bound';
    return usedBytes(open) + pendingBytes > bounds.maxBytes ? 'bound' : undefined;
  };
  const write = async (open: OpenSpool, record: SpoolRecord, payload: string, take: Take): Promise<Appended> => {
    const task = taskKeyOf(record.token);
    if (await isOnDisk(open.tasks.of(task), payload)) return 'repeat';
    const { receivedTime } = record;
    const frame = encodeFrame(FRAME_RECORD, receivedTime, payload);
    const broken = brokenBound(open, task, frame.length);
    if (broken !== undefined) {
      bounds.onFault('full', broken);
      throw new SpoolError('full');
    }
    pending.enter(task);
    try {
      const entry = { ...(await open.journal.append(frame)), receivedTime, task };
      open.entries.add(entry);
      open.tasks.add(entry);
      take(entry);
      return 'written';
    } finally {
      pending.leave(task);
    }
  };
  return async (open, record, take) => {
    const payload = encodeRecord(record);
    const first = underWay.get(payload);
    if (first !== undefined) return first.then(() => 'repeat');
    const work = write(open, record, payload, take).finally(() => underWay.delete(payload));
    underWay.set(payload, work);
    return work;
  };
}

/** Whether one of these records says exactly this. What cannot be read is not on disk. */
async function isOnDisk(entries: readonly SpoolEntry[], payload: string): Promise<boolean> {
  for (const { segment, offset, length } of entries) {
    const bytes = await segment.file.read(offset, length).catch(() => undefined);
    if (bytes !== undefined && readFrame(bytes, 0)?.payload === payload) return true;
  }
  return false;
}

/** How many records of each task are being written. */
function createCounts() {
  const counts = new Map<number, number>();
  let all = 0;
  const of = (task: number): number => counts.get(task) ?? 0;
  return {
    of,
    all: () => all,
    enter(task: number): void {
      all++;
      counts.set(task, of(task) + 1);
    },
    leave(task: number): void {
      all--;
      if (of(task) > 1) counts.set(task, of(task) - 1);
      else counts.delete(task);
    },
  };
}
