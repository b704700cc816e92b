/**
 * What one operator of the model knows of the intent journal, and its single writer: the product's value and protocols
 * (`core/journal`). What `controllers/task/journal` does around them is restated here: what has gathered is sent as soon
 * as the write before is answered, each task is told what became of its entry, and entries are seen out once the cache
 * shows them in status. The journal is a mutable value there; here each step works on a copy of its own.
 */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { Entry } from '../../src/core/journal/entry.ts';
import type { Batch, Journal, Settled } from '../../src/core/journal/journal.ts';
import type { EntrySettled, JournalWrite, TakeOver } from '../../src/core/journal/protocols.ts';
import type { ApiReply, ApiRequest, Protocol } from '../../src/core/protocol.ts';
import type { Rest, TaskMemory } from '../../src/core/task/memory.ts';
import * as journals from '../../src/core/journal/journal.ts';
import { isFinished } from '../../src/core/task/transitions.ts';
import { type Handle, intern } from './intern.ts';
import type { Product } from './product.ts';
import type { Operator, Work } from './state.ts';
import { momentOf, timelessMemory } from './time.ts';

interface FrozenBatch extends Omit<Batch, 'next'> {
  readonly next: readonly Entry[];
}

/** A journal as JSON, and what its room knows beside it. */
export interface Room {
  readonly holder: string;
  readonly held: boolean;
  readonly resourceVersion?: string | undefined;
  readonly entries: readonly Entry[];
  readonly adding: readonly Entry[];
  /** Ids on their way, by the name of their entry. */
  readonly naming: readonly (readonly [by: string, captchaID: string])[];
  readonly leaving: readonly string[];
  readonly dropped: readonly string[];
  readonly writing?: FrozenBatch | undefined;
  /** One at most: they look again and again, and here a look comes when nothing is on its way any more. */
  readonly looks: number;
  readonly torn: boolean;
  /** Names that were in the journal when it was taken over. */
  readonly inherited: readonly string[];
  /** Names that a fresh read has shown to be in status, or of no task. */
  readonly settled: readonly string[];
  /** What a task does after its drop was sent. */
  readonly rests: readonly { by: string; rest: Rest }[];
}

export function freshRoom(holder: string): Room {
  return frozen(journals.createJournal(holder), { inherited: [], settled: [], rests: [] });
}

export function thawed(room: Room): Journal {
  const { entries, adding, naming, leaving, dropped, writing, holder, held, resourceVersion, looks, torn } = room;
  return {
    holder,
    held,
    resourceVersion,
    looks,
    torn,
    entries: byUid(entries),
    adding: byUid(adding),
    naming: new Map(naming),
    leaving: new Set(leaving),
    dropped: new Set(dropped),
    writing: writing && { ...writing, next: byUid(writing.next) },
  };
}

function byUid(entries: readonly Entry[]): Map<string, Entry> {
  return new Map(entries.map((entry) => [entry.uid, entry]));
}

type Beside = Pick<Room, 'inherited' | 'settled' | 'rests'>;

/** What the room says about names that are in the journal no more is forgotten: nobody asks for it. */
function frozen(journal: Journal, { inherited, settled, rests }: Beside): Room {
  const { entries, adding, naming, leaving, dropped, writing, holder, held, resourceVersion, looks, torn } = journal;
  const names = new Set(Array.from(entries.values(), ({ by }) => by));
  const isThere = (by: string): boolean => names.has(by);
  return {
    holder,
    held,
    resourceVersion,
    looks: Math.min(looks, 1),
    torn,
    entries: [...entries.values()],
    adding: [...adding.values()],
    naming: [...naming].filter(([by]) => isThere(by)),
    leaving: [...leaving].filter(isThere),
    dropped: [...dropped],
    writing: writing && { ...writing, next: [...writing.next.values()] },
    inherited: inherited.filter(isThere),
    settled: settled.filter(isThere),
    rests: rests.filter(({ by }) => isThere(by)),
  };
}

export function roomOf({ room }: Operator): Room {
  if (room === undefined) throw new Error('there is no journal in this world');
  return room.value;
}

/** The operator after something was done to the journal that it knows. */
export function atRoom(operator: Operator, act: (journal: Journal) => void, beside: Partial<Beside> = {}): Operator {
  const room = roomOf(operator);
  const journal = thawed(room);
  act(journal);
  return { ...operator, room: intern(frozen(journal, { ...room, ...beside })) };
}

export function remembering(operator: Operator, uid: string, change: (memory: TaskMemory) => TaskMemory): Operator {
  const { value } = operator.memory;
  return value.uid === uid ? { ...operator, memory: intern(timelessMemory(change(value))) } : operator;
}

/** Tells the tasks what became of their entries. */
export function told(product: Product, operator: Operator, { rights, refused }: Settled): Operator {
  const settle = (isRight: boolean) => (before: Operator, entry: Entry) =>
    remembering(before, entry.uid, (memory) => product.memories.entrySettled(memory, entry.by, isRight));
  return refused.reduce(settle(false), rights.reduce(settle(true), operator));
}

/* The writer */

export type Ended = TakeOver | JournalWrite;
export type Written =
  | { operator: Operator; request: Handle<ApiRequest>; end?: undefined }
  | { operator: Operator; request?: undefined; end: Ended };

function protocolOf(
  { journal: { takeOver, writeJournal } }: Product,
  { name }: Work,
  journal: Journal,
): Protocol<Ended> {
  return name === 'takeOver' ? takeOver(journal) : writeJournal(journal, journal.writing as Batch);
}

/** The request that the writer waits for. */
export function requested(product: Product, work: Work): Handle<ApiRequest> {
  const protocol = protocolOf(product, work, thawed(work.args.value as Room));
  let step = protocol.next();
  for (const { value } of work.replies) step = protocol.next(value);
  return intern(step.value as ApiRequest);
}

/** The journal's protocol after its last reply. What it did before that is repeated on a copy and thrown away. */
export function written(product: Product, operator: Operator, work: Work): Written {
  const { args, replies } = work;
  const room = roomOf(operator);
  const journal = thawed(replies.length === 0 ? room : (args.value as Room));
  const protocol = protocolOf(product, work, journal);
  let step = protocol.next();
  replies.forEach((reply: Handle<ApiReply>, at) => {
    if (at === replies.length - 1) becomes(journal, room);
    if (step.done !== true) step = protocol.next(reply.value);
  });
  const after = { ...operator, room: intern(frozen(journal, room)) };
  return step.done === true ? { operator: after, end: step.value } : { operator: after, request: intern(step.value) };
}

/** The protocol keeps the batch that it was begun with. */
function becomes(journal: Journal, room: Room): void {
  const batch = journal.writing;
  const real = thawed(room);
  if (batch !== undefined && real.writing !== undefined) real.writing = Object.assign(batch, real.writing);
  Object.assign(journal, real);
}

export function taking(product: Product, operator: Operator): Operator {
  const work: Work = { name: 'takeOver', args: intern(freshRoom(roomOf(operator).holder)), replies: [] };
  return { ...written(product, operator, work).operator, writer: work };
}

/** What the writer looks at beside the operator. */
export interface Around {
  newest: Handle<CaptchaTask> | undefined;
  /** The take-over was long ago. */
  plain?: boolean;
  /** Nothing was written for a while. */
  looks?: boolean;
}

/** Sees entries out, and sends what has gathered, where no write is under way. */
export function pumped(product: Product, operator: Operator, around: Around): Operator {
  if (operator.room === undefined || operator.writer !== undefined || !operator.room.value.held) return operator;
  const seen = seenOut(product, operator, around);
  let batch: Batch | undefined;
  const begun = atRoom(seen, (journal) => {
    batch = journal.writing ?? journals.beginWrite(journal);
    if (around.looks === true) batch ??= journals.beginLook(journal);
  });
  if (batch === undefined) return seen;
  const { writing, resourceVersion, holder } = roomOf(begun);
  const args = { ...freshRoom(holder), held: true, resourceVersion, writing };
  const work: Work = { name: 'writeJournal', args: intern(args), replies: [] };
  const sent = batch.inDoubt ? begun : tellSent(product, begun, { batch, rests: roomOf(seen).rests });
  return { ...written(product, sent, work).operator, writer: work };
}

function tellSent(
  product: Product,
  operator: Operator,
  { batch: { added, left }, rests }: { batch: Batch; rests: Room['rests'] },
): Operator {
  const { mono } = momentOf('nothing');
  let next = operator;
  for (const { uid, by } of added)
    next = remembering(next, uid, (memory) => product.memories.entrySent(memory, by, mono));
  for (const by of left) {
    const { rest } = rests.find((one) => one.by === by) ?? {};
    if (rest === undefined) continue;
    const { uid } = next.memory.value;
    next = remembering(next, uid, (memory) => product.memories.entryDropped(memory, by, rest));
  }
  return next;
}

/** What the end of a take-over or of a write means for the process. */
export function concluded(product: Product, operator: Operator, end: Ended, around: Around): Operator {
  const idle = { ...operator, writer: undefined };
  if (end.kind === 'unavailable') return idle;
  const settled = told(product, idle, end);
  if (end.kind === 'lost') return { ...settled, stage: 'idle' };
  if (end.kind === 'written') return pumped(product, settled, around);
  const inherited = roomOf(settled).entries.map(({ by }) => by);
  const stage = settled.leads ? (product.relists ? 'unlisted' : 'acting') : 'idle';
  return { ...atRoom(settled, () => undefined, { inherited }), stage };
}

/* Entries on their way out */

/** Lets those go that status shows, and begins to ask about one that no cache can tell of. */
function seenOut(product: Product, operator: Operator, around: Around): Operator {
  const { entries, leaving, dropped } = roomOf(operator);
  let next = operator;
  for (const entry of entries) {
    if (leaving.includes(entry.by) || dropped.includes(entry.by)) continue;
    const known = product.lookAt({ operator, entry, ...around });
    if (known === 'goes') next = atRoom(next, (journal) => journals.letGo(journal, entry.by));
    if (known === 'unknown' && next.asking === undefined) {
      next = { ...next, asking: { name: 'settleEntry', args: intern({ entry }), replies: [] } };
    }
  }
  return next;
}

export interface Sight extends Around {
  operator: Operator;
  entry: Entry;
}

export function lookAtEntry(
  { operator, entry, plain }: Sight,
  isShown: (task: CaptchaTask, entry: Entry) => boolean,
): 'goes' | 'stays' | 'unknown' {
  const task = operator.cache?.value;
  const { settled, inherited } = roomOf(operator);
  if (task?.metadata.uid === entry.uid) return isShown(task, entry) ? 'goes' : 'stays';
  if (settled.includes(entry.by)) return 'goes';
  if (operator.stage === 'idle') return 'stays';
  return plain === true && operator.stage === 'acting' && !inherited.includes(entry.by) ? 'goes' : 'unknown';
}

/** The answer of a fresh read reaches the process that asked. */
export function asked(
  operator: Operator,
  entry: Entry,
  end: EntrySettled,
  newest: Handle<CaptchaTask> | undefined,
): Operator {
  const idle = { ...operator, asking: undefined };
  if (end.kind === 'later') return idle;
  const { settled } = roomOf(idle);
  const next = atRoom(idle, () => undefined, { settled: [...settled.filter((by) => by !== entry.by), entry.by] });
  if (
    end.kind === 'gone' ||
    newest === undefined ||
    end.task.metadata.resourceVersion !== newest.value.metadata.resourceVersion
  )
    return next;
  return { ...next, cache: isFinished(newest.value) ? undefined : newest };
}
