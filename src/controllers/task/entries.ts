/**
 * Sees the journal's entries out: those that status shows by the cache, and, by a fresh read, those that no cache can tell
 * of, because their task has left it. Writes nothing into the journal; the writer beside it does.
 */
import type { TaskContext } from './context.ts';
import type { Entry } from '../../core/journal/entry.ts';
import { isShown } from '../../core/journal/overlay.ts';
import { type Journal, letGo } from '../../core/journal/journal.ts';
import { settleEntry } from '../../core/journal/protocols.ts';
import { runProtocol } from '../../kube/run.ts';
import { actingSinceMono, cachedTask } from './context.ts';
import { deskOf } from './desk.ts';

export interface Exits {
  /** The journal was taken over, with what it holds now. */
  taken(): void;
  /** Lets those go that status shows, and begins to ask about those that no cache can tell of. */
  seeOut(): void;
  /** Puts every entry into status that is not there, and lets it go. */
  seeAllOut(): Promise<void>;
}

/** Entries of tasks that left so soon after the take-over may be of tasks that a leader of earlier finished. */
const DOUBTFUL_MS = 60_000;
const ASK_AGAIN_MS = 10_000;

interface State {
  readonly context: () => TaskContext;
  readonly journal: Journal;
  /** Names that were in the journal when it was taken over. */
  inherited: Set<string>;
  takenMono: number;
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
    takenMono: -Infinity,
    settled: new Set(),
    asking: undefined,
    askedMono: -Infinity,
  };
  return {
    taken() {
      state.inherited = new Set(Array.from(journal.entries.values(), ({ by }) => by));
      state.takenMono = context().moment().mono;
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
async function askInTurn(state: State, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) if (state.journal.held) await ask(state, entry);
}

function lookAt(state: State, entry: Entry): 'goes' | 'stays' | 'unknown' {
  const context = state.context();
  const task = cachedTask(context, `${entry.namespace}/${entry.name}`);
  if (task?.metadata.uid === entry.uid) return isShown(task, entry) ? 'goes' : 'stays';
  if (state.settled.has(entry.by)) return 'goes';
  // Before the tasks are listed anew, absence proves nothing.
  if (context.actingSinceMono === undefined) return 'stays';
  return isPlain(state, context, entry) ? 'goes' : 'unknown';
}

/** Its task left the cache long enough after all tasks had been listed. */
function isPlain({ inherited, takenMono }: State, context: TaskContext, { by, namespace }: Entry): boolean {
  const isOld = context.moment().mono - takenMono > DOUBTFUL_MS;
  return isOld && !inherited.has(by) && actingSinceMono(context, namespace) !== undefined;
}

/** True when a fresh read has shown the entry in status, be it that it was put there, or the end of its task. */
async function ask({ context, settled }: State, entry: Entry): Promise<boolean> {
  const end = await runProtocol(context().options.client, settleEntry(entry));
  if (end.kind === 'later') return false;
  settled.add(entry.by);
  if (end.kind === 'shown') deskOf(context(), end.task).take(end.task);
  return true;
}
