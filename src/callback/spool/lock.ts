/**
 * One process at a time in a spool directory. The lock is SQLite's on an empty database file: the kernel holds it and
 * lets go when the process dies, however it dies. A file with a process id would not do: in a restarted container the
 * new process often has the dead one's id.
 */
import { DatabaseSync } from 'node:sqlite';

/** Takes the lock, or throws at once when another process has it or the directory cannot be written. */
export function lockDirectory(path: string): () => void {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw error;
  }
  return () => database.close();
}
