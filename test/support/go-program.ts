/**
 * A Go program that lies in this repository, for tests: built once with the local Go from the modules that its own
 * go.mod and go.sum pin, and kept in the cache of the control plane under a name that says what it was built from.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buildPrograms } from '../../dev/control-plane/build.ts';
import { publishEntry, readEntry, withCacheLock, type EntryKind } from '../../dev/control-plane/cache.ts';
import { cacheDirectory, platform } from '../../dev/control-plane/versions.ts';
import { ROOT } from './kubectl.ts';

/** The path of the program in `folder`. Throws with Go's last words when it cannot be built. */
export async function goProgram(name: string, folder: string): Promise<string> {
  // A folder of its own, so that nobody waits here while a control plane is built.
  const cache = join(cacheDirectory(process.env), 'programs');
  const source = await sourceHash(join(ROOT, folder));
  const kind: EntryKind<'program'> = { key: `go-${name}-${source}-${platform()}`, binaries: ['program'] };
  const log = (line: string): void => console.error(`[${name}] ${line}`);
  const program = { binary: 'program', version: source, path: '.', modules: join(ROOT, folder) };
  const fill = (directory: string): Promise<string> => buildPrograms([program], { directory, log, env: process.env });
  const cached = (await readEntry(cache, kind))?.binaries.program;
  if (cached !== undefined) return cached;
  await mkdir(cache, { recursive: true });
  return withCacheLock(cache, log, async () => {
    const entry = (await readEntry(cache, kind)) ?? (await publishEntry(cache, kind, fill));
    if (entry.binaries.program === undefined) throw new Error(`an entry without ${name}`);
    return entry.binaries.program;
  });
}

async function sourceHash(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const names = (await readdir(folder)).filter((file) => /\.go$|^go\.(mod|sum)$/.test(file)).toSorted();
  for (const name of names) hash.update(`${name}\n`).update(await readFile(join(folder, name)));
  return hash.digest('hex').slice(0, 12);
}
