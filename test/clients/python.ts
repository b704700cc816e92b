/**
 * A Python with the client libraries of `requirements.txt`, or with what an example asks for: a virtual environment in the per-user cache, beside the
 * control plane's binaries, made once for each list and each Python. It appears under its name by one rename, so that an
 * interrupted installation leaves nothing that looks finished. Where there is no usable Python it says so, as a value.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withCacheLock } from '../../dev/control-plane/cache.ts';
import type { Log } from '../../dev/control-plane/progress.ts';
import { cacheDirectory } from '../../dev/control-plane/versions.ts';
import { endOf } from '../support/child.ts';

const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');
const HASHED = ['--require-hashes', '--only-binary', ':all:', '--no-deps'];
const OLDEST = [3, 10] as const;

export type Python = { path: string } | { missing: string };

/** Throws where there is a Python but the libraries cannot be installed. */
export function pythonWithClients(env: NodeJS.ProcessEnv, log: Log): Promise<Python> {
  return pythonWith({ requirements: REQUIREMENTS, options: HASHED }, env, log);
}

/** The same with what an example asks for, installed as its user would; pip chooses what that needs. */
export function pythonFor(requirements: string, env: NodeJS.ProcessEnv): Promise<Python> {
  return pythonWith({ requirements, options: ['--only-binary', ':all:'] }, env, (line) => console.error(line));
}

interface Wanted {
  requirements: string;
  /** For pip. */
  options: string[];
}

async function pythonWith(wanted: Wanted, env: NodeJS.ProcessEnv, log: Log): Promise<Python> {
  const found = await usablePython(env);
  if ('missing' in found) return found;
  const list = createHash('sha256').update(readFileSync(wanted.requirements)).digest('hex').slice(0, 12);
  const cache = join(cacheDirectory(env), 'clients');
  const place = join(cache, `python-${found.version}-${list}`);
  const path = join(place, 'bin', 'python');
  await mkdir(cache, { recursive: true });
  if (!(await exists(path))) {
    await withCacheLock(cache, log, async () => {
      if (!(await exists(path))) await install({ python: found.path, place, env, log, wanted });
    });
  }
  return { path };
}

interface Installation {
  wanted: Wanted;
  python: string;
  place: string;
  env: NodeJS.ProcessEnv;
  log: Log;
}

async function install({ wanted, python, place, env, log }: Installation): Promise<void> {
  const partial = join(place, '..', `.partial-${process.pid}-${randomBytes(4).toString('hex')}`);
  log(`installing ${wanted.requirements} into ${place}`);
  try {
    await run(python, ['-m', 'venv', partial], env);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    const what = [...wanted.options, '-r', wanted.requirements];
    await run(join(partial, 'bin', 'python'), [...pip, ...what], env);
    await rm(place, { recursive: true, force: true });
    await rename(partial, place);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function usablePython(env: NodeJS.ProcessEnv): Promise<{ path: string; version: string } | { missing: string }> {
  const path = env['PYTHON'] || 'python3';
  const ask = 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])';
  try {
    const version = (await run(path, ['-c', ask], env)).trim();
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major === OLDEST[0] && minor >= OLDEST[1]) return { path, version };
    return { missing: `${path} is Python ${version}; ${OLDEST.join('.')} or later is needed` };
  } catch (error) {
    const hint = `install Python ≥ ${OLDEST.join('.')} with venv (Debian: python3 python3-venv), or set PYTHON`;
    return { missing: `no usable Python: ${hint} (${(error as Error).message})` };
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** What a program printed; throws with its last words where it fails. */
export async function run(program: string, args: string[], env: NodeJS.ProcessEnv, input?: string): Promise<string> {
  const { code, stdout, stderr } = await endOf(spawn(program, args, { env }), input);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args[0] ?? ''} ended with ${code}: ${stderr.trim().slice(-2_000) || stdout.trim()}`);
}
