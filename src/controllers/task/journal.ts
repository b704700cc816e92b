/**
 * The intent journal as the controller uses it: one writer, which sends what has gathered as soon as the write before is
 * answered, tells each task what became of its entry, and wakes it. It takes the journal over when this process begins
 * to lead, and sees entries out once status shows them. It decides about no task, and nothing of the rules is here: they
 * are in `core/journal` and `core/task`.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { JournalView } from '../../core/task/facts.ts';
import type { Rest } from '../../core/task/memory.ts';
import type { Millis } from '../../core/task/times.ts';
import type { JournalRoom, TaskContext } from './context.ts';
import { type Entry, bytesOf } from '../../core/journal/entry.ts';
import { isForeign, processOf } from '../../core/journal/foreign.ts';
import * as journals from '../../core/journal/journal.ts';
import { type Unavailable, takeOver, writeJournal } from '../../core/journal/protocols.ts';
import { entryDropped, entrySent, entrySettled } from '../../core/task/memory.ts';
import { pause, within } from '../../kube/pause.ts';
import { runProtocol } from '../../kube/run.ts';
import { keyOfTask, remember } from './context.ts';
import { type Exits, createExits } from './entries.ts';
import { type Late, createLate } from './late.ts';

/** A version without journal may have led until just now: its Lease, and the fence of its last call. */
const FIRST_WAIT_MS = 20_000;
const RETRY_MS = 1_000;
/** etcd keeps every version for some minutes: so many bytes a second at most. */
const BYTES_PER_MS = 512 * 1.024;
/** So much may be written at once before the next write waits for its time. */
const BURST_MS = 50;
/** Drops alone are written after this, or with the next entry. */
const IDLE_MS = 10_000;
/** Own writes come back by the watch within this, or no entry is written. */
const UNSEEN_MS = 5_000;
/** Room is kept for an entry of usual length; one that is longer waits a little. */
const USUAL_BYTES = 400;

interface State {
  readonly context: TaskContext;
  readonly journal: journals.Journal;
  /** What a task does after its drop was sent, by the name of its entry. */
  readonly rests: Map<string, { task: CaptchaTask; rest: Rest }>;
  /** Own status writes that the watch has not told of, oldest first, by namespace. */
  readonly unseen: Map<string, { version: number; mono: number }[]>;
  readonly exits: Exits;
  readonly late: Late;
  pumping: Promise<void> | undefined;
  takenTime: Millis;
  /** The processes of this installation, as far as the journal has named them. */
  readonly kin: Set<string>;
  /** Ends when nobody takes the journal over any more. */
  taking: Promise<unknown>;
  /** Until when what was written is paid for in time. */
  paidMono: number;
  idle: NodeJS.Timeout | undefined;
  /** Nothing was written for a while: what may have arrived late is looked for. */
  looks: boolean;
  complained: boolean;
  closed: boolean;
  onLost: () => void;
}

/** @param onLost another process holds it now: nothing is decided any more */
export function createJournalRoom(context: () => TaskContext, holder: string, onLost: () => void): JournalRoom {
  const state = createState(context, holder, onLost);
  const { journal, late } = state;
  return {
    isHeld: () => journal.held,
    entryOf: (uid) => journals.entryOf(journal, uid),
    leaves: ({ by }) => journal.leaving.has(by),
    isForeign: (submission) => journal.held && isForeign(submission, state.kin, state.takenTime),
    view: (namespace) => viewOf(state, namespace),
    record: (entry) => (journal.held && !state.complained && !state.closed ? late.view(entry) : 'now'),
    recording: late.recording,
    enter(entry) {
      journals.enter(journal, entry);
      wake(state);
    },
    putID({ by, captchaID }) {
      journals.putID(journal, by, captchaID);
      wake(state);
    },
    drop(task, { by, rest }) {
      state.rests.set(by, { task, rest });
      journals.letGo(journal, by);
      wake(state);
    },
    wrote: (task) => noteWrite(state, task),
    takeOver(stillLeads) {
      const taken = state.taking.then(() => take(state, stillLeads));
      state.taking = taken;
      return taken;
    },
    withdraw() {
      late.wakeAll();
      tell(state, { ...journals.NOTHING_SETTLED, refused: journals.withdraw(journal) });
    },
    close: (withinMs) => close(state, withinMs),
  };
}

function createState(context: () => TaskContext, holder: string, onLost: () => void): State {
  const journal = journals.createJournal(holder);
  return {
    get context() {
      return context();
    },
    journal,
    rests: new Map(),
    unseen: new Map(),
    exits: createExits(context, journal),
    late: createLate(context, journal),
    pumping: undefined,
    takenTime: Infinity,
    kin: new Set([holder]),
    taking: Promise.resolve(),
    paidMono: -Infinity,
    idle: undefined,
    looks: false,
    complained: false,
    closed: false,
    onLost,
  };
}

function viewOf(state: State, namespace: string): JournalView {
  const { journal } = state;
  if (!journal.held) return 'closed';
  const room = journals.roomFor(journal, { namespace, entryBytes: USUAL_BYTES });
  if (room === 'full') return 'waits';
  return room === 'taken' || isUnseen(state, namespace) ? 'barred' : 'open';
}

function noteWrite({ unseen, context }: State, { metadata: { namespace, resourceVersion } }: CaptchaTask): void {
  const writes = unseen.get(namespace) ?? [];
  writes.push({ version: Number(resourceVersion), mono: context.moment().mono });
  unseen.set(namespace, writes);
}

/** A task that was deleted or suspended is not heard of either where the watch has fallen silent. */
function isUnseen({ unseen, context }: State, namespace: string): boolean {
  const writes = unseen.get(namespace) ?? [];
  while (writes[0] !== undefined && context.scopes.hasReached(namespace, writes[0].version)) writes.shift();
  const [oldest] = writes;
  if (oldest === undefined) unseen.delete(namespace);
  return oldest !== undefined && context.moment().mono - oldest.mono > UNSEEN_MS;
}

/* The writer */

/** In the next turn of the event loop, so that what is decided in this one goes out together. */
function wake(state: State): void {
  state.pumping ??= pump(state).finally(() => {
    state.pumping = undefined;
    const { held, adding, naming, leaving } = state.journal;
    state.late.gathered(0);
    // What came while the last look found nothing to write.
    if (held && !state.closed && adding.size + naming.size + leaving.size > 0) wake(state);
    else rearm(state);
  });
}

function rearm(state: State): void {
  clearTimeout(state.idle);
  const { held, entries, looks } = state.journal;
  if (state.closed || !held || (entries.size === 0 && looks === 0)) return;
  state.idle = setTimeout(() => {
    state.looks = true;
    wake(state);
  }, IDLE_MS).unref();
}

async function pump(state: State): Promise<void> {
  const { journal, context } = state;
  await new Promise((resolve) => setImmediate(resolve));
  for (;;) {
    state.exits.seeOut();
    const batch = journal.writing ?? journals.beginWrite(journal) ?? (state.looks && journals.beginLook(journal));
    state.looks = false;
    if (!batch) return;
    if (!batch.inDoubt) tellSent(state, batch);
    state.late.gathered(batch.added.length + batch.named.length);
    const end = await runProtocol(context.options.client, writeJournal(journal, batch, context.options.journal));
    if (end.kind === 'unavailable') {
      complain(state, end);
      await pause(RETRY_MS, undefined);
      if (state.closed) return;
      continue;
    }
    state.complained = false;
    tell(state, end);
    if (end.kind === 'lost') return lose(state, end.holder);
    await keepPace(state, batch.next);
  }
}

/** Once, until it can be written again: until then ids go into status. */
function complain(state: State, { status, reason }: Unavailable): void {
  if (state.complained) return;
  state.complained = true;
  state.context.options.log.warn('The journal cannot be written; it is tried again', { code: status, reason });
  state.late.wakeAll();
}

async function keepPace(state: State, entries: journals.Batch['next']): Promise<void> {
  const { mono } = state.context.moment();
  let bytes = 0;
  for (const entry of entries.values()) bytes += bytesOf(entry);
  state.paidMono = Math.max(state.paidMono, mono) + bytes / BYTES_PER_MS;
  if (state.paidMono - mono > BURST_MS) await pause(state.paidMono - mono, undefined);
}

function tellSent({ context, rests }: State, { added, left }: journals.Batch): void {
  const { mono, now } = context.moment();
  for (const entry of added) remember(context, taskOf(entry), (memory) => entrySent(memory, entry.by, mono, now));
  for (const by of left) {
    const { task, rest } = rests.get(by) ?? {};
    rests.delete(by);
    if (task === undefined) continue;
    remember(context, task, (memory) => entryDropped(memory, by, rest));
    context.queue.add(keyOfTask(task), 'urgent');
  }
}

function tell({ context, late }: State, { rights, refused, recorded, unrecorded }: journals.Settled): void {
  for (const entry of rights) settle(context, entry, true);
  for (const entry of refused) settle(context, entry, false);
  for (const entry of recorded) {
    context.options.log.info('A task was submitted', { ...aboutEntry(entry), journal: true });
    context.lanes.recorded(`${entry.namespace}/${entry.name}`);
  }
  // Their ids belong into status, and who does not act does not wait for that.
  for (const { namespace, name } of context.mayAct() ? unrecorded : [...recorded, ...unrecorded]) {
    context.queue.add(`${namespace}/${name}`, 'urgent');
  }
  late.look();
}

function aboutEntry({ namespace, name, uid }: Entry): object {
  return { namespace, name, uid, attempt: 1 };
}

function settle(context: TaskContext, entry: Entry, isRight: boolean): void {
  remember(context, taskOf(entry), (memory) => entrySettled(memory, entry.by, isRight));
  context.queue.add(`${entry.namespace}/${entry.name}`, 'urgent');
}

function taskOf({ namespace, name, uid }: Entry): { metadata: { namespace: string; name: string; uid: string } } {
  return { metadata: { namespace, name, uid } };
}

function lose({ context, late, onLost }: State, holder: string | undefined): void {
  context.options.log.error('Another process holds the journal; nothing is started any more', { holder });
  onLost();
  late.wakeAll();
}

/* Begin and end */

async function take(state: State, stillLeads: () => boolean): Promise<boolean> {
  const { context, journal } = state;
  const { client, journal: place, log, leadership } = context.options;
  await state.pumping;
  for (let told = false; stillLeads(); told = true) {
    const end = await runProtocol(client, takeOver(journal, place, ownCalls(context)));
    if (end.kind === 'held') {
      tell(state, end);
      noteKin(state, end.from);
      const wasTaken = leadership.wasTaken();
      state.exits.taken({ alone: end.created && !wasTaken });
      log.info('Holding the journal', { entries: journal.entries.size });
      if (end.created && wasTaken) await waitForOlder(state, stillLeads);
      rearm(state);
      return stillLeads() && journal.held;
    }
    if (!told) log.warn('The journal cannot be taken over', { code: end.status, reason: end.reason });
    await pause(RETRY_MS, undefined);
  }
  return false;
}

function noteKin(state: State, from: string | undefined): void {
  state.takenTime = state.context.moment().now;
  if (from !== undefined) state.kin.add(from);
  for (const { by } of state.journal.entries.values()) state.kin.add(processOf(by));
}

/** Entries of calls of an earlier lead, which status does not show yet as far as is known here. */
function ownCalls({ memories }: TaskContext): Entry[] {
  return [...memories.values()].flatMap(({ intent }) => {
    return intent?.entry === undefined || !intent.written || intent.call === 'notSent' ? [] : [intent.entry];
  });
}

async function waitForOlder({ context }: State, stillLeads: () => boolean): Promise<void> {
  const { mono } = context.moment();
  context.options.log.info('Waiting until a version without journal has ended', { seconds: FIRST_WAIT_MS / 1_000 });
  while (stillLeads() && context.moment().mono - mono < FIRST_WAIT_MS) await pause(100, undefined);
}

async function close(state: State, withinMs: number): Promise<number> {
  const { journal } = state;
  await within(empty(state), withinMs);
  state.closed = true;
  clearTimeout(state.idle);
  state.late.stop();
  return journal.held ? journal.entries.size : 0;
}

async function empty(state: State): Promise<void> {
  const { journal } = state;
  while (journal.held && !state.closed && (journal.entries.size > 0 || state.pumping !== undefined)) {
    await state.exits.seeAllOut();
    wake(state);
    await state.pumping;
    if (journal.entries.size > 0) await pause(100, undefined);
  }
}
