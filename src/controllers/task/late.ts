/**
 * Keeps the late: first submissions whose id the journal holds and whose `Submitted` has yielded to other requests. It
 * says whether one may be written now, and calls them up, the oldest first, as `core/journal/late` has it. It writes
 * nothing: whoever is called up is decided on again.
 */
import type { Entry } from '../../core/journal/entry.ts';
import type { RecordView } from '../../core/task/facts.ts';
import type { TaskContext } from './context.ts';
import { type Journal, entryOf, fullness, isNaming } from '../../core/journal/journal.ts';
import { isUnshown } from '../../core/journal/overlay.ts';
import { type Pressure, vacancies, yields } from '../../core/journal/late.ts';
import { cachedTask } from './context.ts';

export interface Late {
  view(entry: Entry): RecordView;
  /** `Submitted` of this entry is being written, until what this returns is called. */
  recording(entry: Entry): () => void;
  /** How many intents and ids the journal's write brought; 0 when nothing follows it. */
  gathered(count: number): void;
  /** What the journal holds has changed. */
  look(): void;
  /** Those whose id the journal holds, or is to hold, are decided on again: it is no place to wait in any more. */
  wakeAll(): void;
  stop(): void;
}

/** Somebody else may be what requests queue for, and nothing here tells of its end. */
const LOOK_AGAIN_MS = 100;
/** Whoever has not come by then keeps nobody waiting. */
const CALLED_FOR_MS = 5_000;

interface State {
  readonly context: () => TaskContext;
  readonly journal: Journal;
  /** Since when, by the name of the entry, the oldest first. */
  readonly waiting: Map<string, { entry: Entry; mono: number }>;
  /** Called up, once for all: what fails is repeated with its own backoff. */
  readonly called: Set<string>;
  /** Those of them who have not come yet, and since when. */
  readonly expected: Map<string, { entry: Entry; mono: number }>;
  readonly writing: Map<string, { entry: Entry; mono: number }>;
  gathered: number;
  timer: NodeJS.Timeout | undefined;
}

export function createLate(context: () => TaskContext, journal: Journal): Late {
  const state: State = {
    context,
    journal,
    waiting: new Map(),
    called: new Set(),
    expected: new Map(),
    writing: new Map(),
    gathered: 0,
    timer: undefined,
  };
  return {
    view: (entry) => viewOf(state, entry),
    recording(entry) {
      const { by } = entry;
      state.writing.set(by, { entry, mono: context().moment().mono });
      state.expected.delete(by);
      return () => {
        state.writing.delete(by);
        look(state);
      };
    },
    gathered(count) {
      state.gathered = count;
    },
    look: () => look(state),
    wakeAll() {
      for (const entry of journal.entries.values()) {
        if (entry.captchaID !== undefined || isNaming(journal, entry.by)) wake(state, entry);
      }
    },
    stop: () => clearTimeout(state.timer),
  };
}

function viewOf(state: State, { by, captchaID, namespace }: Entry): RecordView {
  if (isNaming(state.journal, by)) return 'entering';
  if (state.called.has(by)) return 'now';
  if (captchaID !== undefined) return 'later';
  return yields(pressureOn(state, namespace, fullness(state.journal, namespace))) ? 'later' : 'now';
}

/** Of each namespace by itself: where writes hang, in a webhook, say, they take nobody else's place. */
function pressureOn({ context, expected, writing, gathered }: State, namespace: string, fullnessNow: number): Pressure {
  const { client } = context().options;
  const both = [...expected.values(), ...writing.values()];
  const recording = both.filter(({ entry }) => entry.namespace === namespace).length;
  return { queueing: client.queueing(), gathered, recording, fullness: fullnessNow };
}

function look(state: State): void {
  clearTimeout(state.timer);
  const { context, journal, waiting, called } = state;
  const { mono } = context().moment();
  const names = new Set<string>();
  for (const entry of journal.entries.values()) {
    const { by, captchaID } = entry;
    names.add(by);
    if (captchaID !== undefined && !waiting.has(by) && !called.has(by)) waiting.set(by, { entry, mono });
  }
  for (const by of called) if (!names.has(by)) called.delete(by);
  expectNoMore(state, mono);
  callUp(state, mono);
  if (waiting.size > 0) state.timer = setTimeout(() => look(state), LOOK_AGAIN_MS).unref();
}

function expectNoMore(state: State, mono: number): void {
  const { called, expected } = state;
  for (const [by, { entry, mono: sinceMono }] of expected) {
    const mayCome = called.has(by) && mono - sinceMono <= CALLED_FOR_MS && isUnknown(state, entry);
    if (!mayCome) expected.delete(by);
  }
}

function callUp(state: State, mono: number): void {
  const { journal, waiting, called, expected } = state;
  const full = new Map<string, number>();
  for (const [by, { entry, mono: sinceMono }] of waiting) {
    const { namespace } = entry;
    const share = full.get(namespace) ?? fullness(journal, namespace);
    full.set(namespace, share);
    const isKeptHere = isKept(state, entry);
    if (isKeptHere && vacancies(pressureOn(state, namespace, share), mono - sinceMono) === 0) continue;
    waiting.delete(by);
    if (!isKeptHere || !isUnknown(state, entry)) continue;
    called.add(by);
    expected.set(by, { entry, mono });
    wake(state, entry);
  }
}

/** The journal has it, and it is not on its way out. */
function isKept({ journal }: State, { uid, by }: Entry): boolean {
  return entryOf(journal, uid)?.by === by && !journal.leaving.has(by);
}

/** Its task is not finished, as far as is known, and does not show it. */
function isUnknown({ context }: State, entry: Entry): boolean {
  const task = cachedTask(context(), keyOf(entry));
  return task !== undefined && isUnshown(task, entry);
}

/** Behind everybody who is in line. */
function wake({ context }: State, entry: Entry): void {
  context().queue.add(keyOf(entry));
}

function keyOf({ namespace, name }: Entry): string {
  return `${namespace}/${name}`;
}
