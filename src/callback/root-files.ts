/**
 * The files of `CALLBACK_ROOT_FILES`, held in memory and served verbatim at the root of the callback host: by such a
 * file an account shows its provider that the host is its own. The directory is usually a mounted ConfigMap, whose
 * entries are symbolic links through `..data`, swapped as a whole: it is read again every few seconds instead of being
 * watched. A file that is caught half written is read whole the next time.
 *
 * Refuses what nobody meant to publish: hidden entries, names that would need an encoding, what is no regular file,
 * links that lead out of the directory, and more or larger files than the limits. A directory that cannot be read keeps
 * the files that it had. Faults are told once, by name and never by content.
 */
import { constants } from 'node:fs';
import { open, readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';

export interface RootFiles {
  /** What the file of exactly this name holds. */
  contentOf(name: string): Buffer | undefined;
}

export interface LoadedRootFiles extends RootFiles {
  /** Reads the directory now; never throws. */
  reload(): Promise<void>;
  stop(): void;
}

export interface RootFilesOptions {
  directory: string;
  reloadIntervalMs?: number;
  /** Called after each change of what is served. */
  onLoaded?(names: readonly string[]): void;
  /** Called when the faults of a load are others than those of the one before, and there are any. */
  onFault?(fault: string): void;
}

export const ROOT_FILES = { files: 16, fileBytes: 8 * 1024 } as const;

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/;
const DEFAULT_RELOAD_INTERVAL_MS = 5_000;

/** Resolves also when the directory cannot be read: callbacks do not depend on it, and it may be there later. */
export async function loadRootFiles(options: RootFilesOptions): Promise<LoadedRootFiles> {
  let files: ReadonlyMap<string, Buffer> = new Map();
  let fault = '';

  const reload = async (): Promise<void> => {
    const read = await readFiles(options.directory);
    const next = read.faults.join('; ');
    if (next !== fault && next !== '') options.onFault?.(next);
    fault = next;
    if (read.files === undefined || areEqual(read.files, files)) return;
    files = read.files;
    options.onLoaded?.([...files.keys()]);
  };

  await reload();
  let reloading = false;
  const reloadUnlessBusy = async (): Promise<void> => {
    if (reloading) return;
    reloading = true;
    await reload();
    reloading = false;
  };
  const timer = setInterval(() => void reloadUnlessBusy(), options.reloadIntervalMs ?? DEFAULT_RELOAD_INTERVAL_MS);
  timer.unref();
  return { contentOf: (name) => files.get(name), reload, stop: () => clearInterval(timer) };
}

interface Read {
  /** Undefined: the directory could not be read. */
  files: ReadonlyMap<string, Buffer> | undefined;
  faults: string[];
}

async function readFiles(directory: string): Promise<Read> {
  try {
    const root = await realpath(directory);
    const names = (await readdir(root)).filter((name) => !name.startsWith('.')).toSorted();
    return await readNamed(root, names);
  } catch (error) {
    return { files: undefined, faults: [`the directory cannot be read (${codeOf(error)})`] };
  }
}

async function readNamed(root: string, names: readonly string[]): Promise<Read> {
  const files = new Map<string, Buffer>();
  const faults: string[] = [];
  for (const name of names) {
    if (files.size + faults.length >= ROOT_FILES.files) {
      faults.push(`more than ${ROOT_FILES.files} files`);
      break;
    }
    const content = NAME.test(name)
      ? await contentBelow(root, name)
      : 'the name has other characters than A-Za-z0-9._-';
    if (typeof content === 'string') faults.push(`${JSON.stringify(name)}: ${content}`);
    else files.set(name, content);
  }
  return { files, faults };
}

/** The content, or why it is not served. */
async function contentBelow(root: string, name: string): Promise<Buffer | string> {
  try {
    const path = await realpath(join(root, name));
    if (!path.startsWith(root + sep)) return 'the link leads out of the directory';
    return await readRegular(path);
  } catch (error) {
    return `the file cannot be read (${codeOf(error)})`;
  }
}

async function readRegular(path: string): Promise<Buffer | string> {
  // Opening a pipe would otherwise wait for somebody who writes to it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) return 'not a regular file';
    const space = Buffer.alloc(ROOT_FILES.fileBytes + 1);
    const { bytesRead } = await file.read(space, 0, space.length, 0);
    return bytesRead > ROOT_FILES.fileBytes
      ? `larger than ${ROOT_FILES.fileBytes} bytes`
      : Buffer.from(space.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

function areEqual(one: ReadonlyMap<string, Buffer>, other: ReadonlyMap<string, Buffer>): boolean {
  return one.size === other.size && [...one].every(([name, content]) => other.get(name)?.equals(content) === true);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
