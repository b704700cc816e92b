/**
 * One process at a time in a spool directory. The lock is SQLite's on an empty database file: the kernel holds it and
 * lets go when the process dies, however it dies. A file with a process id would not do: in a restarted container the
 * new process often has the dead one's id.
 *
 * Nothing is ever written: SQLite's journal stays in memory. On disk it would need a block, and on a full disk the
 * spool could not be opened to be drained, the one thing that gives room again.
 */
import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** Takes the lock, or throws at once when another process has it or the directory cannot be written. */
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
