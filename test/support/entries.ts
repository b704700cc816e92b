/** Entries of the intent journal for tests. */
import type { Entry } from '../../src/core/journal/entry.ts';

/** Of the task that `aTask()` builds. */
export function anEntry(change: Partial<Entry> = {}): Entry {
  return {
    uid: 'b7b2a1c0-0000-4000-8000-000000000001',
    namespace: 'default',
    name: 'login',
    by: 'operator-a/1',
    intentTime: '2026-01-01T00:00:00Z',
    pingback: true,
    ...change,
  };
}
