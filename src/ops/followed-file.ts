/**
 * Follows a file of keys, or files that belong together: reads them at the start and again every few seconds, because a
 * mounted Secret changes by swapping a symbolic link, which file watchers miss. Files that cannot be read or that their
 * reader refuses change nothing and are reported once per change of the fault. What they mean is the reader's business;
 * contents never get into a fault.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export interface FollowedFile {
  /** Why the last load failed; undefined when it went well. */
  fault(): string | undefined;
  /** There is no file, there never was one, and it may be so. */
  isAbsent(): boolean;
  /** Reads the file now; never throws. */
  reload(): Promise<void>;
  stop(): void;
}

export interface FollowOptions {
  /** What changes together is read together. */
  paths: readonly string[];
  /** No file is no fault. Default false. */
  mayBeAbsent?: boolean;
  /** How often the file is read again; 5,000 ms keeps a change within the promised 10 s. */
  reloadIntervalMs?: number;
  /** Takes the changed texts, in the order of the paths, or says what is wrong with them. */
  load(...texts: string[]): { ok: true } | { ok: false; faults: readonly string[] };
  /** Called when a load fails, once for each different fault. */
  onFault?(fault: string): void;
}

const SETTLE_MS = 100;
const DEFAULT_RELOAD_INTERVAL_MS = 5_000;

/** Resolves after the first load, also when that fails: the process shall start and say why it is not ready. */
export async function followFile(options: FollowOptions): Promise<FollowedFile> {
  let fault: string | undefined;
  let loaded: Texts | undefined;
  let absent = false;

  const fail = (next: string): void => {
    if (next === fault) return;
    fault = next;
    options.onFault?.(next);
  };
  const reload = async (): Promise<void> => {
    const found = await readAll(options.paths);
    absent = options.mayBeAbsent === true && loaded === undefined && 'fault' in found && found.isAbsent;
    if (absent) return undefined;
    if ('fault' in found) return fail(found.fault);
    if (isSame(found, loaded)) {
      fault = undefined;
      return undefined;
    }
    // What is being written in place may be read half (a cut key is still a key, but another one), and of a pair one
    // half may be read before a swap and the other after it.
    if (loaded !== undefined && !isSame(found, await rereadAfterPause(options.paths))) return undefined;
    const taken = options.load(...found.texts);
    if (!taken.ok) return fail(taken.faults.join('; '));
    fault = undefined;
    loaded = found;
    return undefined;
  };

  await reload();
  const timer = setInterval(() => void reload(), options.reloadIntervalMs ?? DEFAULT_RELOAD_INTERVAL_MS);
  timer.unref();
  return { fault: () => fault, isAbsent: () => absent, reload, stop: () => clearInterval(timer) };
}

interface Texts {
  texts: string[];
}

interface ReadFault {
  fault: string;
  isAbsent: boolean;
}

function isSame({ texts }: Texts, other: Texts | ReadFault | undefined): boolean {
  return other !== undefined && 'texts' in other && texts.every((text, index) => text === other.texts[index]);
}

async function rereadAfterPause(paths: readonly string[]): Promise<Texts | ReadFault> {
  await delay(SETTLE_MS, undefined, { ref: false });
  return readAll(paths);
}

async function readAll(paths: readonly string[]): Promise<Texts | ReadFault> {
  const texts: string[] = [];
  for (const path of paths) {
    try {
      texts.push(await readFile(path, 'utf8'));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      const name = paths.length === 1 ? 'the file' : path;
      return { fault: `${name} cannot be read (${code})`, isAbsent: code === 'ENOENT' };
    }
  }
  return { texts };
}

/** The lines of such a file that say something, with their numbers: no blank ones, none that starts with `#`. */
export function linesOf(text: string): { text: string; number: number }[] {
  const lines = text.split('\n').map((line, index) => ({ text: line.trim(), number: index + 1 }));
  return lines.filter((line) => line.text !== '' && !line.text.startsWith('#'));
}
