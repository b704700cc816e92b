/**
 * Keeps a store equal to a selection of objects: lists, watches from there, and resumes for ever. It never
 * stops by itself and decides nothing about the objects. Several reflectors, one a namespace, may feed one store.
 *
 * Its states, and what leads out of each:
 * - *listing*: a watch that begins with every object there is and then goes on (a streamed list): one object at a time
 *   in memory, one read on the server. Where that does not work, pages from a hundred objects down (`pages.ts`), then
 *   *watching* from their resourceVersion. An error waits (jittered, at most 30 s).
 * - *watching*: events move the resourceVersion on. Ended by the server (it does so every few minutes, and to readers
 *   that lag): watch again at once from there; nothing was missed. Only watches that end right after they began wait.
 *   Broken: the same, but it counts as an interruption, and waits.
 * - Back to *listing*, where it was asked to (`relist`), and where events may have been missed: 410, an ERROR event, a
 *   bookmark older than what is known (the storage was put back), and a watch that ends, however it ends, when nothing
 *   was heard for a while. Objects that are gone are reported as deleted.
 * Never deaf: an answer to a watch proves nothing (a proxy may hold the events back, and a server whose storage was put
 * back sends none), so only events, bookmarks and pages count as heard. A watch that may be resumed was heard 15 s ago
 * at most and ends as silent after 70 s: at the latest 85 s after the last sign of life everything is listed.
 * Sources: "Efficient detection of changes" and "Retrieving large results sets in chunks", Kubernetes API concepts.
 */
import { exponentialBackoff } from '../waiting/backoff.ts';
import type { ListFailure } from './client.ts';
import { isUnknownHere } from './list-lane.ts';
import { pagesOf } from './pages.ts';
import {
  answered,
  askForList,
  forgetFailures,
  guard,
  heard,
  noneAsked,
  noteRestart,
  passOver,
  waitAfterFailure,
} from './reflector-run.ts';
import type { ReflectorClock, ReflectorOptions, Run, Trouble } from './reflector-run.ts';
import { pause } from './pause.ts';
import { versionOf } from './types.ts';
import type { KubeObject } from './types.ts';
import type { WatchEnd, WatchEventType } from './watch.ts';

export type { ReflectorClock, ReflectorHooks, ReflectorOptions, Trouble } from './reflector-run.ts';

export interface Reflector {
  /** Undefined: all of them. */
  readonly namespace: string | undefined;
  /** The first list is in the store. Never rejects. */
  synced: Promise<void>;
  /** Monotonic instant when an event, a bookmark or a page came last: proof that the store follows. */
  lastActivityMs(): number;
  /** Monotonic instant when a watch last told something, be it a bookmark; before the first one, of the start. */
  lastEventMs(): number;
  /**
   * Monotonic instant of the last answer of the server, a refusal or the mere opening of a watch included; now while
   * it waits for others that list, for nobody was asked.
   */
  lastAnswerMs(): number;
  /**
   * Monotonic instant since when it has followed without interruption; undefined while it does not, and until a watch
   * has told something.
   */
  watchingSinceMs(): number | undefined;
  /** The last failure, until a watch has told something again; `status` is 0 where no answer came. */
  trouble(): Trouble | undefined;
  /** The resourceVersion up to which it has told everything; -1 before the first list. */
  reached(): number;
  /** Lists anew; resolves when a list that began after this call is in the store. Follows on without interruption. */
  relist(): Promise<void>;
  stop(): Promise<void>;
}

const SILENCE_MS = 70_000;
const PAGE_SIZE = 100;
/**
 * What was not heard of for this long when its watch ends is listed, not resumed. The server sends a bookmark 2 s
 * before it ends a watch, so watches that it ends are resumed.
 */
const RESUMABLE_MS = 15_000;
/** A watch that told something and lived this long was a good one. */
const HEALTHY_MS = 60_000;
const SHORT_LIFE_MS = 1_000;

export function startReflector(options: ReflectorOptions): Reflector {
  const stopping = new AbortController();
  const clock = options.clock ?? REAL_CLOCK;
  const synced = Promise.withResolvers<void>();
  const run: Run = {
    options,
    clock,
    signal: stopping.signal,
    scope: options.namespace ?? '',
    backoff: exponentialBackoff({ baseMs: 500, maxMs: 30_000, jitter: 0.3, random: () => clock.random() }),
    version: undefined,
    reached: -1,
    pagesNext: false,
    onListed: () => synced.resolve(),
    ...noneAsked(),
    failures: 0,
    errorSeen: false,
    shortLives: 0,
    lastEventMs: clock.monotonicMs(),
    lastActivityMs: clock.monotonicMs(),
    lastAnswerMs: clock.monotonicMs(),
    waitsForTurn: false,
    watchingSinceMs: undefined,
    trouble: undefined,
    refusals: undefined,
    oddities: new Set(),
  };
  const ended = follow(run);
  return {
    namespace: options.namespace,
    synced: synced.promise,
    lastEventMs: () => run.lastEventMs,
    lastActivityMs: () => run.lastActivityMs,
    lastAnswerMs: () => (run.waitsForTurn ? clock.monotonicMs() : run.lastAnswerMs),
    watchingSinceMs: () => run.watchingSinceMs,
    trouble: () => run.trouble,
    reached: () => run.reached,
    relist: () => askForList(run),
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

async function follow(run: Run): Promise<void> {
  const { client } = run.options;
  while (!run.signal.aborted) {
    run.round = new AbortController();
    if (run.asked.length > 0) run.version = undefined;
    run.answers = run.asked.length;
    if (run.version !== undefined || (!run.pagesNext && client.streamsLists())) await watchOnce(run);
    else await listInPages(run);
  }
  run.watchingSinceMs = undefined;
}

async function listInPages(run: Run): Promise<void> {
  const failure = await readPages(run);
  run.pagesNext = false;
  if (failure !== undefined && !run.round.signal.aborted) await waitAfterFailure(run, failure, failure.retryAfterMs);
}

/** Fills the store from a complete list. Returns what went wrong, or undefined. */
async function readPages(run: Run): Promise<ListFailure | undefined> {
  const { clock, scope } = run;
  const signal = AbortSignal.any([run.signal, run.round.signal]);
  const { client, resource, namespace, fieldSelector, labelSelector, store, pageSize = PAGE_SIZE } = run.options;
  const pages = pagesOf(client, resource, {
    query: { namespace, fieldSelector, labelSelector },
    pageSize,
    signal,
    sleep: (delayMs) => clock.sleep(delayMs, signal),
    random: () => clock.random(),
    onTurn: (isOurs) => {
      run.waitsForTurn = !isOurs;
    },
    onReply: (reply) => (reply.ok || reply.status !== 0) && answered(run),
  });
  let at: number | undefined;
  for await (const page of pages) {
    if (!page.ok) return page;
    run.lastActivityMs = clock.monotonicMs();
    if (at === undefined) {
      // The version of the first page: what changed while the others were read is told by the watch from there.
      at = Number(page.resourceVersion);
      store.feed.beginReplace(scope, at);
    }
    for (const item of page.items) guard(run, () => store.feed.upsert(item));
  }
  if (at !== undefined) listed(run, at);
  return undefined;
}

function listed(run: Run, at: number): void {
  guard(run, () => run.options.store.feed.endReplace(run.scope, at));
  run.version = at;
  run.reached = at;
  run.onListed();
  for (const answer of run.asked.splice(0, run.answers)) answer();
}

/** One watch, from the version that was reached or, without one, beginning with a list. */
async function watchOnce(run: Run): Promise<void> {
  const {
    client,
    resource,
    namespace,
    fieldSelector,
    labelSelector,
    store,
    silenceMs = SILENCE_MS,
    listing,
  } = run.options;
  const sinceMs = run.clock.monotonicMs();
  const beginning =
    run.version === undefined ? { sendInitialEvents: true as const } : { resourceVersion: String(run.version) };
  if (run.version === undefined) store.feed.beginReplace(run.scope);
  let events = 0;
  let isOpen = false;
  const end = await client.watch(resource, {
    namespace,
    fieldSelector,
    labelSelector,
    ...beginning,
    // Spread, so that many watches opened at one time do not end at one time.
    timeoutSeconds: Math.round(300 + 300 * run.clock.random()),
    silenceMs,
    listing,
    signal: AbortSignal.any([run.signal, run.round.signal]),
    onTurn: (isOurs) => {
      run.waitsForTurn = !isOurs;
    },
    onAnswer: (status) => {
      answered(run);
      isOpen = status === 200;
    },
    onEvent: (type, object) => {
      if (run.version === undefined) return takeListed(run, type, object);
      events++;
      return takeWatched(run, run.version, { type, object });
    },
    onOddity: (what) => passOver(run, what),
  });
  if (run.version === undefined) await afterUnfinishedList(run, end, isOpen);
  else await afterWatch(run, end, { events, lifeMs: run.clock.monotonicMs() - sinceMs });
}

/** Of a streamed list: objects come in no order of versions, with what happens meanwhile among them. */
function takeListed(run: Run, type: WatchEventType, object: KubeObject): 'distrust' | void {
  const { feed } = run.options.store;
  run.lastActivityMs = run.clock.monotonicMs();
  run.lastEventMs = run.lastActivityMs;
  if (type === 'BOOKMARK') return;
  if (type !== 'LISTED') return guard(run, () => (type === 'DELETED' ? feed.remove(object) : feed.upsert(object)));
  const at = versionOf(object);
  // The storage was put back: what is known is newer than what was listed, which therefore changed nothing. Pages say
  // their version before their objects.
  if (at < run.reached) return 'distrust';
  listed(run, at);
  return heard(run);
}

/** Pages are tried where it may be the streaming that does not work, and without a word. */
async function afterUnfinishedList(run: Run, end: WatchEnd, isOpen: boolean): Promise<void> {
  if (end.kind === 'stopped') return;
  run.pagesNext = true;
  if (end.kind !== 'failed' || isOpen || isUnknownHere(end.failure.status)) return;
  await waitAfterFailure(run, end.failure, end.retryAfterMs);
}

function takeWatched(
  run: Run,
  since: number,
  { type, object }: { type: WatchEventType; object: KubeObject },
): 'distrust' | void {
  const { feed } = run.options.store;
  const version = versionOf(object);
  heard(run);
  if (version < since) {
    // Events of one watch come in order, so an older one is a repetition. It could bring back what is deleted. A
    // bookmark is never repeated: this server does not know what we know.
    return type === 'BOOKMARK' ? 'distrust' : undefined;
  }
  run.version = version;
  run.reached = version;
  if (type === 'BOOKMARK') return feed.settled(run.scope, version);
  guard(run, () => (type === 'DELETED' ? feed.remove(object) : feed.upsert(object)));
  return feed.passed(run.scope, version);
}

/** How many events a watch told, the objects of a list aside, and how long it was open. */
interface Life {
  events: number;
  lifeMs: number;
}

/** It was not worth opening. */
const wasShort = ({ events, lifeMs }: Life): boolean => events === 0 && lifeMs < SHORT_LIFE_MS;

async function afterWatch(run: Run, end: WatchEnd, life: Life): Promise<void> {
  if (end.kind === 'stopped') return;
  if (life.events > 0 && life.lifeMs >= HEALTHY_MS) forgetFailures(run);
  noteRestart(run, end.kind === 'failed' ? 'error' : end.kind);
  if (mayHaveMissed(run, end)) {
    run.version = undefined;
    run.watchingSinceMs = undefined;
  }
  if (end.kind === 'failed') {
    run.errorSeen ||= end.mustList === true;
    await waitAfterFailure(run, end.failure, end.retryAfterMs);
    return;
  }
  run.shortLives = wasShort(life) ? run.shortLives + 1 : 0;
  // The first short life may be chance: the server's own time limit, or its restart.
  if (run.shortLives > 1) await run.clock.sleep(run.backoff(run.shortLives - 1), run.signal);
}

function mayHaveMissed(run: Run, end: WatchEnd): boolean {
  if (end.kind === 'expired' || end.kind === 'silent') return true;
  if (end.kind === 'failed' && end.mustList === true) return true;
  return run.clock.monotonicMs() - run.lastActivityMs > RESUMABLE_MS;
}

const REAL_CLOCK: ReflectorClock = { monotonicMs: () => performance.now(), random: Math.random, sleep: pause };
