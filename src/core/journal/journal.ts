/**
 * The intent journal as one process knows it: the entries that the API server holds, those that wait for the next
 * write, the ids that do, those that are to go, and the one write that is under way. Its single writer sends whatever
 * has gathered together (a *batch*), so that a hundred intents and ids cost one write. It knows no clock and sends
 * nothing: `protocols.ts` does, and the shell says when.
 *
 * What keeps a submission from being paid twice:
 * - only an entry that this process remembers as sent, and whose write was answered 200 or is found by a quorum read, is
 *   a right to a call; any other own name that is found later is as good as somebody else's;
 * - whoever has *sent* the drop of an entry, answered or not, does not know it any more (`entryOf`): it neither writes
 *   it into status nor writes it back, and only repeats the drop;
 * - what this process knew and the journal does not show was removed by another hand: it is written again, and no right
 *   comes of a journal that was found so.
 */
import { type Entry, MAX_JOURNAL_BYTES, bytesOf } from './entry.ts';

/** One write that is under way, or of which nobody knows yet whether it was made. */
export interface Batch {
  readonly next: ReadonlyMap<string, Entry>;
  readonly added: readonly Entry[];
  /** Entries of before, with the ids that it brings. */
  readonly named: readonly Entry[];
  /** Names of the entries that it leaves out. */
  readonly left: readonly string[];
  /** Sent, and not answered as made. */
  inDoubt: boolean;
}

export interface Journal {
  /** The name under which this process holds it, unique to each start. */
  readonly holder: string;
  /** Nobody has taken it over since this process did, as far as is known. */
  held: boolean;
  /** What a write is checked against. */
  resourceVersion: string | undefined;
  /** By the uid of their task, as the API server last showed them. */
  entries: ReadonlyMap<string, Entry>;
  readonly adding: Map<string, Entry>;
  /** Ids that wait for the next write, by the name of their entry. */
  readonly naming: Map<string, string>;
  /** Names of entries that may go with the next write. */
  readonly leaving: Set<string>;
  /** Names whose drop was sent, and is not known to have been made. */
  dropped: Set<string>;
  writing: Batch | undefined;
  /**
   * A write that was given up may still arrive, and bring an entry of which this process does not know: so often is it
   * looked for yet.
   */
  looks: number;
  /** Another hand removed entries: they are written again before anything else. */
  torn: boolean;
}

/** The shell looks every 10 s, and a kube-apiserver has done with a request after 60 s. */
export const LATE_LOOKS = 7;

export function createJournal(holder: string): Journal {
  return {
    holder,
    held: false,
    resourceVersion: undefined,
    entries: new Map(),
    adding: new Map(),
    naming: new Map(),
    leaving: new Set(),
    dropped: new Set(),
    writing: undefined,
    looks: 0,
    torn: false,
  };
}

/** The entry of this task, unless its drop was sent. */
export function entryOf({ entries, dropped }: Journal, uid: string): Entry | undefined {
  const entry = entries.get(uid);
  return entry === undefined || dropped.has(entry.by) ? undefined : entry;
}

/**
 * Whether an entry of so many bytes may be written now. No namespace takes more than it leaves free: where its statuses
 * cannot be written its entries stay, and must not keep those of others out. So one has half of the journal at most, and
 * what two have there leaves a third room.
 */
export function roomFor(
  journal: Journal,
  { namespace, entryBytes }: { namespace: string; entryBytes: number },
): 'free' | 'taken' | 'full' {
  const { ownBytes, freeBytes } = measured(journal, namespace);
  if (entryBytes > freeBytes) return 'full';
  return ownBytes + entryBytes > freeBytes ? 'taken' : 'free';
}

/** How much is used of what this namespace may have: from 1 on nothing more may be entered. */
export function fullness(journal: Journal, namespace: string): number {
  const { ownBytes, freeBytes } = measured(journal, namespace);
  return Math.max(ownBytes / Math.max(1, freeBytes), 1 - freeBytes / MAX_JOURNAL_BYTES);
}

/** With what is being written or waits for that; ids are short, and room is kept for more than an entry takes. */
function measured({ entries, adding, writing }: Journal, namespace: string): { ownBytes: number; freeBytes: number } {
  let ownBytes = 0;
  let freeBytes = MAX_JOURNAL_BYTES;
  for (const known of [entries.values(), adding.values(), writing?.added ?? []]) {
    for (const entry of known) {
      const bytes = bytesOf(entry);
      freeBytes -= bytes;
      if (entry.namespace === namespace) ownBytes += bytes;
    }
  }
  return { ownBytes, freeBytes };
}

/** With the next write. */
export function enter(journal: Journal, entry: Entry): void {
  journal.adding.set(entry.uid, entry);
}

/** The provider has accepted the submission of this entry: its id is written with the next write. */
export function putID(journal: Journal, by: string, captchaID: string): void {
  journal.naming.set(by, captchaID);
}

/** Whether its id is on its way, and nobody knows yet whether it is there. */
export function isNaming({ naming, writing }: Journal, by: string): boolean {
  return naming.has(by) || writing?.named.some((entry) => entry.by === by) === true;
}

/** The entry of this name goes with the next write. */
export function letGo(journal: Journal, by: string): void {
  journal.leaving.add(by);
}

/** New entries that were not sent yet are forgotten, and returned: they were never written. So are ids. */
export function withdraw(journal: Journal): Entry[] {
  const unsent = [...journal.adding.values()];
  journal.adding.clear();
  journal.naming.clear();
  return unsent;
}

/** Begins the next write, where there is something to write and none is under way. */
export function beginWrite(journal: Journal): Batch | undefined {
  if (!journal.held || journal.writing !== undefined) return undefined;
  const { entries, adding, naming, leaving, dropped } = journal;
  const isLeaving = ({ by }: Entry): boolean => leaving.has(by) || dropped.has(by);
  const left = [...entries.values()].filter(isLeaving).map(({ by }) => by);
  const kept = [...entries.values()].filter((entry) => !isLeaving(entry)).map((entry) => withID(entry, naming));
  const named = kept.filter(({ by }) => naming.has(by));
  // An id whose entry goes, or is gone, is in status, or has no task any more.
  naming.clear();
  if (left.length + adding.size + named.length === 0 && !journal.torn) return undefined;
  const next = new Map([...kept.map((entry) => [entry.uid, entry] as const), ...adding]);
  const batch: Batch = { next, added: [...adding.values()], named, left, inDoubt: false };
  for (const by of left) dropped.add(by);
  leaving.clear();
  adding.clear();
  journal.writing = batch;
  return batch;
}

function withID(entry: Entry, naming: ReadonlyMap<string, string>): Entry {
  const captchaID = naming.get(entry.by);
  return captchaID === undefined ? entry : { ...entry, captchaID };
}

/** Begins a look at the journal, where something may have arrived late: nothing is sent but a read. */
export function beginLook(journal: Journal): Batch | undefined {
  if (!journal.held || journal.looks === 0 || journal.writing !== undefined) return undefined;
  journal.looks -= 1;
  journal.writing = { next: journal.entries, added: [], named: [], left: [], inDoubt: true };
  return journal.writing;
}

/** What became of the entries of one write. */
export interface Settled {
  /** Each is the right to one call. */
  rights: readonly Entry[];
  /** Not written, or not to be used. */
  refused: readonly Entry[];
  /** Its id is durable now. */
  recorded: readonly Entry[];
  /** Its id is not, as far as is known. */
  unrecorded: readonly Entry[];
}

export const NOTHING_SETTLED: Settled = { rights: [], refused: [], recorded: [], unrecorded: [] };

/** The write was answered as made. */
export function committed(journal: Journal, batch: Batch, resourceVersion: string | undefined): Settled {
  journal.entries = batch.next;
  journal.resourceVersion = resourceVersion;
  journal.torn = false;
  // What is still on its way was checked against an older version.
  journal.looks = 0;
  return settle(journal, { ...NOTHING_SETTLED, rights: batch.added, recorded: batch.named });
}

/** What a quorum read shows after a write that was not answered as made. */
export interface Found {
  holder: string | undefined;
  resourceVersion: string | undefined;
  entries: readonly Entry[];
}

/**
 * Somebody else holds it. What the write brought is told all the same: its names are there, or they are not. Ids belong
 * into status from now on.
 */
export function lost(journal: Journal, { added, named }: Batch, found: Found): Settled {
  journal.held = false;
  journal.naming.clear();
  const names = new Set(found.entries.map(({ by }) => by));
  return settle(journal, {
    rights: added.filter(({ by }) => names.has(by)),
    refused: added.filter(({ by }) => !names.has(by)),
    recorded: [],
    unrecorded: named,
  });
}

/** It is ours still: the write was made, or it was not. */
export function foundAgain(journal: Journal, batch: Batch, found: Found): Settled {
  const shown = new Map(found.entries.map((entry) => [entry.uid, entry]));
  const missing = [...journal.entries.values()].filter(
    (entry) => !saysAll(shown.get(entry.uid), entry) && !journal.dropped.has(entry.by),
  );
  journal.torn ||= missing.length > 0 || found.holder === undefined;
  const isThere = ({ uid, by }: Entry): boolean => !journal.torn && shown.get(uid)?.by === by;
  const isNamed = (entry: Entry): boolean => saysAll(shown.get(entry.uid), entry);
  const settled = {
    rights: batch.added.filter(isThere),
    refused: batch.added.filter((entry) => !isThere(entry)),
    recorded: batch.named.filter(isNamed),
    unrecorded: batch.named.filter((entry) => !isNamed(entry)),
  };
  if (settled.refused.length > 0) journal.looks = LATE_LOOKS;
  for (const entry of missing) shown.set(entry.uid, entry);
  journal.entries = shown;
  journal.resourceVersion = found.resourceVersion;
  return settle(journal, settled);
}

/** Whether the journal shows this very entry, and its id where it has one. */
function saysAll(shown: Entry | undefined, { by, captchaID }: Entry): boolean {
  return shown?.by === by && (captchaID === undefined || shown.captchaID === captchaID);
}

/** Taken over: it is as it was read, and whatever this process knew of an earlier lead is no right any more. */
export function taken(journal: Journal, { resourceVersion, entries }: Found): Settled {
  const refused = [...withdraw(journal), ...(journal.writing?.added ?? [])];
  journal.entries = new Map(entries.map((entry) => [entry.uid, entry]));
  journal.resourceVersion = resourceVersion;
  journal.held = true;
  journal.torn = false;
  journal.leaving.clear();
  return settle(journal, { ...NOTHING_SETTLED, refused });
}

/** Only what is still there has to be dropped again. */
function settle(journal: Journal, settled: Settled): Settled {
  const names = new Set([...journal.entries.values()].map(({ by }) => by));
  journal.dropped = new Set([...journal.dropped].filter((by) => names.has(by)));
  journal.writing = undefined;
  return settled;
}
