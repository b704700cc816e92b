/**
 * Follows a file of keys: reads it at the start and again every few seconds, because a mounted Secret changes by swapping
 * a symbolic link, which file watchers miss. A file that cannot be read or that its reader refuses changes nothing and
 * is reported once per change of the fault. What the lines mean is the reader's business; contents never get into a
 * fault.
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
  path: string;
  /** No file is no fault. Default false. */
  mayBeAbsent?: boolean;
  /** How often the file is read again; 5,000 ms keeps a change within the promised 10 s. */
  reloadIntervalMs?: number;
  /** Takes a changed text, or says what is wrong with it. */
  load(text: string): { ok: true } | { ok: false; faults: readonly string[] };
  /** Called when a load fails, once for each different fault. */
  onFault?(fault: string): void;
}

const SETTLE_MS = 100;
const DEFAULT_RELOAD_INTERVAL_MS = 5_000;

/** Resolves after the first load, also when that fails: the process shall start and say why it is not ready. */
export async function followFile(options: FollowOptions): Promise<FollowedFile> {
  let fault: string | undefined;
  let loadedText: string | undefined;
  let absent = false;

  const fail = (next: string): void => {
    if (next === fault) return;
    fault = next;
    options.onFault?.(next);
  };
  const reload = async (): Promise<void> => {
    const text = await readFile(options.path, 'utf8').catch(describeReadError);
    absent = options.mayBeAbsent === true && loadedText === undefined && text === ABSENT;
    if (absent) return undefined;
    if (typeof text !== 'string') return fail(text.fault);
    if (text === loadedText) {
      fault = undefined;
      return undefined;
    }
    // A file that is being written in place may be read half: a cut key is still a key, but another one.
    if (loadedText !== undefined && (await rereadAfterPause(options.path)) !== text) return undefined;
    const loaded = options.load(text);
    if (!loaded.ok) return fail(loaded.faults.join('; '));
    fault = undefined;
    loadedText = text;
    return undefined;
  };

  await reload();
  const timer = setInterval(() => void reload(), options.reloadIntervalMs ?? DEFAULT_RELOAD_INTERVAL_MS);
  timer.unref();
  return { fault: () => fault, isAbsent: () => absent, reload, stop: () => clearInterval(timer) };
}

async function rereadAfterPause(path: string): Promise<string | undefined> {
  await delay(SETTLE_MS, undefined, { ref: false });
  return readFile(path, 'utf8').catch(() => undefined);
}

const ABSENT = { fault: 'the file cannot be read (ENOENT)' };

function describeReadError(error: unknown): { fault: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return code === 'ENOENT' ? ABSENT : { fault: `the file cannot be read (${code})` };
}

/** The lines of such a file that say something, with their numbers: no blank ones, none that starts with `#`. */
export function linesOf(text: string): { text: string; number: number }[] {
  const lines = text.split('\n').map((line, index) => ({ text: line.trim(), number: index + 1 }));
  return lines.filter((line) => line.text !== '' && !line.text.startsWith('#'));
}
