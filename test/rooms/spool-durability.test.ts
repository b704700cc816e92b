/** The spool on a real directory: what survives, what is refused, and what every fault of the disk leads to. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SpoolRecord } from '../../src/callback/spool/record.ts';
import type { Spool, SpoolEntry, SpoolOptions } from '../../src/callback/spool/types.ts';
import { failingFiles } from '../support/failing-files.ts';
import { temporaryDirectory } from '../support/sidecar.ts';
import { openSpoolIn, readEntries as readAll, spoolRecord as record } from '../support/spool.ts';
import type { OpenedSpool } from '../support/spool.ts';

let directory: string;
let open: Spool[] = [];

async function openSpool(options: Partial<SpoolOptions> = {}): Promise<OpenedSpool> {
  const opened = await openSpoolIn(directory, options);
  open.push(opened.spool);
  return opened;
}
/** What a process that is killed leaves: its files as they are, and its lock free. */
async function reopen(before: OpenedSpool): Promise<OpenedSpool> {
  await before.spool.close();
  return openSpool();
}
/** As in `VERSION_1_SEGMENT`, where all are of one task. */
const written = (n: number, code?: string): SpoolRecord => ({
  ...record(n, code),
  token: `k1.default.task-${n}.b7b2a1c0-0000-4000-8000-000000000001.1.AAAAAAAAAAAAAAAAAAAAAAAA`,
});
const segments = (): string[] => readdirSync(directory).filter((name) => name.endsWith('.spool'));
const pathOf = (name: string): string => join(directory, name);
function flip(name: string, at: number, bit = 0): void {
  const bytes = readFileSync(pathOf(name));
  bytes[at]! ^= 1 << bit;
  writeFileSync(pathOf(name), bytes);
}

async function threeRecords(): Promise<{ name: string; entries: SpoolEntry[] }> {
  const before = await openSpool();
  for (const n of [1, 2, 3]) await before.spool.append(record(n));
  await before.spool.close();
  return { name: segments()[0]!, entries: before.entries };
}

beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(async () => {
  for (const spool of open) await spool.close();
  open = [];
  await rm(directory, { recursive: true, force: true });
});

describe('a record', () => {
  test('is found again after a restart, oldest first, exactly as it was', async () => {
    const before = await openSpool();
    const records = [
      record(1),
      record(2, '\u0000 "\\ \u{1f600}'),
      { kind: 'due' as const, token: 't', receivedTime: 1_700_000_000_009 },
    ];
    for (const one of records) await before.spool.append(one);
    const after = await reopen(before);
    expect(await readAll(after)).toEqual(records);
    expect(after.spool.stats()).toMatchObject({ records: 3, oldestReceivedTime: records[0]!.receivedTime });
    expect(after.faults).toEqual([]);
  });

  test('that is released is not found again, and its segment goes when it was the last', async () => {
    const before = await openSpool({ segmentBytes: 300 });
    for (let n = 0; n < 9; n++) await before.spool.append(record(n));
    for (const entry of before.entries.slice(0, 8)) before.spool.release(entry);
    const after = await reopen(before);
    expect(await readAll(after)).toEqual([record(8)]);
    after.spool.release(after.entries[0]!);
    await after.spool.close();
    expect(segments()).toEqual([]);
  });

  test('that is stuck among released ones does not keep their disk: what is left of sparse segments moves', async () => {
    const before = await openSpool({ segmentBytes: 2_000 });
    for (let n = 0; n < 200; n++) await before.spool.append(record(n));
    const full = before.spool.stats().bytes;
    for (const [n, entry] of before.entries.entries()) if (n % 20 !== 0) before.spool.release(entry);
    await expect.poll(() => before.spool.stats().bytes, { timeout: 5_000 }).toBeLessThan(full / 2);
    expect([...before.spool.entries()]).toHaveLength(10);
    const expected = Array.from({ length: 10 }, (_, index) => record(index * 20));
    const kept = [...before.spool.entries()];
    expect(await Promise.all(kept.map((entry) => before.spool.read(entry)))).toEqual(expected);
    const after = await reopen(before);
    expect(await readAll(after)).toEqual(expected);
    expect(after.faults).toEqual([]);
  });

  test('is read with its neighbours, and does not depend on them', async () => {
    const files = failingFiles();
    const { spool, entries, faults } = await openSpool({ files });
    const records = Array.from({ length: 500 }, (_, n) => record(n));
    await Promise.all(records.map((one) => spool.append(one)));
    const readInOrder = async (): Promise<(SpoolRecord | undefined)[]> => {
      const read = [];
      for (const entry of entries) read.push(await spool.read(entry));
      return read;
    };
    files.reads = 0;
    expect(await readInOrder()).toEqual(records);
    expect(files.reads).toBeLessThan(10);
    files.faults = { read: 'EIO', readsBeyond: 1_000 };
    expect(await readInOrder()).toEqual(records);
    expect(faults).toEqual([]);
  });

  test('is found although its neighbour was read before it was written', async () => {
    const { spool, entries } = await openSpool();
    for (let n = 0; n < 5; n++) {
      await spool.append(record(n));
      expect(await spool.read(entries[n]!)).toEqual(record(n));
    }
  });

  test('shares its fsync with the others that wait', async () => {
    const files = failingFiles();
    const { spool } = await openSpool({ files });
    await Promise.all(Array.from({ length: 500 }, (_, n) => spool.append(record(n))));
    expect(files.syncs).toBeLessThan(10);
  });

  test('survives as it is in every interleaving of appends, releases and restarts', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ do: fc.constant('release' as const), pick: fc.nat(30) }),
      fc.record({ do: fc.constant('restart' as const) }),
    );
    const parent = directory;
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        directory = join(parent, String(run++));
        let current = await openSpool({ segmentBytes: 700 });
        let expected: SpoolRecord[] = [];
        let next = 0;
        for (const one of steps) {
          if (one.do === 'append') {
            const added = Array.from({ length: one.count }, () => record(next++));
            await Promise.all(added.map((item) => current.spool.append(item)));
            expected.push(...added);
          } else if (one.do === 'release' && expected.length > 0) {
            const index = one.pick % expected.length;
            const entry = [...current.spool.entries()][index]!;
            expect(await current.spool.read(entry)).toEqual(expected[index]);
            current.spool.release(entry);
            expected = expected.filter((_, other) => other !== index);
          } else if (one.do === 'restart') {
            current = await reopen(current);
          }
        }
        current = await reopen(current);
        expect(await readAll(current)).toEqual(expected);
        expect(current.faults).toEqual([]);
        await current.spool.close();
      }),
      { numRuns: 40 },
    );
    directory = parent;
  });
});

describe('damage', () => {
  test.each([
    ['its code', 125],
    ['its checksum', 5],
    ['its length', 8],
    ['the highest byte of its length', 11],
    ['its time', 14],
    ['its opening bytes', 1],
  ])('of one bit in %s costs that record alone; it is kept aside and counted, once', async (_, at) => {
    const { name, entries } = await threeRecords();
    flip(name, entries[1]!.offset + at);
    const first = await openSpool();
    expect(await readAll(first)).toEqual([record(1), record(3)]);
    expect(first.faults).toEqual(['damaged checksum']);
    expect(first.candidates.some((text) => text.includes('.task-2.'))).toBe(true);
    expect(readdirSync(pathOf('quarantine'))).toEqual([`${name}-${entries[1]!.offset}`]);
    const second = await reopen(first);
    expect(second.faults).toEqual([]);
    expect(await readAll(second)).toEqual([record(1), record(3)]);
  });

  test('of any one bit anywhere never costs more than one record and never invents one', async () => {
    const { name } = await threeRecords();
    const sound = readFileSync(pathOf(name));
    const originals = [record(1), record(2), record(3)].map((one) => JSON.stringify(one));
    await fc.assert(
      fc.asyncProperty(fc.nat(sound.length - 1), fc.nat(7), async (at, bit) => {
        flip(name, at, bit);
        const opened = await openSpool();
        const found = (await readAll(opened)).map((one) => JSON.stringify(one));
        await opened.spool.close();
        writeFileSync(pathOf(name), sound);
        await rm(pathOf('quarantine'), { recursive: true, force: true });
        expect(found.every((one) => originals.includes(one))).toBe(true);
        expect(found.length).toBeGreaterThanOrEqual(2);
      }),
      { numRuns: 300 },
    );
  });

  test('after it was read at the start is noticed before the record is applied', async () => {
    const before = await openSpool();
    await before.spool.append(record(1));
    await before.spool.append(record(2));
    flip(basename(before.entries[0]!.segment.path), before.entries[0]!.offset + 60);
    expect(await readAll(before)).toEqual([undefined, record(2)]);
    expect(before.faults).toEqual(['damaged checksum']);
  });

  test('that cannot be kept aside keeps its whole segment', async () => {
    const { name, entries } = await threeRecords();
    flip(name, entries[1]!.offset + 40);
    const files = failingFiles();
    files.faults.create = 'EACCES';
    const opened = await openSpool({ files });
    for (const entry of opened.entries) opened.spool.release(entry);
    await opened.spool.close();
    expect(segments()).toContain(name);
  });

  test('of the header leaves the records readable', async () => {
    const { name } = await threeRecords();
    flip(name, 9);
    expect(await readAll(await openSpool())).toEqual([record(1), record(2), record(3)]);
  });

  test('a torn end, which was never acknowledged, is no damage and costs nothing else', async () => {
    const { name, entries } = await threeRecords();
    for (const cut of [1, 30, entries[2]!.length - 1]) {
      truncateSync(pathOf(name), entries[2]!.offset + cut);
      const opened = await openSpool();
      expect(await readAll(opened)).toEqual([record(1), record(2)]);
      expect(opened.faults).toEqual([]);
      await opened.spool.close();
    }
  });

  test('a write that was cut off inside reserved blocks is a torn end as well', async () => {
    const { name, entries } = await threeRecords();
    const bytes = readFileSync(pathOf(name));
    bytes.fill(0, entries[2]!.offset + 60);
    writeFileSync(pathOf(name), Buffer.concat([bytes, Buffer.alloc(8_192)]));
    const opened = await openSpool();
    expect(await readAll(opened)).toEqual([record(1), record(2)]);
    expect(opened.faults).toEqual([]);
  });

  test('zeros at the end, which some file systems leave after a crash, are no record and no damage', async () => {
    const { name } = await threeRecords();
    truncateSync(pathOf(name), statSync(pathOf(name)).size + 4_096);
    const opened = await openSpool();
    expect(await readAll(opened)).toHaveLength(3);
    expect(opened.faults).toEqual([]);
    expect(opened.spool.stats().bytes).toBeLessThan(1_000);
  });
});

describe('a disk that fails', () => {
  test.each([
    { room: 'has room', freeBytes: 5_000_000, created: 2 },
    { room: 'is almost full', freeBytes: 3_000_000, created: 1 },
  ])('that $room: blocks are reserved only where that leaves room for callbacks', async (disk) => {
    const files = failingFiles();
    files.faults.freeBytes = disk.freeBytes;
    const { spool } = await openSpool({ files, segmentBytes: 1_000_000 });
    await spool.append(record(1));
    await spool.close();
    expect(files.created).toHaveLength(disk.created);
  });

  test('with ENOSPC: refused while it is full, earlier records intact, served again when there is room', async () => {
    const files = failingFiles();
    const before = await openSpool({ files });
    await before.spool.append(record(1));
    files.faults.write = 'ENOSPC';
    await expect(before.spool.append(record(2))).rejects.toMatchObject({ code: 'ENOSPC' });
    delete files.faults.write;
    await before.spool.append(record(3));
    expect(before.faults).toEqual(['writeFailed ENOSPC', 'writeFailed ENOSPC']);
    const found = await readAll(await reopen(before));
    expect(found).toContainEqual(record(1));
    expect(found).toContainEqual(record(3));
    expect(found).not.toContainEqual(record(2));
  });

  test('in fsync: nothing is ever acknowledged on that segment again, a new one takes over', async () => {
    const files = failingFiles();
    const { spool, entries, faults } = await openSpool({ files });
    await spool.append(record(1));
    files.faults.sync = 'EIO';
    await expect(spool.append(record(2))).rejects.toMatchObject({ code: 'EIO' });
    delete files.faults.sync;
    await spool.append(record(3));
    expect(faults).toEqual(['writeFailed EIO', 'writeFailed EIO']);
    expect(entries[0]!.segment.sealed).toBe(true);
    expect(entries[1]!.segment.number).not.toBe(entries[0]!.segment.number);
  });

  test('once is answered by a second try on another segment', async () => {
    const files = failingFiles();
    const { spool, entries, faults } = await openSpool({ files });
    await spool.append(record(1));
    await expect.poll(() => segments().length).toBe(2);
    files.faults.sync = 'EIO';
    files.faults.syncTimes = 1;
    await spool.append(record(2));
    expect(faults).toEqual(['writeFailed EIO']);
    expect(entries[1]!.segment.number).not.toBe(entries[0]!.segment.number);
  });

  test('in removing a drained segment is reported, and harmless', async () => {
    const files = failingFiles();
    files.faults.remove = 'EIO';
    const opened = await openSpool({ files });
    await opened.spool.append(record(1));
    opened.spool.release(opened.entries[0]!);
    await opened.spool.close();
    expect(opened.faults).toEqual(['ioError EIO']);
  });
});

describe('the directory', () => {
  test('that is taken by another spool is not touched; the second works once the first is gone', async () => {
    const first = await openSpool();
    const second = await openSpool();
    expect(second.faults).toEqual(['unavailable LOCKED']);
    await expect(second.spool.append(record(1))).rejects.toMatchObject({ code: 'unavailable' });
    await first.spool.close();
    await expect
      .poll(
        () =>
          second.spool.append(record(1)).then(
            () => true,
            () => false,
          ),
        { timeout: 5_000 },
      )
      .toBe(true);
  });

  test('that another process holds is free the moment that process is killed', async () => {
    const holder = fork(new URL('../support/hold-spool.ts', import.meta.url), [directory], { execArgv: [] });
    await once(holder, 'message');
    const opened = await openSpool();
    expect(opened.faults).toEqual(['unavailable LOCKED']);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await expect
      .poll(
        () =>
          opened.spool.append(record(1)).then(
            () => true,
            () => false,
          ),
        { timeout: 5_000 },
      )
      .toBe(true);
  });

  test('that cannot be written makes every append fail with a report, at most once a second', async () => {
    const files = failingFiles();
    files.faults.list = 'EROFS';
    const { spool, faults } = await openSpool({ files });
    for (let n = 0; n < 5; n++) await expect(spool.append(record(n))).rejects.toThrow('the spool is unavailable');
    expect(faults).toEqual(['unavailable EROFS']);
  });

  test('at its bound refuses, loudly, keeps what it has, and takes records again when some were applied', async () => {
    const { spool, faults, entries } = await openSpool({ maxBytes: 1_000, segmentBytes: 300 });
    const fill = async (): Promise<void> => {
      for (let n = 0; n < 20; n++) await spool.append(record(n));
    };
    await expect(fill()).rejects.toMatchObject({ code: 'full' });
    expect(faults.at(-1)).toBe('full bound');
    expect(spool.stats().bytes).toBeLessThanOrEqual(1_000);
    for (const entry of entries) spool.release(entry);
    await spool.append(record(99));
  });

  test('of an unknown, later version stays for the build that knows it, and counts', async () => {
    const header = Buffer.from('4341505350 4f4f4c 63000000 00000000'.replaceAll(' ', ''), 'hex');
    const { crc32 } = await import('node:zlib');
    header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
    writeFileSync(pathOf('segment-00000007.spool'), Buffer.concat([header, Buffer.alloc(500, 1)]));
    const { spool, faults, entries } = await openSpool();
    expect(faults).toEqual(['unknownVersion segment']);
    expect(spool.stats().bytes).toBe(516);
    await spool.append(record(1));
    expect(entries[0]!.segment.number).toBeGreaterThan(7);
    spool.release(entries[0]!);
    await spool.close();
    expect(segments()).toEqual(['segment-00000007.spool']);
  });

  test('as version 1 wrote it is read by every later build', async () => {
    // Written by the first release; must never change. Three records, the second one released.
    writeFileSync(pathOf('segment-00000001.spool'), Buffer.from(VERSION_1_SEGMENT, 'base64'));
    const opened = await openSpool();
    expect(await readAll(opened)).toEqual([written(1), written(3, 'a+b')]);
    expect(opened.faults).toEqual([]);
  });
});

const VERSION_1_SEGMENT = [
  'Q0FQU1BPT0wBAAAAeQLx5f/+/fx+RXP6cQAAAAEBaOXPiwF7InQiOiJrMS5kZWZhdWx0LnRhc2stMS5iN2IyYTFjMC0wMDAwLTQw',
  'MDAtODAwMC0wMDAwMDAwMDAwMDEuMS5BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUEiLCJpIjoiMTAwMSIsImMiOiJjb2RlLTEiff/+',
  '/fzoD+H1cQAAAAECaOXPiwF7InQiOiJrMS5kZWZhdWx0LnRhc2stMi5iN2IyYTFjMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAw',
  'MDEuMS5BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUEiLCJpIjoiMTAwMiIsImMiOiJjb2RlLTIiff/+/fx5JfT4bgAAAAEDaOXPiwF7',
  'InQiOiJrMS5kZWZhdWx0LnRhc2stMy5iN2IyYTFjMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEuMS5BQUFBQUFBQUFBQUFB',
  'QUFBQUFBQUFBQUEiLCJpIjoiMTAwMyIsImMiOiJhK2Iiff/+/fwyTEclCQAAAAIAAAAAAABbWzEsMTQ4XV0=',
].join('');
