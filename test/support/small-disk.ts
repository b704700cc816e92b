/**
 * A file system of a few megabytes in memory, for what only a really full disk shows. Mounting takes root on Linux;
 * where it is not allowed there is no such disk, and a test says that it did not run.
 */
import { execFile } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface SmallDisk {
  directory: string;
  /** Takes every byte that is left. */
  fill(): void;
  /** Gives them back. */
  free(): Promise<void>;
  unmount(): Promise<void>;
}

const run = promisify(execFile);
const FILLER = 'filler';
/** The larger ones for speed, the smaller for the last of the room. */
const BLOCKS = [Buffer.alloc(1024 * 1024, 1), Buffer.alloc(4_096, 1)];

/** Mounts one on this empty directory; undefined where that is not allowed. */
export async function mountSmallDisk(directory: string, megabytes: number): Promise<SmallDisk | undefined> {
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'captcha-test', directory]);
  } catch {
    return undefined;
  }
  const filler = join(directory, FILLER);
  return {
    directory,
    fill() {
      const file = openSync(filler, 'a');
      for (const block of BLOCKS) writeWhile(file, block);
      closeSync(file);
    },
    free: () => rm(filler, { force: true }),
    async unmount() {
      await run('umount', [directory]);
    },
  };
}

/** Writes this block until there is no room for a whole one. */
function writeWhile(file: number, block: Buffer): void {
  try {
    while (writeSync(file, block) === block.length);
  } catch {
    // No space left: that is what was asked for.
  }
}
