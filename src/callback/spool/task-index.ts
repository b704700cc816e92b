/**
 * Which undrained records belong to which task, so that one task's callbacks cannot fill the spool. Tasks are known by
 * a hash of their uid, in one machine word: two tasks that share it share their bound, and nothing else depends on it.
 * No I/O.
 */
import { parseToken } from '../../core/token.ts';

interface Indexed {
  /** See `taskKeyOf`. */
  task: number;
}

export interface TaskIndex<Entry extends Indexed> {
  add(entry: Entry): void;
  remove(entry: Entry): void;
  of(task: number): readonly Entry[];
}

/** A word for the task that a token names; 0 for what is no token. */
export function taskKeyOf(token: string): number {
  const uid = parseToken(token)?.claims.uid ?? '';
  let hash = 0;
  for (let at = 0; at < uid.length; at++) hash = (Math.imul(hash, 31) + uid.charCodeAt(at)) | 0;
  return hash;
}

export function createTaskIndex<Entry extends Indexed>(): TaskIndex<Entry> {
  // Most tasks have one record; a list for each would double what the index takes.
  const entries = new Map<number, Entry | Entry[]>();
  const of = (task: number): readonly Entry[] => {
    const found = entries.get(task);
    return found === undefined ? [] : Array.isArray(found) ? found : [found];
  };
  return {
    of,
    add(entry) {
      const others = of(entry.task);
      entries.set(entry.task, others.length === 0 ? entry : [...others, entry]);
    },
    remove(entry) {
      const others = of(entry.task).filter((other) => other !== entry);
      if (others.length === 0) entries.delete(entry.task);
      else entries.set(entry.task, others.length === 1 ? others[0]! : others);
    },
  };
}
