/**
 * The spool's file operations on a real directory, each of which a test can make fail: `faults.write = 'ENOSPC'` fails
 * every write from now on, half of its bytes written; delete the entry to heal it.
 */
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
  /** Names of files created so far. */
  created: string[];
}

function failWith(code: string | undefined): void {
  if (code !== undefined) throw Object.assign(new Error('injected'), { code });
}

export function failingFiles(): FailingFiles {
  const wrap = (file: SpoolFile): SpoolFile => ({
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
      if (length > (files.faults.readsBeyond ?? 0)) failWith(files.faults.read);
      return file.read(position, length);
    },
    size: () => file.size(),
    truncate: (size) => file.truncate(size),
    close: () => file.close(),
  });
  const files: FailingFiles = {
    ...diskFiles,
    faults: {},
    syncs: 0,
    reads: 0,
    created: [],
    async list(directory) {
      failWith(files.faults.list);
      return diskFiles.list(directory);
    },
    async create(path) {
      failWith(files.faults.create);
      files.created.push(path.slice(path.lastIndexOf('/') + 1));
      return wrap(await diskFiles.create(path));
    },
    open: async (path) => wrap(await diskFiles.open(path)),
    freeBytes: async (directory) => files.faults.freeBytes ?? diskFiles.freeBytes(directory),
    async remove(path) {
      failWith(files.faults.remove);
      await diskFiles.remove(path);
    },
  };
  return files;
}
