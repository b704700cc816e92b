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

export function createAppend(bounds: Bounds): (open: OpenSpool, record: SpoolRecord, take: Take) => Promise<Appended> {
  /** By payload; what is not durable yet. */
  const underWay = new Map<string, Promise<Appended>>();
  const pending = createCounts();

  const refuseAbove = (open: OpenSpool, task: number, bytes: number): void => {
    const ofTask = open.tasks.of(task).length + pending.of(task) >= bounds.maxRecordsPerTask;
    const records = recordsOf(open) + pending.all() >= bounds.maxRecords;
    if (!ofTask && !records && usedBytes(open) + open.journal.pendingBytes() + bytes <= bounds.maxBytes) return;
    bounds.onFault('full', ofTask ? 'task' : 'bound');
    throw new SpoolError('full');
  };
  const write = async (open: OpenSpool, record: SpoolRecord, payload: string, take: Take): Promise<Appended> => {
    const task = taskKeyOf(record.token);
    if (await isOnDisk(open.tasks.of(task), payload)) return 'repeat';
    const { receivedTime } = record;
    const frame = encodeFrame(FRAME_RECORD, receivedTime, payload);
    refuseAbove(open, task, frame.length);
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
