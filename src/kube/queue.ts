/**
 * Work queue of keys. It knows names only, merges duplicates, never gives one key to two workers, and wakes keys later
 * with one timer for all. It does no work itself and forgets nothing it was told.
 *
 * A key is in at most one of these states:
 * - *waiting*: it has a due time; the earliest one told wins. Left when due, or by `add`.
 * - *ready*: in line: what is urgent first, then namespaces in turn. Left when a worker is free.
 * - *processing*: one worker has it. An `add` meanwhile is remembered (*again*) and makes it ready afterwards; an
 *   `addAt` meanwhile makes it wait afterwards.
 * A pass answers for everything told before it began: it has to say itself when the key is to be looked at again.
 */
import { exponentialBackoff } from '../waiting/backoff.ts';
import { createHeap } from '../waiting/heap.ts';
import { type Rounds, createRounds } from '../waiting/rounds.ts';
import { within } from './pause.ts';

export interface QueueHooks {
  /** A key became ready that was not. */
  onAdd?(): void;
  /** Processing begins; time since the key became ready. */
  onStart?(queuedMs: number): void;
  onFinish?(workMs: number): void;
  /** A key was added with backoff. */
  onRetry?(): void;
  /** `process` threw: a bug or broken transport. Log it; the key is retried with backoff. */
  onError?(key: string, error: unknown): void;
}

export interface WorkQueueOptions {
  /** For logs, metrics and errors. */
  name: string;
  /** Passes at once; where it is a function, as many as it says now. */
  concurrency: number | (() => number);
  /** Looks at one key. `retryAtMs`: as `addAt`. The signal aborts when the queue stops waiting for it. */
  process(key: string, signal: AbortSignal): Promise<void | { retryAtMs?: number | undefined }>;
  /**
   * The clock of all due times, in milliseconds; only its own instants mean something here. Take a monotonic one: with
   * the wall clock, a step back would delay every key.
   */
  now(): number;
  hooks?: QueueHooks;
  /** Delay after the n-th failure of a key in a row, n from 1. */
  backoff?: (failures: number) => number;
}

export interface WorkQueue {
  readonly name: string;
  /** As soon as possible. `urgent`: before all that are not. */
  add(key: string, how?: 'urgent'): void;
  /** Not later than this instant of `now`; an earlier one that was told before stays. */
  addAt(key: string, atMs: number): void;
  /** After a failure: later with each one until a pass ends without `addBackoff`. */
  addBackoff(key: string): void;
  /** The object is gone or done: drops its due time and its count of failures. */
  forget(key: string): void;
  /** Keys that are ready. */
  depth(): number;
  /** Keys that wait for their time. */
  waiting(): number;
  /** Keys being processed. */
  active(): number;
  /** Starts no pass until `resume`; those under way go on, and keys are still taken in. */
  pause(): void;
  resume(): void;
  /**
   * Starts no pass any more and waits up to `drainMs` for those under way, then aborts their signals and waits a moment
   * more. Resolves with the number of passes that had not ended even then.
   */
  stop(options: { drainMs: number }): Promise<number>;
}

/** Passes of a namespace that took longer than this hang: in a webhook, say, that does not answer. */
const HANG_MS = 1_000;
/** So long the last free worker is then for others. */
const HELD_BACK_MS = 30_000;
/** Passes whose signal was aborted get this long to end. */
const ABORT_GRACE_MS = 1_000;
const DEFAULT_BACKOFF = { baseMs: 250, maxMs: 60_000, random: Math.random };

interface State {
  options: WorkQueueOptions;
  /** Ready keys in order; the same keys with the instant they became ready. */
  line: Rounds;
  readySince: Map<string, number>;
  processing: Set<string>;
  /** Namespaces whose passes have hung of late, until when they count as such. */
  hanging: Map<string, number>;
  /** When a pass of another namespace ended last: where there is none, or all are slow, nobody is held back. */
  othersMono: number;
  /** To be looked at again after their pass; whether that is urgent. */
  again: Map<string, boolean>;
  failures: Map<string, number>;
  failedNow: Set<string>;
  running: boolean;
  stopped: boolean;
  pumping: boolean;
  idle: (() => void) | undefined;
  aborter: AbortController;
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const state = initialState(options);
  const intake = createIntake(state);
  return {
    name: options.name,
    add: intake.add,
    addAt: intake.addAt,
    addBackoff: intake.addBackoff,
    forget(key) {
      intake.due.remove(key);
      state.failures.delete(key);
    },
    depth: () => state.readySince.size,
    waiting: () => intake.due.size(),
    active: () => state.processing.size,
    pause() {
      state.running = false;
    },
    resume() {
      state.running = !state.stopped;
      schedule(state, intake.pump);
    },
    async stop({ drainMs }) {
      state.running = false;
      state.stopped = true;
      intake.due.clear();
      await idleWithin(state, drainMs);
      state.aborter.abort();
      await idleWithin(state, ABORT_GRACE_MS);
      return state.processing.size;
    },
  };
}

function initialState(options: WorkQueueOptions): State {
  return {
    options,
    line: createRounds(namespaceOf),
    readySince: new Map(),
    processing: new Set(),
    hanging: new Map(),
    othersMono: -Infinity,
    again: new Map(),
    failures: new Map(),
    failedNow: new Set(),
    running: true,
    stopped: false,
    pumping: false,
    idle: undefined,
    aborter: new AbortController(),
  };
}

/** The ways in, and the pump that hands ready keys to free workers. */
interface Intake {
  due: DueTimes;
  add(key: string, how?: 'urgent'): void;
  addAt(key: string, atMs: number): void;
  addBackoff(key: string): void;
  pump(): void;
}

function createIntake(state: State): Intake {
  const { now, concurrency, hooks, backoff = exponentialBackoff(DEFAULT_BACKOFF) } = state.options;
  const workers = typeof concurrency === 'number' ? () => concurrency : concurrency;
  const intake: Intake = {
    due: createDueTimes({ now, onDue: (key) => intake.add(key) }),
    add(key, how) {
      const urgent = how === 'urgent';
      intake.due.remove(key);
      if (state.processing.has(key)) state.again.set(key, urgent || state.again.get(key) === true);
      else enqueue(state, key, { urgent, pump: intake.pump });
    },
    addAt(key, atMs) {
      if (state.stopped || state.readySince.has(key) || state.again.has(key)) return;
      if (atMs <= now()) intake.add(key);
      else intake.due.add(key, atMs);
    },
    addBackoff(key) {
      const failures = (state.failures.get(key) ?? 0) + 1;
      state.failures.set(key, failures);
      if (state.processing.has(key)) state.failedNow.add(key);
      hooks?.onRetry?.();
      intake.addAt(key, now() + backoff(failures));
    },
    pump() {
      state.pumping = false;
      while (state.running && state.processing.size < workers()) {
        const key = takeFirst(state, workers());
        if (key === undefined) return;
        intake.due.remove(key);
        void work(state, key, intake);
      }
    },
  };
  return intake;
}

/** One pass over one key, and what follows from it. */
async function work(state: State, key: string, intake: Intake): Promise<void> {
  const startedMs = performance.now();
  state.processing.add(key);
  const retryAtMs = await pass(state, key, intake);
  state.processing.delete(key);
  const endedMs = performance.now();
  noteHang(state, namespaceOf(key), { startedMs, endedMs });
  state.options.hooks?.onFinish?.(endedMs - startedMs);
  if (!state.failedNow.delete(key)) state.failures.delete(key);
  const again = state.again.get(key);
  state.again.delete(key);
  if (again !== undefined) intake.add(key, again ? 'urgent' : undefined);
  else if (retryAtMs !== undefined) intake.addAt(key, retryAtMs);
  if (state.processing.size === 0) state.idle?.();
  schedule(state, intake.pump);
}

async function pass(state: State, key: string, intake: Intake): Promise<number | undefined> {
  try {
    const result = await state.options.process(key, state.aborter.signal);
    return result?.retryAtMs;
  } catch (error) {
    state.options.hooks?.onError?.(key, error);
    intake.addBackoff(key);
    return undefined;
  }
}

function enqueue(state: State, key: string, { urgent, pump }: { urgent: boolean; pump: () => void }): void {
  if (state.stopped) return;
  state.line.push(key, urgent);
  if (state.readySince.has(key)) return;
  state.readySince.set(key, performance.now());
  state.options.hooks?.onAdd?.();
  schedule(state, pump);
}

function takeFirst(state: State, workers: number): string | undefined {
  const key = state.line.take(state.hanging.size === 0 ? undefined : keepsOneFree(state, workers));
  if (key === undefined) return undefined;
  const sinceMs = state.readySince.get(key);
  if (sinceMs === undefined) throw new Error(`queue ${state.options.name}: in line, but not ready: ${key}`);
  if (state.processing.has(key)) throw new Error(`queue ${state.options.name}: a second worker for ${key}`);
  state.readySince.delete(key);
  state.options.hooks?.onStart?.(performance.now() - sinceMs);
  return key;
}

function noteHang(state: State, namespace: string, pass: { startedMs: number; endedMs: number }): void {
  const { startedMs, endedMs } = pass;
  if (endedMs - startedMs > HANG_MS) state.hanging.set(namespace, endedMs + HELD_BACK_MS);
  else if (!state.hanging.has(namespace)) state.othersMono = endedMs;
}

/** Passes that hang must not have all the workers: whoever else comes would wait for their time-out. */
function keepsOneFree({ hanging, othersMono, processing }: State, workers: number): (namespace: string) => boolean {
  const mono = performance.now();
  if (othersMono <= mono - HELD_BACK_MS) return () => false;
  for (const [namespace, untilMono] of hanging) if (untilMono <= mono) hanging.delete(namespace);
  const under = [...processing].filter((key) => hanging.has(namespaceOf(key))).length;
  return (namespace) => under >= Math.max(1, workers - 1) && hanging.has(namespace);
}

function namespaceOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf('/')));
}

/** Not at once: whoever adds is often inside a listener or a pass, and sockets must get their turn between passes. */
function schedule(state: State, pump: () => void): void {
  if (state.pumping || !state.running || state.line.size === 0) return;
  state.pumping = true;
  setImmediate(pump);
}

async function idleWithin(state: State, limitMs: number): Promise<void> {
  if (state.processing.size === 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  state.idle = resolve;
  await within(promise, limitMs);
  state.idle = undefined;
}

/**
 * Wakes keys at their time, the earliest told for each, with one timer for all of them. Built for tens of thousands of
 * keys that are mostly moved or removed before they are due: what was moved stays in the heap as a stale entry until it
 * surfaces. It keeps no order among keys that are due at one time.
 */
interface DueTimes {
  /** Keeps the earlier of this and what was told before. */
  add(key: string, atMs: number): void;
  remove(key: string): void;
  size(): number;
  clear(): void;
}

interface DueTimesOptions {
  now(): number;
  onDue(key: string): void;
}

/** A timer holds 24 days at most, and one of a paused process may be late: it is set anew at least this often. */
const LONGEST_NAP_MS = 30_000;
/** Below this many entries stale ones do not matter. */
const COMPACT_FROM = 1_024;

interface Due {
  key: string;
  atMs: number;
}

function createDueTimes(options: DueTimesOptions): DueTimes {
  const dueAt = new Map<string, number>();
  const heap = createHeap<Due>((left, right) => left.atMs < right.atMs);
  let timer: NodeJS.Timeout | undefined;
  let wakeAtMs = Infinity;

  const arm = () => {
    const earliestMs = heap.peek()?.atMs;
    if (earliestMs === undefined || earliestMs >= wakeAtMs) return;
    clearTimeout(timer);
    wakeAtMs = earliestMs;
    timer = setTimeout(fire, Math.min(LONGEST_NAP_MS, Math.max(1, earliestMs - options.now())));
  };
  const fire = () => {
    wakeAtMs = Infinity;
    const nowMs = options.now();
    for (let due = heap.peek(); due !== undefined && due.atMs <= nowMs; due = heap.peek()) {
      heap.pop();
      const { key, atMs } = due;
      if (dueAt.get(key) !== atMs) continue;
      dueAt.delete(key);
      options.onDue(key);
    }
    arm();
  };
  const compact = () => {
    if (heap.size < COMPACT_FROM || heap.size < 2 * dueAt.size) return;
    heap.clear();
    for (const [key, atMs] of dueAt) heap.push({ key, atMs });
  };

  return {
    add(key, atMs) {
      if ((dueAt.get(key) ?? Infinity) <= atMs) return;
      dueAt.set(key, atMs);
      heap.push({ key, atMs });
      compact();
      arm();
    },
    remove: (key) => {
      dueAt.delete(key);
    },
    size: () => dueAt.size,
    clear() {
      dueAt.clear();
      heap.clear();
      clearTimeout(timer);
      wakeAtMs = Infinity;
    },
  };
}
