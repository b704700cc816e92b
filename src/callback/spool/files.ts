/**
 * What the spool asks of the disk: a few file operations, as values, so that tests can make any of them fail on a real
 * directory (a full disk, a failing fsync, a read that returns other bytes); the lock on a directory; and what the log
 * calls a fault. No rules here.
 */
import { chmodSync, closeSync, constants, openSync } from 'node:fs';
import { chmod, mkdir, open, readdir, rm, statfs } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export interface SpoolFile {
  /** Writes all bytes at this position. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Resolves when what was written is on the device (fdatasync). */
  sync(): Promise<void>;
  /** Fewer bytes than asked for at the end of the file. */
  read(position: number, length: number): Promise<Buffer>;
  size(): Promise<number>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

export interface SpoolFiles {
  /** For its owner alone, its name durable. It may exist. */
  makeDirectory(path: string): Promise<void>;
  list(directory: string): Promise<string[]>;
  /** Fails when the file exists. Only the owner may read it: it holds solutions. */
  create(path: string): Promise<SpoolFile>;
  open(path: string): Promise<SpoolFile>;
  remove(path: string): Promise<void>;
  /** Bytes that may still be written to the file system of a directory. */
  freeBytes(directory: string): Promise<number>;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>;
}

export const diskFiles: SpoolFiles = {
  async makeDirectory(path) {
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    // A kubelet opens what lies on a volume with an `fsGroup` to the group. Not ours (a restored volume): let it be.
    await chmod(path, 0o700).catch(() => undefined);
    if (first === undefined) return;
    for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
  },
  list: (directory) => readdir(directory),
  create: async (path) => fileOf(await open(path, 'wx+', 0o600)),
  open: async (path) => fileOf(await open(path, 'r+')),
  remove: (path) => rm(path, { force: true }),
  async freeBytes(directory) {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  },
  syncDirectory,
};

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function fileOf(handle: FileHandle): SpoolFile {
  return {
    async write(bytes, position) {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    },
    sync: () => handle.datasync(),
    async read(position, length) {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, position);
      return buffer.subarray(0, bytesRead);
    },
    size: async () => (await handle.stat()).size,
    truncate: (size) => handle.truncate(size),
    close: () => handle.close(),
  };
}

/**
 * Lets one process at a time into a spool directory: takes the lock, or throws at once when another process has it or
 * the directory cannot be written. Returns the way to let go.
 *
 * The lock is SQLite's on an empty database file: the kernel holds it and lets go when the process dies, however it
 * dies. A file with a process id would not do: in a restarted container the new process often has the dead one's id.
 * Nothing is ever written: SQLite's journal stays in memory. On disk it would need a block, and on a full disk the
 * spool could not be opened to be drained, the one thing that gives room again.
 */
export function lockDirectory(path: string): () => void {
  makePrivate(path);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = MEMORY');
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw error;
  }
  return () => database.close();
}

/** For its owner alone, like all files of the spool. Whatever forbids that shows when the lock is taken. */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600));
    chmodSync(path, 0o600);
  } catch {
    // Not ours.
  }
}

/** Primary result codes of SQLite, which holds the lock (sqlite.org/rescode.html). */
const LOCK_CODES: Record<number, string> = { 5: 'LOCKED', 8: 'EROFS', 10: 'EIO', 13: 'ENOSPC', 14: 'EACCES' };
const PRIMARY_CODE = 0xff;

/** A system error code, or a stable word. Messages stay out: they hold paths. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN';
  if ('errcode' in error) return LOCK_CODES[Number(error.errcode) & PRIMARY_CODE] ?? 'LOCK_FAILED';
  return 'code' in error ? String(error.code) : error.constructor.name;
}
