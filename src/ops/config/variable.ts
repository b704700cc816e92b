/**
 * What a row of the table of variables says, and which processes there are to read it. The table itself is in
 * `variables.ts`; metrics have the same readers.
 */
import type { Kind } from './kinds.ts';

export const PROCESSES = ['operator', 'callback', 'gateway'] as const;
export type ProcessName = (typeof PROCESSES)[number];
/** `both`: the operator and its sidecar; `all`: the gateway, too. */
export type Readers = ProcessName | 'both' | 'all';

/** In seconds. */
export const DAY = 86_400;
export const YEAR = 365 * DAY;

export interface Variable<T> {
  name: string;
  readBy: Readers;
  kind: Kind<T>;
  /** The text that counts when the variable is unset or empty. */
  default?: string | Readonly<Record<ProcessName, string>>;
  /** What being unset means, where there is no default. */
  unset?: string;
  meaning: string;
  secret?: true;
}

export type ReaderOf<R extends Readers> = R extends 'all'
  ? ProcessName
  : R extends 'both'
    ? Exclude<ProcessName, 'gateway'>
    : R;

/** Whether a process is among the readers of a variable. */
export function isReader(readers: Readers, process: ProcessName): boolean {
  return readers === 'all' || readers === process || (readers === 'both' && process !== 'gateway');
}
