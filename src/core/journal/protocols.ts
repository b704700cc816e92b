/**
 * What the journal's single writer does at the Kubernetes API: take it over, write it, put one entry into status.
 * The journal is one ConfigMap, written by PUT with its resourceVersion only, so that a write of whoever held it before,
 * or one that was long on its way, changes nothing. After a take-over was answered, the tasks are listed anew before
 * anything is decided (the shell does that): all that the holder before had dropped is in that list.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { ApiReply, Protocol } from '../protocol.ts';
import { CAPTCHA_TASK, CONFIG_MAP } from '../../api/names.ts';
import { putStatus } from '../status-write.ts';
import { type Entry, formatEntries, parseEntries } from './entry.ts';
import { isShown, statusShowing } from './overlay.ts';
import { type Batch, type Found, type Journal, type Settled, committed, foundAgain, lost, taken } from './journal.ts';

/** Where the journal is. */
export interface Place {
  namespace: string;
  name: string;
}

interface JournalObject {
  metadata: { resourceVersion?: string | undefined };
  data?: Record<string, string>;
}

/** Nothing is known to be written; for people, why. */
export interface Unavailable {
  kind: 'unavailable';
  status: number;
  reason: string;
}

/** Others write it in turns with us, or delete it as often as it is made: the caller comes back. */
const MAX_ROUNDS = 5;
const CONTENDED: Unavailable = { kind: 'unavailable', status: 409, reason: 'Conflict' };

/** `created`: there was none. `from`: who held it before. */
export type TakeOver = ({ kind: 'held'; created: boolean; from: string | undefined } & Settled) | Unavailable;

/**
 * Makes this process the holder, whoever was it before, with every entry kept.
 * @param own entries whose calls this process made in an earlier lead: a person may have removed them meanwhile
 */
export function* takeOver(journal: Journal, place: Place, own: readonly Entry[] = []): Protocol<TakeOver> {
  journal.held = false;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const read = yield { verb: 'get', resource: CONFIG_MAP, ...place, read: 'quorum' };
    if (!read.ok && !isAbsence(read)) return unavailable(read);
    const before = read.ok ? (read.object as JournalObject) : undefined;
    const entries = withMissing(entriesIn(before), own);
    const reply = yield before === undefined
      ? creation(journal, place, entries)
      : replacement(journal, place, before, entries);
    if (reply.ok) {
      const { metadata } = reply.object as JournalObject;
      const found = { holder: journal.holder, resourceVersion: metadata.resourceVersion, entries };
      return { kind: 'held', created: before === undefined, from: holderOf(before), ...taken(journal, found) };
    }
    if (reply.status !== 409 && !isAbsence(reply)) return unavailable(reply);
  }
  return CONTENDED;
}

/** An entry that is there may have its id. */
function withMissing(found: readonly Entry[], own: readonly Entry[]): Entry[] {
  const names = new Set(found.map(({ by }) => by));
  const missing = own.filter(({ by }) => !names.has(by));
  return [...new Map([...found, ...missing].map((entry) => [entry.uid, entry])).values()];
}

export type JournalWrite =
  | ({ kind: 'written' } & Settled)
  /** Another process holds it. */
  | ({ kind: 'lost'; holder: string | undefined } & Settled)
  /** The batch stays in doubt, and is settled before anything else is written. */
  | Unavailable;

/** Sends the batch that was begun, or settles it where it is in doubt. */
export function* writeJournal(journal: Journal, batch: Batch, place: Place): Protocol<JournalWrite> {
  if (!batch.inDoubt) {
    batch.inDoubt = true;
    const { resourceVersion } = journal;
    const reply = yield replacement(journal, place, { metadata: { resourceVersion } }, batch.next.values());
    if (reply.ok) return written(journal, batch, reply);
  }
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const read = yield { verb: 'get', resource: CONFIG_MAP, ...place, read: 'quorum' };
    if (read.ok) return judge(journal, batch, read.object as JournalObject);
    if (!isAbsence(read)) return unavailable(read);
    // Deleted under its holder: made anew from memory.
    const reply = yield creation(journal, place, batch.next.values());
    if (reply.ok) return written(journal, batch, reply);
    if (reply.status !== 409) return unavailable(reply);
  }
  return CONTENDED;
}

function written(journal: Journal, batch: Batch, reply: Extract<ApiReply, { ok: true }>): JournalWrite {
  const { resourceVersion } = (reply.object as JournalObject).metadata;
  return { kind: 'written', ...committed(journal, batch, resourceVersion) };
}

function judge(journal: Journal, batch: Batch, object: JournalObject): JournalWrite {
  const { resourceVersion } = object.metadata;
  const holder = holderOf(object);
  const found: Found = { holder, resourceVersion, entries: entriesIn(object) };
  // Who takes it over writes its name: without any it was changed by a person, and is still ours.
  if ((holder ?? journal.holder) !== journal.holder) return { kind: 'lost', holder, ...lost(journal, batch, found) };
  return { kind: 'written', ...foundAgain(journal, batch, found) };
}

function holderOf(object: JournalObject | undefined): string | undefined {
  return object?.data?.['holder'];
}

function entriesIn(object: JournalObject | undefined): Entry[] {
  return parseEntries(object?.data?.['entries'] ?? '');
}

function creation(journal: Journal, { namespace, name }: Place, entries: Iterable<Entry>) {
  const object = objectOf(journal, { namespace, name, labels: LABELS }, entries);
  return { verb: 'create', resource: CONFIG_MAP, namespace, object } as const;
}

function replacement(
  journal: Journal,
  { namespace, name }: Place,
  { metadata: { resourceVersion } }: JournalObject,
  entries: Iterable<Entry>,
) {
  const object = objectOf(journal, { namespace, name, resourceVersion, labels: LABELS }, entries);
  return { verb: 'replace', resource: CONFIG_MAP, namespace, name, object } as const;
}

const LABELS = { 'app.kubernetes.io/managed-by': 'captcha-operator' };

function objectOf({ holder }: Journal, metadata: object, entries: Iterable<Entry>): object {
  return { apiVersion: 'v1', kind: CONFIG_MAP.kind, metadata, data: { holder, entries: formatEntries(entries) } };
}

function isAbsence(reply: Extract<ApiReply, { ok: false }>): boolean {
  return reply.status === 404 && !reply.transient;
}

function unavailable({ status, reason }: Extract<ApiReply, { ok: false }>): Unavailable {
  return { kind: 'unavailable', status, reason };
}

/** `shown`: by the newest copy, which belongs into the cache first. `later`: nothing is known. */
export type EntrySettled = { kind: 'shown'; task: CaptchaTask } | { kind: 'gone' } | { kind: 'later' };

/**
 * Sees to it that status shows this entry, by a fresh read: for tasks that nobody decides about any more, because they
 * left the cache or this process ends. A task that somebody finished without knowing of its submission is corrected.
 */
export function* settleEntry(entry: Entry): Protocol<EntrySettled> {
  const { namespace, name, uid } = entry;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const read = yield { verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' };
    if (!read.ok) return { kind: isAbsence(read) ? 'gone' : 'later' };
    const task = read.object as CaptchaTask;
    if (task.metadata.uid !== uid) return { kind: 'gone' };
    if (isShown(task, entry)) return { kind: 'shown', task };
    const result = yield* putStatus(CAPTCHA_TASK, task, statusShowing(task, entry));
    if (result.kind === 'written') return { kind: 'shown', task: result.object };
    if (result.kind === 'invalid' || result.kind === 'unchanged') return { kind: 'later' };
  }
  return { kind: 'later' };
}
