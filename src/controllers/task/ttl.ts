/**
 * Deletes finished tasks when their time to live is over, without holding finished tasks: a heap of names, uids and
 * due times of those that are due within the hour, filled by own finishes, by tasks that left the watch (finished by
 * the sidecar, or deleted; only reading tells), and by a paged sweep. Before it deletes it reads the task, and it
 * deletes with preconditions: a task that was recreated or changed is left alone. Acts only while this process leads.
 * Which tasks are deleted, and when, is decided in `core/task/time-to-live.ts`.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { KubeClient } from '../../kube/client.ts';
import { pagesOf } from '../../kube/pages.ts';
import { pause } from '../../kube/pause.ts';
import type { Logger } from '../../ops/log.ts';
import { CAPTCHA_TASK } from '../../api/names.ts';
import { type Heap, createHeap } from '../../waiting/heap.ts';
import { dueTime, ttlSeconds } from '../../core/task/time-to-live.ts';

export interface TimeToLive {
  /** This task is finished. */
  finished(task: CaptchaTask): void;
  /** This task left the watch just now; it may have finished. */
  left(task: CaptchaTask): void;
  start(): void;
  stop(): Promise<void>;
}

export interface TimeToLiveOptions {
  client: Pick<KubeClient, 'execute' | 'list'>;
  namespaces: readonly string[] | undefined;
  /** Seconds; undefined: tasks without their own time are kept. */
  defaultTtlSeconds: number | undefined;
  now: () => number;
  mayAct: () => boolean;
  log: Logger;
  maxHeld?: number;
}

/** Only what is due this soon is held; a later sweep finds the rest. */
const HORIZON_MS = 3_600_000;
const MIN_SWEEP_GAP_MS = 5 * 60_000;
/** A few megabytes; a sweep finds what is left out. */
const MAX_HELD = 20_000;
/** A safety net for what was finished while nobody looked. */
const MAX_SWEEP_GAP_MS = 6 * 3_600_000;
/** The first sweep lets a start settle, and pages come slowly: deleting late costs nothing, load does. */
const FIRST_SWEEP_MS = 10_000;
/** Finished tasks may be a megabyte each. */
const PAGE_SIZE = 50;
const PAGE_PAUSE_MS = 50;
const TICK_MS = 1_000;
const RETRY_MS = 30_000;

interface Due {
  namespace: string;
  name: string;
  uid: string;
  at: number;
}

interface State {
  readonly options: TimeToLiveOptions;
  readonly heap: Heap<Due>;
  readonly held: Set<string>;
  nextSweepAt: number;
  ticker: NodeJS.Timeout | undefined;
  stopping: AbortController;
  working: Promise<void> | undefined;
}

export function createTimeToLive(options: TimeToLiveOptions): TimeToLive {
  const heap = createHeap<Due>((left, right) => left.at < right.at);
  const state: State = {
    options,
    heap,
    held: new Set(),
    nextSweepAt: -Infinity,
    ticker: undefined,
    stopping: new AbortController(),
    working: undefined,
  };
  return {
    finished: (task) => note(state, task, dueTime(task, options.defaultTtlSeconds)),
    left(task) {
      const seconds = ttlSeconds(task, options.defaultTtlSeconds);
      note(state, task, seconds === undefined ? undefined : options.now() + seconds * 1_000);
    },
    start() {
      state.nextSweepAt = options.now() + FIRST_SWEEP_MS;
      state.stopping = new AbortController();
      state.ticker ??= setInterval(() => tick(state), TICK_MS).unref();
    },
    async stop() {
      clearInterval(state.ticker);
      state.ticker = undefined;
      state.stopping.abort();
      state.heap.clear();
      state.held.clear();
      await state.working;
    },
  };
}

function note(state: State, { metadata: { namespace, name, uid } }: CaptchaTask, at: number | undefined): void {
  if (at === undefined || state.ticker === undefined || state.held.has(uid)) return;
  const isFar = at > state.options.now() + HORIZON_MS;
  if (isFar || state.heap.size >= (state.options.maxHeld ?? MAX_HELD)) {
    state.nextSweepAt = Math.min(state.nextSweepAt, isFar ? at - HORIZON_MS / 2 : at);
    return;
  }
  state.held.add(uid);
  state.heap.push({ namespace, name, uid, at });
}

function tick(state: State): void {
  if (state.working !== undefined || !state.options.mayAct()) return;
  const now = state.options.now();
  // A sweep further away than they ever are was planned before the wall clock was set back.
  const sweeps = now >= state.nextSweepAt || state.nextSweepAt - now > MAX_SWEEP_GAP_MS;
  // What a sweep found goes before the next sweep, however soon that is due: only deleting makes room.
  const work = sweeps ? sweep(state).then(() => deleteDue(state)) : deleteDue(state);
  state.working = work
    .catch((error: unknown) => state.options.log.error('Deleting finished tasks failed', { error }))
    .finally(() => (state.working = undefined));
}

async function deleteDue(state: State): Promise<void> {
  while (state.ticker !== undefined && state.options.mayAct()) {
    const due = state.heap.peek();
    if (due === undefined || due.at > state.options.now()) return;
    state.heap.pop();
    state.held.delete(due.uid);
    await deleteOne(state, due);
  }
}

async function deleteOne(state: State, due: Due): Promise<void> {
  const { client, defaultTtlSeconds, now, log } = state.options;
  const { namespace, name, uid } = due;
  const read = await client.execute({ verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' });
  if (!read.ok) {
    if (read.transient) retry(state, due);
    return;
  }
  const task = read.object as CaptchaTask;
  const at = task.metadata.uid === uid ? dueTime(task, defaultTtlSeconds) : undefined;
  if (at === undefined) return;
  if (at > now()) return note(state, task, at);
  const { resourceVersion } = task.metadata;
  const preconditions = { uid, resourceVersion };
  const reply = await client.execute({ verb: 'delete', resource: CAPTCHA_TASK, namespace, name, preconditions });
  if (reply.ok) log.debug('A finished task was deleted', { namespace, name, uid });
  else if (reply.status !== 404) retry(state, due);
}

function retry(state: State, due: Due): void {
  state.held.add(due.uid);
  state.heap.push({ ...due, at: state.options.now() + RETRY_MS });
}

/** Looks at every finished task, page by page; holds those due soon and remembers when to look again. */
async function sweep(state: State): Promise<void> {
  const startedAt = state.options.now();
  state.nextSweepAt = startedAt + MAX_SWEEP_GAP_MS;
  for (const namespace of state.options.namespaces ?? [undefined]) {
    for (const phase of ['Solved', 'Failed']) {
      // A namespace that may not be listed is passed over: it must not keep the others from being tidied.
      if ((await sweepOne(state, namespace, phase)) !== 'failed') continue;
      state.nextSweepAt = state.options.now() + RETRY_MS;
      return;
    }
  }
  state.nextSweepAt = Math.max(state.nextSweepAt, startedAt + MIN_SWEEP_GAP_MS);
}

type Swept = 'done' | 'refused' | 'failed';

async function sweepOne(state: State, namespace: string | undefined, phase: string): Promise<Swept> {
  const { client, defaultTtlSeconds, mayAct } = state.options;
  const { signal } = state.stopping;
  const pages = pagesOf(client, CAPTCHA_TASK, {
    query: { namespace, fieldSelector: `status.phase=${phase}` },
    pageSize: PAGE_SIZE,
    signal,
    sleep: (delayMs) => pause(delayMs, signal),
  });
  for await (const page of pages) {
    if (!page.ok) return page.transient ? 'failed' : 'refused';
    for (const item of page.items) {
      const task = item as unknown as CaptchaTask;
      note(state, task, dueTime(task, defaultTtlSeconds));
    }
    if (page.continue !== undefined) await pause(PAGE_PAUSE_MS, signal);
    if (signal.aborted || !mayAct()) return 'failed';
  }
  return 'done';
}
