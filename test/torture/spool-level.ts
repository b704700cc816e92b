/**
 * Level 1: the sidecar in front of the stand-in, killed with SIGKILL at random moments again and again, while the
 * stand-in comes and goes and the ledger client delivers. At the end the stand-in stays, one sidecar drains what is
 * there, and every callback that was answered 200 has to be in its task, once.
 *
 * SIGKILL does not lose what was written and not fsynced; that is what the spool's own tests with failing fsyncs are
 * for. It does find answers given before the write, and effects without a test.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../bench/open-loop.ts';
import { CAPTCHA_ID } from '../support/builders.ts';
import { waitUntil } from '../support/wait-until.ts';
import { torturePath } from './keys.ts';
import { startLedger } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import { codeOf, createStandIn, nameOf, uidOf } from './stand-in.ts';
import type { StandIn } from './stand-in.ts';

export type Mutant = 'none' | 'answer-before-write' | 'check-then-insert';

export interface SpoolLevelOptions {
  kills: number;
  /** The run goes on, killing, until this many callbacks were answered 200. */
  answered: number;
  /** The run ends early, with what it has, after this time. */
  boundMs?: number;
  seed: number;
  mutant?: Mutant;
  onProgress?(text: string): void;
}

export interface TortureReport {
  kills: number;
  outages: number;
  answered: number;
  /** Callbacks answered 200 whose result is not in their task. */
  lost: number;
  /** Tasks whose solution was written more than once. */
  twice: number;
  /** Wrong solutions, unexpected requests, faults of the spool. */
  wrong: string[];
  refused: string;
  slowestMs: number;
}

interface Arena {
  options: SpoolLevelOptions;
  random: () => number;
  spoolDir: string;
  socketPath: string;
  standIn: StandIn;
  ledger: Ledger;
  /** Where the sidecar listens; the same port in all its lives. */
  place: { port: number };
  /** Records in the spool, as the sidecar said last. */
  backlog: { records: number };
  kills: number;
  outages: number;
  faults: Set<string>;
}

const LONGEST_LIFE_MS = 1_400;
/**
 * No more is delivered while this many records wait. Lives are too short and outages too many to drain as fast as the
 * client delivers; without this the run would end up testing a spool at its bound, started again and again.
 */
const MOST_WAITING = 100_000;
const STALLED_MS = 60_000;
const ENTRY = fileURLToPath(new URL('sidecar.ts', import.meta.url));
/** A port where nobody listens. */
const NOBODY = 1;
/** Room for callbacks that get no answer because the sidecar is dead. */
const CALLBACKS_PER_ANSWER = 2;

export async function tortureSpool(options: SpoolLevelOptions): Promise<TortureReport> {
  const home = await mkdtemp(join(tmpdir(), 'torture-'));
  const socketPath = join(home, 'api.sock');
  const callbacks = options.answered * CALLBACKS_PER_ANSWER + 50_000;
  const standIn = createStandIn(socketPath, callbacks);
  const place = { port: NOBODY };
  const backlog = { records: 0 };
  const ledger = startLedger({
    port: () => place.port,
    target: (n) =>
      `${torturePath({ namespace: 'default', name: nameOf(n), uid: uidOf(n) })}?id=${CAPTCHA_ID}&code=${codeOf(n)}`,
    callbacks,
    connections: 48,
    duplicateEvery: 7,
    mayDeliver: () => backlog.records < MOST_WAITING,
  });
  const arena: Arena = {
    options,
    random: seededRandom(options.seed),
    spoolDir: join(home, 'spool'),
    socketPath,
    standIn,
    ledger,
    place,
    backlog,
    kills: 0,
    outages: 0,
    faults: new Set(),
  };
  try {
    await standIn.start();
    await kill(arena);
    ledger.stop();
    await ledger.finished;
    if (!standIn.up()) await standIn.start();
    await drain(arena);
    return report(arena);
  } finally {
    ledger.stop();
    await standIn.stop();
    await rm(home, { recursive: true, force: true });
  }
}

/** Lives of random length, each ended by SIGKILL, while the stand-in comes and goes. */
async function kill(arena: Arena): Promise<void> {
  const { options, ledger, random } = arena;
  const over = new AbortController();
  const outages = comeAndGo(arena, over.signal);
  try {
    const untilMs = performance.now() + (options.boundMs ?? Number.POSITIVE_INFINITY);
    while (performance.now() < untilMs && (arena.kills < options.kills || ledger.answered() < options.answered)) {
      const child = await startSidecar(arena);
      await delay(20 + random() * LONGEST_LIFE_MS);
      child.kill('SIGKILL');
      await once(child, 'exit');
      arena.kills++;
      if (arena.kills % 50 === 0) options.onProgress?.(`${arena.kills} kills, ${ledger.answered()} answered`);
    }
  } finally {
    over.abort();
    await outages;
  }
}

async function comeAndGo(arena: Arena, over: AbortSignal): Promise<void> {
  const { standIn, random } = arena;
  while (!over.aborted) {
    await delay(50 + random() * 700, undefined, { signal: over }).catch(() => undefined);
    if (standIn.up()) {
      await standIn.stop();
      arena.outages++;
    } else {
      await standIn.start();
    }
  }
}

async function startSidecar(arena: Arena): Promise<ChildProcess> {
  const args = [
    arena.spoolDir,
    arena.socketPath,
    String(arena.place.port === NOBODY ? 0 : arena.place.port),
    arena.options.mutant ?? 'none',
  ];
  const child = fork(ENTRY, args, { execArgv: [] });
  child.on('message', (message: { port?: number; spooled?: number; fault?: string }) => {
    if (message.port !== undefined) arena.place.port = message.port;
    if (message.spooled !== undefined) arena.backlog.records = message.spooled;
    if (message.fault !== undefined) arena.faults.add(message.fault);
  });
  await Promise.race([once(child, 'message'), once(child, 'exit')]);
  if (child.exitCode !== null) throw new Error('the sidecar did not start');
  return child;
}

async function drain(arena: Arena): Promise<void> {
  arena.backlog.records = Number.POSITIVE_INFINITY;
  const child = await startSidecar(arena);
  try {
    while (arena.backlog.records > 0) {
      const before = arena.backlog.records;
      await waitUntil('the last sidecar to drain its spool', () => arena.backlog.records < before, {
        boundMs: STALLED_MS,
      });
    }
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

function report({ standIn, ledger, kills, outages, faults }: Arena): TortureReport {
  let lost = 0;
  let twice = 0;
  for (const [n, effects] of standIn.effects.entries()) {
    if (ledger.acknowledged[n] === 1 && effects === 0) lost++;
    if (effects > 1) twice++;
  }
  const refused = [...ledger.refused].map(([status, count]) => `${status}: ${count}`).join(', ');
  const answered = ledger.acknowledged.reduce((sum, one) => sum + one, 0);
  const wrong = [...standIn.wrong.slice(0, 5), ...faults];
  return { kills, outages, answered, lost, twice, wrong, refused, slowestMs: ledger.slowestMs() };
}
