/**
 * The operator's own API key, from a file that is read again when it changes, or as given. A file that cannot be read
 * keeps the previous key; the key itself is never logged.
 */
import { readFile } from 'node:fs/promises';
import type { Logger } from '../../ops/log.ts';
import type { TaskControllerOptions } from './ports.ts';

export interface OwnKey {
  value(): string | undefined;
  /** Whether the file was looked at: before, nobody can say that there is no key. */
  isRead(): boolean;
  /** Reads the file again, once for all who ask meanwhile; the answer says whether the key changed. */
  refresh(): Promise<boolean>;
}

export function createOwnKey(source: TaskControllerOptions['ownKey'], log: Logger): OwnKey {
  let value = source !== undefined && 'value' in source ? source.value : undefined;
  let read = source === undefined || 'value' in source;
  let reading: Promise<boolean> | undefined;
  let failing = false;

  async function readAgain(file: string): Promise<boolean> {
    try {
      const text = (await readFile(file, 'utf8')).trim();
      failing = false;
      if (text === '' || text === value) return false;
      value = text;
      return true;
    } catch (error) {
      if (!failing) log.error('The file with the API key cannot be read', { error });
      failing = true;
      return false;
    } finally {
      read = true;
      reading = undefined;
    }
  }

  return {
    value: () => value,
    isRead: () => read,
    async refresh() {
      if (source === undefined || 'value' in source) return false;
      reading ??= readAgain(source.file);
      return await reading;
    },
  };
}
