/**
 * Sees the journal's entries out: those that status shows by the cache, and, by a fresh read, those that no cache can tell
 * of, because their task has left it. Writes nothing into the journal; the writer beside it does.
 */
import type { TaskContext } from './context.ts';
import type { Entry } from '../../core/journal/entry.ts';
import type { PackedTask } from '../../core/task/packed.ts';
import { isShown } from '../../core/journal/overlay.ts';
import { type Journal, letGo } from '../../core/journal/journal.ts';
import { settleEntry } from '../../core/journal/protocols.ts';
import { runProtocol } from '../../kube/run.ts';
import { actingSinceMono, bury } from './context.ts';
import { deskOf } from './desk.ts';

export interface Exits {
  /** The journal was taken over, with what it holds now. `alone`: no leader of earlier can do anything yet. */
  taken(how: { alone: boolean }): void;
  /** Lets those go that status shows, and begins to ask about those that no cache can tell of. */
  seeOut(): void;
  /** Puts every entry into status that is not there, and lets it go. */
  seeAllOut(): Promise<void>;
}

/** So many reads at once. */
const ASKING = 4;
/** Entries of tasks that left so soon after the take-over may be of tasks that a leader of earlier finished. */
const DOUBTFUL_MS = 60_000;
const ASK_AGAIN_MS = 10_000;

interface State {
  readonly context: () => TaskContext;
  readonly journal: Journal;
  /** Names that were in the journal when it was taken over. */
  inherited: Set<string>;
  /** Until then a leader of earlier may have finished what left the cache. */
  doubtfulUntilMono: number;
  /** The copy that was looked at last and did not show the entry. */
  readonly seen: WeakMap<Entry, PackedTask>;
  /** Names that a fresh read has shown to be in status, or of no task. */
  readonly settled: Set<string>;
  asking: Promise<void> | undefined;
  askedMono: number;
}

export function createExits(context: () => TaskContext, journal: Journal): Exits {
  const state: State = {
    context,
    journal,
    inherited: new Set(),
    doubtfulUntilMono: Infinity,
    seen: new WeakMap(),
    settled: new Set(),
    asking: undefined,
    askedMono: -Infinity,
  };
  return {
    taken({ alone }) {
      state.inherited = new Set(Array.from(journal.entries.values(), ({ by }) => by));
      state.doubtfulUntilMono = context().moment().mono + (alone ? 0 : DOUBTFUL_MS);
    },
    seeOut: () => seeOut(state),
    seeAllOut: () => seeAllOut(state),
  };
}

/** Entries that are not on their way out yet. */
function staying({ entries, leaving, dropped }: Journal): Entry[] {
  return [...entries.values()].filter(({ by }) => !leaving.has(by) && !dropped.has(by));
}

function seeOut(state: State): void {
  const unknown: Entry[] = [];
  for (const entry of staying(state.journal)) {
    const known = lookAt(state, entry);
    if (known === 'unknown') unknown.push(entry);
    if (known === 'goes') leave(state, entry);
  }
  const { mono } = state.context().moment();
  if (unknown.length === 0 || mono - state.askedMono < ASK_AGAIN_MS) return;
  state.askedMono = mono;
  state.asking ??= askInTurn(state, unknown).finally(() => {
    state.asking = undefined;
  });
}

async function seeAllOut(state: State): Promise<void> {
  for (const entry of staying(state.journal)) {
    if (lookAt(state, entry) === 'goes' || (await ask(state, entry))) leave(state, entry);
  }
}

function leave({ journal, settled }: State, { by }: Entry): void {
  settled.delete(by);
  letGo(journal, by);
}

/** Beside the other work: nobody waits for these entries to go. */
async function askInTurn(state: State, entries: Entry[]): Promise<void> {
  const askOn = async (): Promise<void> => {
    for (let entry = entries.shift(); entry !== undefined && state.journal.held; entry = entries.shift()) {
      await ask(state, entry);
    }
  };
  await Promise.all(Array.from({ length: ASKING }, askOn));
}

function lookAt(state: State, entry: Entry): 'goes' | 'stays' | 'unknown' {
  const context = state.context();
  const packed = context.store.get(`${entry.namespace}/${entry.name}`);
  const shows = packed && copyShows(state, entry, packed);
  if (shows !== undefined) return shows ? 'goes' : 'stays';
  if (state.settled.has(entry.by)) return 'goes';
  // Before the tasks are listed anew, absence proves nothing.
  if (context.actingSinceMono === undefined) return 'stays';
  return isPlain(state, context, entry) ? 'goes' : 'unknown';
}

/** Whether this copy shows the entry; undefined where it is of another task of the name. */
function copyShows({ context, seen }: State, entry: Entry, packed: PackedTask): boolean | undefined {
  if (seen.get(entry) === packed) return false;
  const task = context().unpack(packed);
  if (task.metadata.uid !== entry.uid) return undefined;
  if (isShown(task, entry)) return true;
  seen.set(entry, packed);
  return false;
}

/** Its task left the cache long enough after all tasks had been listed. */
function isPlain({ inherited, doubtfulUntilMono }: State, context: TaskContext, entry: Entry): boolean {
  const isOld = context.moment().mono >= doubtfulUntilMono;
  return isOld && !inherited.has(entry.by) && actingSinceMono(context, entry.namespace) !== undefined;
}

/** True when a fresh read has shown the entry in status, be it that it was put there, or the end of its task. */
async function ask({ context, settled }: State, entry: Entry): Promise<boolean> {
  const end = await runProtocol(context().options.client, settleEntry(entry));
  if (end.kind === 'later') return false;
  settled.add(entry.by);
  if (end.kind === 'gone') bury(context(), entry.uid);
  if (end.kind === 'shown') deskOf(context(), end.task).take(end.task);
  return true;
}
