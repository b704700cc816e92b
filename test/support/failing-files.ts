/**
 * The spool's file operations on a real directory, each of which a test can make fail: `faults.write = 'ENOSPC'` fails
 * every write from now on, half of its bytes written; delete the entry to heal it.
 */
import { basename } from 'node:path';
import { diskFiles } from '../../src/callback/spool/files.ts';
import type { SpoolFile, SpoolFiles } from '../../src/callback/spool/files.ts';

export interface FileFaults {
  create?: string;
  write?: string;
  sync?: string;
  /** How many more fsyncs fail; all of them when unset. */
  syncTimes?: number;
  read?: string;
  /** Only reads of more bytes than this fail. */
  readsBeyond?: number;
  list?: string;
  /** The name of a segment that can be opened, and whose bytes the disk does not give (EIO). */
  unreadable?: string;
  /** What the file system says it has left; the real figure when unset. */
  freeBytes?: number;
  remove?: string;
}

export interface FailingFiles extends SpoolFiles {
  faults: FileFaults;
  /** Successful fsyncs of files so far. */
  syncs: number;
  /** Reads of files so far. */
  reads: number;
  /** Files that are open now. */
  handles: number;
  /** Directories whose names were made durable so far. */
  syncedDirectories: string[];
  /** Names of files created so far. */
  created: string[];
}

function failWith(code: string | undefined): void {
  if (code !== undefined) throw Object.assign(new Error('injected'), { code });
}

export function failingFiles(): FailingFiles {
  const wrap = (file: SpoolFile, name: string): SpoolFile => ({
    async write(bytes, position) {
      if (files.faults.write !== undefined) await file.write(bytes.subarray(0, bytes.length / 2), position);
      failWith(files.faults.write);
      await file.write(bytes, position);
    },
    async sync() {
      if (files.faults.syncTimes === 0) delete files.faults.sync;
      else if (files.faults.syncTimes !== undefined) files.faults.syncTimes--;
      failWith(files.faults.sync);
      await file.sync();
      files.syncs++;
    },
    async read(position, length) {
      files.reads++;
      if (name === files.faults.unreadable) failWith('EIO');
      if (length > (files.faults.readsBeyond ?? 0)) failWith(files.faults.read);
      return file.read(position, length);
    },
    size: () => file.size(),
    truncate: (size) => file.truncate(size),
    async close() {
      files.handles--;
      await file.close();
    },
  });
  const opened = (file: SpoolFile, path: string): SpoolFile => {
    files.handles++;
    return wrap(file, basename(path));
  };
  const files: FailingFiles = {
    ...diskFiles,
    faults: {},
    syncs: 0,
    reads: 0,
    handles: 0,
    created: [],
    syncedDirectories: [],
    async list(directory) {
      failWith(files.faults.list);
      return diskFiles.list(directory);
    },
    async create(path) {
      failWith(files.faults.create);
      files.created.push(basename(path));
      return opened(await diskFiles.create(path), path);
    },
    open: async (path) => opened(await diskFiles.open(path), path),
    freeBytes: async (directory) => files.faults.freeBytes ?? diskFiles.freeBytes(directory),
    async syncDirectory(path) {
      files.syncedDirectories.push(path);
      await diskFiles.syncDirectory(path);
    },
    async remove(path) {
      failWith(files.faults.remove);
      await diskFiles.remove(path);
    },
  };
  return files;
}
