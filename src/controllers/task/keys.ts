/**
 * The key ring: the API key of each task, from its Secret or the operator's own. Secrets are read by GET when a task
 * needs them, kept for a minute, and read again every 10 s while somebody waits for them. The operator's own key, for
 * tasks that bring none, comes from a file that is read again when it changes, or as given; a file that cannot be read
 * keeps the previous key. It tells who must look again when a key changed, and never shows a key to anyone but the
 * provider client and the lanes; none is logged.
 */
import { readFile } from 'node:fs/promises';
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { KeyView } from '../../core/task/facts.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Logger } from '../../ops/log.ts';
import type { TaskControllerOptions } from './ports.ts';
import { SECRET_REREAD_MS, rereadMs } from '../../core/task/policy.ts';
import { type ValueRead, readSecretValue } from '../../core/task/sources.ts';
import { runProtocol } from '../../kube/run.ts';

/** How long a key that works is used before its Secret is read again. */
const FRESH_MS = 60_000;
/** Of the Secrets of blocked keys, however many there are: so many in one round, and so many at once. */
const MOST_REREAD = 200;
const REREAD_AT_ONCE = 4;
const OWN = '';

interface Entry {
  namespace: string;
  ref: { name: string; key: string };
  value?: string;
  missing?: string;
  /** Since when the API server has not been able to read it. */
  unreadSinceMono?: number;
  readMono: number;
  reading?: Promise<boolean>;
}

export interface KeyRing {
  view(task: CaptchaTask): KeyView;
  /** The key itself; undefined while there is none. */
  value(task: CaptchaTask): string | undefined;
  /** Reads the task's Secret, or the operator's own key; false where the API server could not be asked. */
  read(task: CaptchaTask): Promise<boolean>;
  /** The provider rejects a key that this task was sent with: reads again, and says whether the task has it still. */
  hasStill(task: CaptchaTask, key: string): Promise<'yes' | 'no' | 'unknown'>;
  /** Reads again what blocked keys come from; the keys whose users must look again are passed to `onChange`. */
  reread(blocked: ReadonlySet<string>): Promise<void>;
}

export interface KeyRingOptions {
  client: Pick<KubeClient, 'execute'>;
  log: Logger;
  ownKey?: TaskControllerOptions['ownKey'];
  mono: () => number;
  /** A key was replaced by another one. */
  onChange: (oldKey: string) => void;
}

const MISSING_OWN = 'The task names no apiKeySecretRef and the operator has no API key of its own.';

export function createKeyRing(options: KeyRingOptions): KeyRing {
  const { mono } = options;
  const ownKey = createOwnKey(options.ownKey, options.log);
  const entries = new Map<string, Entry>();

  function entryOf({ metadata, spec }: CaptchaTask): Entry | undefined {
    const ref = spec.apiKeySecretRef;
    return ref === undefined ? undefined : entries.get(`${metadata.namespace}/${ref.name}/${ref.key}`);
  }

  /** False where the API server could not say what it holds, and what was known stands. */
  async function readNow({ metadata: { namespace }, spec }: CaptchaTask): Promise<boolean> {
    const ref = spec.apiKeySecretRef;
    if (ref === undefined) {
      await readOwn();
      return true;
    }
    const id = `${namespace}/${ref.name}/${ref.key}`;
    const entry = entries.get(id) ?? { namespace, ref: { name: ref.name, key: ref.key }, readMono: -Infinity };
    entries.set(id, entry);
    return await readOnce(entry, options);
  }

  async function readOwn(): Promise<void> {
    const before = ownKey.value() ?? OWN;
    if (await ownKey.refresh()) options.onChange(before);
  }

  function valueOf(task: CaptchaTask): string | undefined {
    return task.spec.apiKeySecretRef === undefined ? ownKey.value() : entryOf(task)?.value;
  }

  return {
    view(task) {
      if (task.spec.apiKeySecretRef === undefined) return ownView(ownKey);
      return viewOf(entryOf(task), mono());
    },
    value: valueOf,
    // A key that worked a minute ago is better than none while the API server is away or cannot read its Secret.
    read: async (task) => (await readNow(task)) || valueOf(task) !== undefined,
    async hasStill(task, key) {
      const read = await readNow(task);
      const now = valueOf(task);
      if (read) return now === undefined || now === key ? 'yes' : 'no';
      return now === key ? 'unknown' : 'no';
    },
    async reread(blocked) {
      await readOwn();
      const staleMono = mono() - SECRET_REREAD_MS;
      const due = [...entries.values()].filter(({ value, readMono }) => {
        return value !== undefined && blocked.has(value) && readMono <= staleMono;
      });
      await readInTurn(due.toSorted((left, right) => left.readMono - right.readMono).slice(0, MOST_REREAD), options);
      forgetOld(entries, mono());
    },
  };
}

function ownView(ownKey: OwnKey): KeyView {
  if (!ownKey.isRead()) return { state: 'unread' };
  if (ownKey.value() !== undefined) return { state: 'present' };
  return { state: 'missing', message: MISSING_OWN, retryInMs: SECRET_REREAD_MS };
}

function viewOf(entry: Entry | undefined, mono: number): KeyView {
  if (entry === undefined) return { state: 'unread' };
  const { readMono, missing: message, unreadSinceMono } = entry;
  const ageMs = mono - readMono;
  if (message !== undefined) {
    const unread = unreadSinceMono === undefined ? {} : { unreadForMs: readMono - unreadSinceMono };
    const retryInMs = rereadMs(unread.unreadForMs) - ageMs;
    return retryInMs <= 0 ? { state: 'unread' } : { state: 'missing', message, retryInMs, ...unread };
  }
  return entry.value === undefined || ageMs >= FRESH_MS ? { state: 'unread' } : { state: 'present' };
}

/** One GET at a time for each Secret, however many tasks wait for it. */
function readOnce(entry: Entry, options: KeyRingOptions): Promise<boolean> {
  entry.reading ??= readKey(entry, options).finally(() => delete entry.reading);
  return entry.reading;
}

/** Thousands of keys may be blocked; other requests must not wait behind all of theirs. */
async function readInTurn(due: Entry[], options: KeyRingOptions): Promise<void> {
  const readOn = async (): Promise<void> => {
    for (let entry = due.shift(); entry !== undefined; entry = due.shift()) await readOnce(entry, options);
  };
  await Promise.all(Array.from({ length: REREAD_AT_ONCE }, readOn));
}

async function readKey(entry: Entry, { client, mono, onChange }: KeyRingOptions): Promise<boolean> {
  const read = await runProtocol(client, readSecretValue(entry.namespace, entry.ref));
  const before = entry.value;
  if (read.kind === 'unavailable' && before === undefined) return false;
  entry.readMono = mono();
  if (read.kind === 'unavailable' || (read.kind === 'unreadable' && before !== undefined)) return false;
  note(entry, read);
  if (before !== undefined && before !== entry.value) onChange(before);
  return true;
}

function note(entry: Entry, read: Exclude<ValueRead, { kind: 'unavailable' }>): void {
  const { unreadSinceMono = entry.readMono } = entry;
  delete entry.missing;
  delete entry.value;
  delete entry.unreadSinceMono;
  if (read.kind === 'found') entry.value = read.bytes.toString('utf8').trim();
  else entry.missing = read.message;
  if (read.kind === 'unreadable') entry.unreadSinceMono = unreadSinceMono;
}

/** Entries that nobody asked for in ten minutes; a task that comes back reads again. */
function forgetOld(entries: Map<string, Entry>, mono: number): void {
  for (const [id, { readMono }] of entries) if (readMono < mono - 600_000) entries.delete(id);
}

interface OwnKey {
  value(): string | undefined;
  /** Whether the file was looked at: before, nobody can say that there is no key. */
  isRead(): boolean;
  /** Reads the file again, once for all who ask meanwhile; the answer says whether the key changed. */
  refresh(): Promise<boolean>;
}

function createOwnKey(source: TaskControllerOptions['ownKey'], log: Logger): OwnKey {
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
