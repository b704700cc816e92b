/**
 * The few file operations that the spool needs, as values, so that tests can make any of them fail on a real
 * directory: a full disk, a failing fsync, a read that returns other bytes. No rules here.
 */
import { constants } from 'node:fs';
import { chmod, mkdir, open, readdir, rm, statfs } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

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
