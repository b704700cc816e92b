/**
 * Takes a record in, or says why not. A repeat of a record that is on disk already needs no second one, and those of one
 * task are bounded: whoever learned one callback URL could otherwise fill the spool with it, and every task's callbacks
 * would be refused. What may be called a repeat is read back from the disk, word for word: 200 means durable.
 * Called by `spool.ts`.
 */
import { SpoolError, recordsOf, usedBytes } from './directory.ts';
import { FRAME_RECORD, encodeFrame, readFrame } from './format.ts';
import { encodeRecord } from './record.ts';
import type { SpoolRecord } from './record.ts';
import { taskKeyOf } from './task-index.ts';
import type { Appended, OpenSpool, SpoolEntry, SpoolOptions } from './types.ts';

type Bounds = Pick<SpoolOptions, 'maxBytes' | 'maxRecords' | 'maxRecordsPerTask' | 'onFault'>;
type Take = (entry: SpoolEntry) => void;

/**
 * What waits for the disk waits in memory, and its callbacks were answered 503 long ago when the disk hangs: as much as
 * arrives in a bad second, not as much as a disk holds.
 */
const MAX_PENDING_RECORDS = 8_192;
const MAX_PENDING_BYTES = 16 * 1024 * 1024;

export function createAppend(bounds: Bounds): (open: OpenSpool, record: SpoolRecord, take: Take) => Promise<Appended> {
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
