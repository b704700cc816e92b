/**
 * Opening the spool: that what was acknowledged comes back by itself once the directory can be used, on a full disk too,
 * whatever one bad file among them says, and however much of it there is.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FRAME_RECORD, FRAME_RELEASES, encodeFrame, encodeHeader } from '../../src/callback/spool/format.ts';
import { encodeRecord } from '../../src/callback/spool/record.ts';
import type { SpoolRecord } from '../../src/callback/spool/record.ts';
import type { SpoolFile } from '../../src/callback/spool/files.ts';
import type { Spool, SpoolOptions } from '../../src/callback/spool/types.ts';
import { failingFiles } from '../support/failing-files.ts';
import { temporaryDirectory } from '../support/sidecar.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { openSpoolIn, spoolRecord } from '../support/spool.ts';
import type { OpenedSpool } from '../support/spool.ts';
import { waitUntil } from '../support/wait-until.ts';

let directory: string;
let open: Spool[] = [];

async function openSpool(options: Partial<SpoolOptions> = {}): Promise<OpenedSpool> {
  const opened = await openSpoolIn(directory, options);
  open.push(opened.spool);
  return opened;
}
/** Leaves these records in the directory, in segments of five. */
async function leaveRecords(count: number): Promise<string[]> {
  const { spool, entries } = await openSpool({ segmentBytes: 600 });
  for (let n = 0; n < count; n++) await spool.append(spoolRecord(n));
  await spool.close();
  return [...new Set(entries.map(({ segment }) => basename(segment.path)))];
}
const ofTask = (code: string): SpoolRecord => spoolRecord(1, code);
const frameOf = (record: SpoolRecord): Buffer => encodeFrame(FRAME_RECORD, record.receivedTime, encodeRecord(record));
const modeOf = (...names: string[]): number => statSync(join(directory, ...names)).mode & 0o777;

beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(async () => {
  for (const spool of open) await spool.close();
  open = [];
  await rm(directory, { recursive: true, force: true });
});

describe('a directory that could not be used at the start', () => {
  test('is opened by itself when it can be, and what lies there is offered although nobody appends', async () => {
    await leaveRecords(5);
    const holder = await openSpool();
    const late = await openSpool();
    expect(late.faults).toEqual(['unavailable LOCKED']);
    expect(late.spool.stats()).toMatchObject({ open: false, records: 0 });
    await holder.spool.close();
    await waitUntil('the records to be offered', () => late.entries.length === 5);
    expect(late.spool.stats()).toMatchObject({ open: true, records: 5 });
  });

  test('is left alone once the spool was shut', async () => {
    const holder = await openSpool();
    const late = await openSpool();
    await late.spool.close();
    await holder.spool.close();
    await expect(late.spool.append(spoolRecord(1))).rejects.toMatchObject({ code: 'unavailable' });
    const next = await openSpool();
    expect(next.faults).toEqual([]);
  });
});

describe('the lock', () => {
  test('writes nothing, so that it needs no room', async () => {
    await openSpool();
    expect(readdirSync(directory).filter((name) => name.startsWith('lock'))).toEqual(['lock']);
    expect(statSync(join(directory, 'lock')).size).toBe(0);
  });

  test('is taken on a full disk, and draining gives room again', async (context) => {
    const disk = await mountSmallDisk(directory, 3);
    context.skip(disk === undefined, 'mounting is not allowed here');
    try {
      const segments = await leaveRecords(20);
      disk!.fill();
      const opened = await openSpool();
      expect(opened.faults).toEqual([]);
      expect(opened.entries).toHaveLength(20);
      for (const entry of opened.entries) opened.spool.release(entry);
      await waitUntil(
        'the drained segments to be removed',
        () => !segments.some((name) => existsSync(join(directory, name))),
      );
      await opened.spool.append(spoolRecord(99));
    } finally {
      for (const spool of open) await spool.close();
      await disk!.unmount();
    }
  });
});

describe('a segment that the disk does not give', () => {
  test('costs that segment: the others are offered, callbacks are taken, the fault is told', async () => {
    const segments = await leaveRecords(20);
    const files = failingFiles();
    files.faults.unreadable = segments[1]!;
    const { spool, entries, faults } = await openSpool({ files });
    expect(faults).toEqual(['ioError EIO']);
    expect(entries).toHaveLength(15);
    await spool.append(spoolRecord(99));
    for (const entry of entries) spool.release(entry);
    await spool.close();
    expect(files.handles).toBe(0);
    expect(readdirSync(directory)).toContain(segments[1]);
    expect((await openSpool()).entries).toHaveLength(5);
  });

  test('counts towards the bound of bytes', async () => {
    const segments = await leaveRecords(20);
    const files = failingFiles();
    const whole = (await openSpool()).spool.stats().bytes;
    await open.at(-1)!.close();
    files.faults.unreadable = segments[1]!;
    expect((await openSpool({ files })).spool.stats().bytes).toBe(whole);
  });

  test('because its releases are no list costs nothing', async () => {
    const frame = encodeFrame(FRAME_RELEASES, 0, 'not a list');
    writeFileSync(join(directory, 'segment-00000001.spool'), Buffer.concat([encodeHeader(), frame]));
    const { spool, faults } = await openSpool();
    expect(faults).toEqual([]);
    await spool.append(spoolRecord(1));
  });
});

describe('more records than may be held in memory', () => {
  test('are offered segment by segment, oldest first, while they drain; nothing is taken meanwhile', async () => {
    await leaveRecords(40);
    const opened = await openSpool({ maxRecords: 10 });
    expect(opened.spool.stats()).toMatchObject({ records: 40, oldestReceivedTime: spoolRecord(0).receivedTime });
    expect(opened.entries.length).toBeLessThanOrEqual(10);
    await expect(opened.spool.append(spoolRecord(99))).rejects.toMatchObject({ code: 'full' });
    for (let n = 0; n < 40; n++) {
      const entry = opened.entries[n]!;
      expect(await opened.spool.read(entry)).toEqual(spoolRecord(n));
      opened.spool.release(entry);
      expect([...opened.spool.entries()].length).toBeLessThanOrEqual(10);
    }
    expect(opened.spool.stats()).toMatchObject({ records: 0, oldestReceivedTime: undefined });
    await opened.spool.append(spoolRecord(99));
  });

  test('are not found again when they were released before', async () => {
    await leaveRecords(40);
    const before = await openSpool({ maxRecords: 10 });
    for (let n = 0; n < 25; n++) before.spool.release(before.entries[n]!);
    await before.spool.close();
    const after = await openSpool({ maxRecords: 10 });
    expect(after.spool.stats().records).toBe(15);
    for (let n = 0; n < 15; n++) after.spool.release(after.entries[n]!);
    expect(after.spool.stats().records).toBe(0);
    const found = after.entries.map(({ receivedTime }) => receivedTime);
    expect(found).toEqual(Array.from({ length: 15 }, (_, n) => spoolRecord(25 + n).receivedTime));
  });

  test('do not take the memory of the process that opens them, however small and many they are', async () => {
    const count = 300_000;
    for (let first = 0; first < count; first += count / 6) {
      const frames = Array.from({ length: count / 6 }, (_, n) => frameOf(spoolRecord(first + n, 'abcdef')));
      const name = `segment-${String(first / (count / 6) + 1).padStart(8, '0')}.spool`;
      writeFileSync(join(directory, name), Buffer.concat([encodeHeader(), ...frames]));
    }
    const execArgv = ['--max-old-space-size=48'];
    const holder = fork(new URL('../support/hold-spool.ts', import.meta.url), [directory, '20000'], { execArgv });
    const ended = once(holder, 'exit').then(() => ['it ran out of memory']);
    const [found] = (await Promise.race([once(holder, 'message'), ended])) as unknown[];
    holder.kill('SIGKILL');
    await ended;
    expect(found).toBe(count);
  });

  test('are refused beyond the bound, loudly, however small they are', async () => {
    const { spool, faults } = await openSpool({ maxRecords: 3 });
    const appends = Array.from({ length: 5 }, (_, n) => spool.append(spoolRecord(n)));
    const settled = await Promise.allSettled(appends);
    expect(settled.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 3 }, () => 'fulfilled'),
      'rejected',
      'rejected',
    ]);
    expect(faults).toEqual(['full bound', 'full bound']);
  });
});

describe('a disk that hangs', () => {
  test.each([
    { what: 'records', appended: 9_000, code: 'x', taken: 8_192 },
    { what: 'bytes', appended: 2_000, code: 'x'.repeat(12_000), taken: 1_375 },
  ])('takes the memory of a bad second, counted in $what', async ({ appended, code, taken }) => {
    const files = failingFiles();
    const { promise: hanging, resolve: letGo } = Promise.withResolvers<void>();
    const create = async (path: string): Promise<SpoolFile> => ({ ...(await files.create(path)), sync: () => hanging });
    const { spool, faults } = await openSpool({ files: { ...files, create }, maxBytes: 100_000_000 });
    const settled = Promise.allSettled(Array.from({ length: appended }, (_, n) => spool.append(spoolRecord(n, code))));
    await waitUntil('the rest to be refused', () => faults.length > 0).finally(letGo);
    expect(new Set(faults)).toEqual(new Set(['full pending']));
    const fulfilled = (await settled).filter(({ status }) => status === 'fulfilled').length;
    expect(Math.abs(fulfilled - taken)).toBeLessThan(100);
  });
});

describe('the records of one task', () => {
  test('are bounded; those of other tasks are taken', async () => {
    const { spool, faults, entries } = await openSpool();
    const appends = Array.from({ length: 12 }, (_, n) => spool.append(ofTask(`guess-${n}`)));
    const settled = await Promise.allSettled(appends);
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(8);
    expect(faults).toEqual(Array.from({ length: 4 }, () => 'full task'));
    await expect(spool.append(ofTask('another'))).rejects.toMatchObject({ code: 'full' });
    expect(await spool.append(spoolRecord(2))).toBe('written');
    spool.release(entries[0]!);
    expect(await spool.append(ofTask('another'))).toBe('written');
  });

  test('are still bounded after a restart', async () => {
    const before = await openSpool();
    for (let n = 0; n < 8; n++) await before.spool.append(ofTask(`guess-${n}`));
    await before.spool.close();
    const after = await openSpool();
    await expect(after.spool.append(ofTask('another'))).rejects.toMatchObject({ code: 'full' });
  });

  test('are written once when they say the same, and a repeat is answered when the first one is durable', async () => {
    const { spool, entries } = await openSpool();
    const appends = Array.from({ length: 20 }, () => spool.append(ofTask('same')));
    expect((await Promise.all(appends)).filter((appended) => appended === 'written')).toHaveLength(1);
    expect(await spool.append(ofTask('same'))).toBe('repeat');
    expect(entries).toHaveLength(1);
    expect(await spool.append(ofTask('other'))).toBe('written');
  });

  test('are no repeat of what never became durable', async () => {
    const files = failingFiles();
    const { spool } = await openSpool({ files });
    files.faults.sync = 'EIO';
    const both = await Promise.allSettled([spool.append(ofTask('same')), spool.append(ofTask('same'))]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    delete files.faults.sync;
    expect(await spool.append(ofTask('same'))).toBe('written');
  });

  test('are no repeat of one whose bytes are damaged by now', async () => {
    const { spool, entries } = await openSpool();
    await spool.append(ofTask('same'));
    const { segment, offset, length } = entries[0]!;
    await segment.file.write(Buffer.alloc(10), offset + length - 10);
    expect(await spool.append(ofTask('same'))).toBe('written');
  });
});

describe('what the spool writes', () => {
  test('is for its owner alone, although somebody opened it to others', async () => {
    await rm(directory, { recursive: true });
    mkdirSync(directory, { mode: 0o775 });
    writeFileSync(join(directory, 'lock'), '', { mode: 0o644 });
    const { spool } = await openSpool();
    await spool.append(spoolRecord(1));
    const segment = readdirSync(directory).find((name) => name.endsWith('.spool'))!;
    expect([modeOf(), modeOf('lock'), modeOf(segment)]).toEqual([0o700, 0o600, 0o600]);
  });

  test('has a durable name in quarantine too, before its segment may go', async () => {
    const [segment] = await leaveRecords(3);
    const bytes = encodeFrame(1, 1, 'x');
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(directory, segment!), Buffer.concat([bytes, encodeFrame(1, 1, '{}')]), { flag: 'a' });
    const files = failingFiles();
    await openSpool({ files });
    expect(existsSync(join(directory, 'quarantine'))).toBe(true);
    expect(files.syncedDirectories).toContain(join(directory, 'quarantine'));
  });

  test('does not leave a file open when it could not be kept aside', async () => {
    const [segment] = await leaveRecords(3);
    const bytes = encodeFrame(1, 1, 'x');
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(directory, segment!), Buffer.concat([bytes, encodeFrame(1, 1, '{}')]), { flag: 'a' });
    const files = failingFiles();
    files.faults.sync = 'EIO';
    const { spool } = await openSpool({ files });
    await spool.close();
    expect(files.handles).toBe(0);
  });
});
