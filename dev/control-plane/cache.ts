/**
 * The cache of built and downloaded programs: complete entries only, whatever happens while one is made.
 *
 * An entry is filled in a `.partial-…` folder and appears under its name by one rename, so that a reader sees all of
 * it or none, and an interrupted build leaves nothing that looks finished. A lock file keeps two starts from doing
 * the same work twice; it only saves work, correctness rests on the rename. Knows nothing of how binaries are made.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import type { Log } from './progress.ts';

/** What an entry is called and holds. */
export interface EntryKind<Binary extends string> {
  /** The name of its folder: with version and platform, so that an upgrade never meets old binaries. */
  key: string;
  binaries: readonly Binary[];
  /** Those of them that some sources do not have. */
  optional?: readonly Binary[];
}

interface Manifest<Binary extends string> {
  origin: string;
  sizes: Partial<Record<Binary, number>>;
}
export interface CacheEntry<Binary extends string> {
  directory: string;
  /** Where it came from, for people: `built from Go modules`, `envtest v1.36.0`. */
  origin: string;
  binaries: Partial<Record<Binary, string>>;
}

const MANIFEST = 'manifest.json';
const HEARTBEAT_MS = 2_000;
/** A lock that has not been touched for this long belonged to a process that died. */
const ABANDONED_LOCK_MS = 20_000;
/** No build takes this long; older partial folders are leftovers. */
const ABANDONED_PARTIAL_MS = 6 * 3_600_000;

/** The entry, or undefined when there is none or it does not match its manifest (for example cut short by a crash). */
export async function readEntry<Binary extends string>(
  cache: string,
  kind: EntryKind<Binary>,
): Promise<CacheEntry<Binary> | undefined> {
  const directory = join(cache, kind.key);
  try {
    const manifest = JSON.parse(await readFile(join(directory, MANIFEST), 'utf8')) as Manifest<Binary>;
    const binaries: Partial<Record<Binary, string>> = {};
    for (const binary of kind.binaries) {
      const expected = manifest.sizes[binary];
      if (expected === undefined && kind.optional?.includes(binary)) continue;
      const path = join(directory, binary);
      if ((await stat(path)).size !== expected) return undefined;
      binaries[binary] = path;
    }
    return { directory, origin: manifest.origin, binaries };
  } catch {
    return undefined;
  }
}

/**
 * Fills and publishes an entry. `fill` puts the binaries into the given folder and returns their origin. When another
 * process published the same entry meanwhile, that one is kept and returned.
 */
export async function publishEntry<Binary extends string>(
  cache: string,
  kind: EntryKind<Binary>,
  fill: (directory: string) => Promise<string>,
): Promise<CacheEntry<Binary>> {
  const partial = join(cache, `.partial-${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(partial, { recursive: true });
  try {
    const origin = await fill(partial);
    await writeFile(join(partial, MANIFEST), JSON.stringify({ origin, sizes: await measure(partial, kind) }));
    return await moveIntoPlace(cache, kind, partial);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function measure<Binary extends string>(
  directory: string,
  kind: EntryKind<Binary>,
): Promise<Manifest<Binary>['sizes']> {
  const sizes: Manifest<Binary>['sizes'] = {};
  for (const binary of kind.binaries) {
    const path = join(directory, binary);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined && kind.optional?.includes(binary)) continue;
    if (found === undefined) throw new Error(`${binary} was not produced`);
    await chmod(path, 0o755);
    await flush(path);
    sizes[binary] = found.size;
  }
  return sizes;
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function moveIntoPlace<Binary extends string>(
  cache: string,
  kind: EntryKind<Binary>,
  partial: string,
): Promise<CacheEntry<Binary>> {
  const target = join(cache, kind.key);
  if ((await readEntry(cache, kind)) === undefined) {
    // Whatever is there is damaged: set it aside first, because a folder is not renamed over a filled one.
    await rename(target, `${partial}-damaged`).catch(() => {});
    await rename(partial, target).catch((error: unknown) => (lostRace(error) ? undefined : Promise.reject(error)));
    await rm(`${partial}-damaged`, { recursive: true, force: true });
  }
  const entry = await readEntry(cache, kind);
  if (entry === undefined) throw new Error(`${target} is not readable after it was written`);
  return entry;
}

function lostRace(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Runs `work` while no other process holds the lock of this (existing) cache folder; waits for it, and says so. */
export async function withCacheLock<T>(cache: string, log: Log, work: () => Promise<T>): Promise<T> {
  const path = join(cache, '.lock');
  const owner = `${process.pid} ${randomBytes(8).toString('hex')}`;
  let announced = false;
  while (!(await takeLock(path, owner))) {
    if (!announced) log('another process is filling this cache; waiting for it');
    announced = true;
    await delay(250);
  }
  const heartbeat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), HEARTBEAT_MS);
  try {
    await removeLeftovers(cache);
    return await work();
  } finally {
    clearInterval(heartbeat);
    if ((await readFile(path, 'utf8').catch(() => '')) === owner) await rm(path, { force: true });
  }
}

async function takeLock(path: string, owner: string): Promise<boolean> {
  try {
    await writeFile(path, owner, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const held = await stat(path).catch(() => undefined);
  const abandoned = held !== undefined && (Date.now() - held.mtimeMs > ABANDONED_LOCK_MS || (await ownerDied(path)));
  if (abandoned) await rm(path, { force: true });
  return false;
}

/** True only when the owner's process certainly does not exist on this machine. */
async function ownerDied(path: string): Promise<boolean> {
  const pid = Number((await readFile(path, 'utf8').catch(() => '')).split(' ')[0]);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

async function removeLeftovers(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith('.partial-')) continue;
    const path = join(cache, name);
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > ABANDONED_PARTIAL_MS) await rm(path, { recursive: true, force: true });
  }
}
