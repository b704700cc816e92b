/**
 * The measurement behind docs/decisions/0004-spool.md: our own append-only log against node:sqlite (WAL,
 * synchronous=FULL, checked after a write), both with group commit, on the same disk. Run by hand:
 * `node test/bench/spool-choice.ts [directory]`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { createSpool } from '../../src/callback/spool/spool.ts';
import { quantile } from './open-loop.ts';

interface Candidate {
  /** Resolves when the record is durable. */
  append(n: number): Promise<void>;
  close(): Promise<void>;
}

const RECORDS = 20_000;
const WRITERS = 64;
const code = 'c'.repeat(1_000);
const token = 'k1.default.task.b7b2a1c0-0000-4000-8000-000000000001.1.AAAAAAAAAAAAAAAAAAAAAAAA';

async function ownLog(directory: string): Promise<Candidate> {
  const spool = createSpool({
    directory: join(directory, 'log'),
    maxBytes: 1e9,
    maxRecords: 100_000,
    maxRecordsPerTask: 100_000,
    segmentBytes: 8 * 1024 * 1024,
    onEntry: () => undefined,
    onFault: (fault, why) => console.log(fault, why),
    onTokenCandidates: () => undefined,
  });
  await spool.open();
  return {
    append: async (n) => {
      await spool.append({ kind: 'callback', token, callback: { id: String(n), code }, receivedTime: n });
    },
    close: () => spool.close(),
  };
}

function sqlite(directory: string): Candidate {
  const database = new DatabaseSync(join(directory, 'spool.db'));
  database.exec('PRAGMA journal_mode=WAL; CREATE TABLE spool (id INTEGER PRIMARY KEY, record TEXT NOT NULL)');
  const insert = database.prepare('INSERT INTO spool (record) VALUES (?)');
  insert.run('first');
  // After the first write, because opening in WAL mode may report FULL and then run NORMAL.
  database.exec('PRAGMA synchronous=FULL');
  insert.run('second');
  const mode = database.prepare('PRAGMA synchronous').get() as { synchronous: number };
  if (mode.synchronous !== 2) throw new Error('not synchronous=FULL');
  let batch: { record: string; resolve(): void }[] = [];
  const commit = (): void => {
    const taken = batch;
    batch = [];
    database.exec('BEGIN');
    for (const { record } of taken) insert.run(record);
    database.exec('COMMIT');
    for (const { resolve } of taken) resolve();
  };
  return {
    append: (n) =>
      new Promise((resolve) => {
        batch.push({ record: JSON.stringify({ t: token, i: String(n), c: code }), resolve });
        if (batch.length === 1) setImmediate(commit);
      }),
    close: async () => database.close(),
  };
}

async function measure(name: string, candidate: Candidate): Promise<void> {
  const latencies: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let next = 0;
  const writer = async (): Promise<void> => {
    while (next < RECORDS) {
      const startMs = performance.now();
      await candidate.append(next++);
      latencies.push(performance.now() - startMs);
    }
  };
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  await Promise.all(Array.from({ length: WRITERS }, writer));
  const seconds = (performance.now() - startMs) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  delay.disable();
  await candidate.close();
  const sorted = Float64Array.from(latencies).sort();
  console.log(
    `${name}: ${Math.round(RECORDS / seconds)}/s, p50 ${quantile(sorted, 0.5).toFixed(2)} ms, ` +
      `p99 ${quantile(sorted, 0.99).toFixed(2)} ms, CPU ${((cpu.user + cpu.system) / RECORDS).toFixed(0)} µs each, ` +
      `event loop held up p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms`,
  );
}

const base = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'spool-choice-'));
for (let round = 1; round <= 3; round++) {
  const directory = await mkdtemp(join(base, 'round-'));
  await measure('own log', await ownLog(directory));
  await measure('sqlite ', sqlite(directory));
}
await rm(base, { recursive: true });
