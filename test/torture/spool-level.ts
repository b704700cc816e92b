/**
 * Level 1: the sidecar in front of the stand-in, killed with SIGKILL at random moments again and again, while the
 * stand-in comes and goes and the ledger client delivers. At the end the stand-in stays, one sidecar drains what is
 * there, and every callback that was answered 200 has to be in its task, once.
 *
 * On a disk of its own (`disk`) that disk is filled to the last byte and freed again all the while, every fourth life
 * ends by itself, and the last sidecar finds a full disk: it has to open its spool and drain it all the same.
 *
 * SIGKILL does not lose what was written and not fsynced; that is what the spool's own tests with failing fsyncs are
 * for. It does find answers given before the write, and effects without a test.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../bench/open-loop.ts';
import { CAPTCHA_ID } from '../support/builders.ts';
import type { SmallDisk } from '../support/small-disk.ts';
import { waitUntil } from '../support/wait-until.ts';
import { torturePath } from './keys.ts';
import { startLedger } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import { createLives } from './lives.ts';
import type { Life, Lives } from './lives.ts';
import type { FromSidecar } from './sidecar.ts';
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
  /** The spool lies on it, and it is full again and again. */
  disk?: SmallDisk;
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
  /** Wrong solutions, unexpected requests, faults of the spool that nobody caused. */
  wrong: string[];
  refused: string;
  slowestMs: number;
  /** How often the disk was full. */
  fills: number;
  /** Lives that began on a full disk. */
  bornFull: number;
}

interface Arena {
  options: SpoolLevelOptions;
  random: () => number;
  standIn: StandIn;
  ledger: Ledger;
  lives: Lives;
  told: Told;
  count: { kills: number; outages: number; fills: number; bornFull: number };
  full: boolean;
}

/** What the living sidecar said last, and what any of them complained about. */
interface Told {
  /** Where it listens; the same port in all its lives. */
  port: number;
  /** Records in its spool. */
  records: number;
  faults: Set<string>;
}

/** How long a life may last when kills and answers are as far as each other, and between which bounds otherwise. */
const LONGEST_LIFE_MS = { balanced: 700, least: 400, most: 4_000 };
/** As if so much of a run had been done at its start, so that its first lives decide nothing. */
const HEAD_START = 0.1;
/** On a disk of its own, one life in so many ends by itself. */
const LIVES_PER_STOP = 4;
/**
 * No more is delivered while this many records wait. Lives are too short and outages too many to drain as fast as the
 * client delivers; without this every life would be spent on reading what the last ones left, and the run would end up
 * testing a spool at its bound, started again and again.
 */
const MOST_WAITING = 20_000;
/**
 * The sidecar learns half a second late, or more, that an outage is over; until then it applies nothing. Presences that
 * are no longer than that would leave it nothing but a spool that fills.
 */
const LONGEST_OUTAGE_MS = 400;
const LONGEST_PRESENCE_MS = 2_000;
const STALLED_MS = 60_000;
/** A port where nobody listens. */
const NOBODY = 1;
/** Room for callbacks that get no answer because the sidecar is dead. */
const CALLBACKS_PER_ANSWER = 3;
/** What a full disk is known by; every other fault is one of the spool. */
const OF_A_FULL_DISK = 'writeFailed ENOSPC';

export async function tortureSpool(options: SpoolLevelOptions): Promise<TortureReport> {
  const home = await mkdtemp(join(tmpdir(), 'torture-'));
  const arena = createArena(options, home);
  const { standIn, ledger, lives } = arena;
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
    await lives.end();
    await standIn.stop();
    await rm(home, { recursive: true, force: true });
  }
}

function createArena(options: SpoolLevelOptions, home: string): Arena {
  const socketPath = join(home, 'api.sock');
  const callbacks = options.answered * CALLBACKS_PER_ANSWER + 50_000;
  const told: Told = { port: NOBODY, records: 0, faults: new Set() };
  const spoolDir = join(options.disk?.directory ?? home, 'spool');
  const hear = ({ port, spooled, fault }: FromSidecar): void => {
    if (port !== undefined) told.port = port;
    if (spooled !== undefined) told.records = spooled;
    if (fault !== undefined) told.faults.add(fault);
  };
  return {
    options,
    random: seededRandom(options.seed),
    standIn: createStandIn(socketPath, callbacks),
    ledger: startLedger({
      port: () => told.port,
      target: (n) =>
        `${torturePath({ namespace: 'default', name: nameOf(n), uid: uidOf(n) })}?id=${CAPTCHA_ID}&code=${codeOf(n)}`,
      callbacks,
      connections: 48,
      duplicateEvery: 7,
      mayDeliver: () => told.records < MOST_WAITING,
    }),
    lives: createLives({
      args: [spoolDir, socketPath, options.mutant ?? 'none'],
      cache: join(home, 'compiled'),
      onMessage: hear,
    }),
    told,
    count: { kills: 0, outages: 0, fills: 0, bornFull: 0 },
    full: false,
  };
}

/** Lives of random length, most ended by SIGKILL, while the stand-in, and the room on the disk, come and go. */
async function kill(arena: Arena): Promise<void> {
  const { options, ledger, random, count } = arena;
  const ending = new AbortController();
  const around = [comeAndGo(arena, ending.signal), fillAndFree(arena, ending.signal)];
  let over = false;
  void ledger.finished.then(() => (over = true));
  try {
    const untilMs = performance.now() + (options.boundMs ?? Number.POSITIVE_INFINITY);
    for (let lives = 1; count.kills < options.kills || ledger.answered() < options.answered; lives++) {
      // Out of time, or out of callbacks: too many were refused.
      if (over || performance.now() > untilMs) break;
      const life = await begin(arena);
      await delay(20 + random() * longestLifeMs(arena));
      if (options.disk !== undefined && lives % LIVES_PER_STOP === 0) {
        await life.stop();
        continue;
      }
      await life.kill();
      count.kills++;
      if (count.kills % 50 === 0) options.onProgress?.(`${count.kills} kills, ${ledger.answered()} answered`);
    }
  } finally {
    ending.abort();
    await Promise.all(around);
  }
}

/**
 * Lives grow while answers lag behind kills, as on a busy machine, and shrink while kills do: both sizes of a run are
 * reached together, and no time goes into more of one of them.
 */
function longestLifeMs({ options, count, ledger }: Arena): number {
  const killed = HEAD_START + count.kills / options.kills;
  const answered = HEAD_START + ledger.answered() / options.answered;
  const { balanced, least, most } = LONGEST_LIFE_MS;
  return Math.min(most, Math.max(least, (balanced * killed) / answered));
}

async function begin({ lives, told, count, full }: Arena): Promise<Life> {
  if (full) count.bornFull++;
  return lives.begin(told.port === NOBODY ? 0 : told.port);
}

async function comeAndGo({ standIn, random, count }: Arena, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const longestMs = standIn.up() ? LONGEST_PRESENCE_MS : LONGEST_OUTAGE_MS;
    await delay(50 + random() * longestMs, undefined, { signal: over }).catch(() => undefined);
    if (standIn.up()) {
      await standIn.stop();
      count.outages++;
    } else {
      await standIn.start();
    }
  }
}

async function fillAndFree(arena: Arena, over: AbortSignal): Promise<void> {
  const { options, random } = arena;
  while (options.disk !== undefined && !over.aborted) {
    await delay(200 + random() * 1_500, undefined, { signal: over }).catch(() => undefined);
    fill(arena, options.disk);
    const untilMs = performance.now() + 100 + random() * 1_500;
    // Filled again and again, so that what the spool gives back is gone as well.
    while (performance.now() < untilMs && !over.aborted) {
      await delay(20);
      options.disk.fill();
    }
    await options.disk.free();
    arena.full = false;
  }
}

function fill(arena: Arena, disk: SmallDisk): void {
  disk.fill();
  arena.full = true;
  arena.count.fills++;
}

async function drain(arena: Arena): Promise<void> {
  const { options, told } = arena;
  if (options.disk !== undefined) fill(arena, options.disk);
  told.records = Number.POSITIVE_INFINITY;
  const life = await begin(arena);
  try {
    while (told.records > 0) {
      const before = told.records;
      await waitUntil('the last sidecar to drain its spool', () => told.records < before, { boundMs: STALLED_MS });
    }
  } finally {
    await life.kill();
  }
}

function report({ standIn, ledger, count, told, options }: Arena): TortureReport {
  let lost = 0;
  let twice = 0;
  for (const [n, effects] of standIn.effects.entries()) {
    if (ledger.acknowledged[n] === 1 && effects === 0) lost++;
    if (effects > 1) twice++;
  }
  const refused = [...ledger.refused].map(([status, times]) => `${status}: ${times}`).join(', ');
  const answered = ledger.acknowledged.reduce((sum, one) => sum + one, 0);
  const faults = [...told.faults].filter((fault) => options.disk === undefined || fault !== OF_A_FULL_DISK);
  const wrong = [...standIn.wrong.slice(0, 5), ...faults];
  return { ...count, answered, lost, twice, wrong, refused, slowestMs: ledger.slowestMs() };
}
