/**
 * Keeps a store equal to a selection of objects: lists in pages, watches from there, and resumes for ever. It never
 * stops by itself and decides nothing about the objects. Called by the wiring of the controllers; several reflectors,
 * one a namespace, may feed one store.
 *
 * Its states, and what leads out of each:
 * - *listing*: pages of 500, then *watching* from the list's resourceVersion. An error waits (jittered, at most 30 s).
 *   Pages, and not one streamed list, because pages work on every server, bound the memory of both sides, and a page
 *   that failed costs a page.
 * - *watching*: events move the resourceVersion on. Ended by the server (it does so every few minutes, and to readers
 *   that lag): watch again at once from there; nothing was missed. Only watches that end right after they began wait.
 * - Silent for 70 s, or broken: the same, but it counts as an interruption, and errors wait.
 * - 410, or many failures to watch in a row: *listing*; objects that are gone are reported as deleted.
 * Sources: "Efficient detection of changes" and "Retrieving large results sets in chunks", Kubernetes API concepts.
 */
import { exponentialBackoff } from './backoff.ts';
import type { KubeClient, ListReply } from './client.ts';
import type { StoreFeed } from './store.ts';
import { versionOf } from './types.ts';
import type { KubeObject, Resource } from './types.ts';
import type { WatchEnd, WatchEventType } from './watch.ts';

/** `ended`: resumed without a gap. The others interrupt. */
export type RestartCause = 'ended' | 'expired' | 'silent' | 'error';

export interface ReflectorHooks {
  onRestart?(restart: { resource: string; cause: RestartCause }): void;
  /** The first failure in a row; `message` is a reason and a status, for a log line. */
  onUnavailable?(trouble: { resource: string; message: string }): void;
  /** Watching again after `onUnavailable`. */
  onAvailable?(recovery: { resource: string }): void;
  /** An object could not be projected, or a listener threw: a bug. The object is passed over. */
  onFault?(fault: { resource: string; error: unknown }): void;
}

/** Time and chance, for tests. */
export interface ReflectorClock {
  monotonicMs(): number;
  /** Resolves after the delay, or at once when the signal aborts. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>;
  random(): number;
}

export interface ReflectorOptions {
  client: Pick<KubeClient, 'list' | 'watch'>;
  resource: Resource;
  /** All namespaces where absent. */
  namespace?: string | undefined;
  fieldSelector?: string | undefined;
  store: { feed: StoreFeed };
  hooks?: ReflectorHooks;
  clock?: ReflectorClock;
  /** 70 s: bookmarks come about every minute. */
  silenceMs?: number;
  pageSize?: number;
}

export interface Reflector {
  /** The first list is in the store. Never rejects. */
  synced: Promise<void>;
  /** Monotonic instant of the last sign of life of the server. */
  lastActivityMs(): number;
  /** Monotonic instant since when it has watched without interruption; undefined while it does not. */
  watchingSinceMs(): number | undefined;
  stop(): Promise<void>;
}

const SILENCE_MS = 70_000;
const PAGE_SIZE = 500;
/** After so many failures in a row to open a watch, only a list can tell whether the version is still known. */
const FAILURES_UNTIL_RELIST = 5;
/** A watch that lived shorter than this without an event was not worth opening. */
const SHORT_LIFE_MS = 1_000;

interface Run {
  options: ReflectorOptions;
  clock: ReflectorClock;
  signal: AbortSignal;
  scope: string;
  backoff: (failures: number) => number;
  /** From where to watch; undefined: a list is needed. */
  version: number | undefined;
  failures: number;
  shortLives: number;
  lastActivityMs: number;
  watchingSinceMs: number | undefined;
  unavailable: boolean;
}

export function startReflector(options: ReflectorOptions): Reflector {
  const stopping = new AbortController();
  const clock = options.clock ?? REAL_CLOCK;
  const run: Run = {
    options,
    clock,
    signal: stopping.signal,
    scope: options.namespace ?? '',
    backoff: exponentialBackoff({ baseMs: 500, maxMs: 30_000, jitter: 0.3, random: () => clock.random() }),
    version: undefined,
    failures: 0,
    shortLives: 0,
    lastActivityMs: clock.monotonicMs(),
    watchingSinceMs: undefined,
    unavailable: false,
  };
  const synced = Promise.withResolvers<void>();
  const ended = follow(run, () => synced.resolve());
  return {
    synced: synced.promise,
    lastActivityMs: () => run.lastActivityMs,
    watchingSinceMs: () => run.watchingSinceMs,
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

async function follow(run: Run, onSynced: () => void): Promise<void> {
  while (!run.signal.aborted) {
    if (run.version === undefined) {
      const failure = await listAll(run);
      if (failure === undefined) onSynced();
      else await waitAfterFailure(run, failure);
    } else {
      await watchOnce(run, run.version);
    }
  }
  run.watchingSinceMs = undefined;
}

/** Fills the store from a complete list. Returns what went wrong, in a word, or undefined. */
async function listAll(run: Run): Promise<string | undefined> {
  const { client, resource, namespace, fieldSelector, store, pageSize = PAGE_SIZE } = run.options;
  let at: number | undefined;
  let next: string | undefined;
  do {
    const query = { namespace, fieldSelector, limit: pageSize, continue: next, signal: run.signal };
    const page: ListReply = await client.list(resource, query);
    if (!page.ok) return `${page.reason} (${page.status})`;
    run.lastActivityMs = run.clock.monotonicMs();
    if (at === undefined) {
      at = Number(page.resourceVersion);
      store.feed.beginReplace(run.scope, at);
    }
    for (const item of page.items) guard(run, () => store.feed.upsert(item));
    next = page.continue;
  } while (next !== undefined);
  guard(run, () => store.feed.endReplace(run.scope, at));
  run.version = at;
  return undefined;
}

async function watchOnce(run: Run, fromVersion: number): Promise<void> {
  const { client, resource, namespace, fieldSelector, silenceMs = SILENCE_MS } = run.options;
  const sinceMs = run.clock.monotonicMs();
  let events = 0;
  const end = await client.watch(resource, {
    namespace,
    fieldSelector,
    resourceVersion: String(fromVersion),
    // Spread, so that many watches opened at one time do not end at one time.
    timeoutSeconds: Math.round(300 + 300 * run.clock.random()),
    silenceMs,
    signal: run.signal,
    onOpen: () => opened(run),
    onActivity: () => {
      run.lastActivityMs = run.clock.monotonicMs();
    },
    onEvent: (type, object) => {
      events++;
      take(run, type, object);
    },
  });
  const wasShort = events === 0 && run.clock.monotonicMs() - sinceMs < SHORT_LIFE_MS;
  await afterWatch(run, end, wasShort);
}

function opened(run: Run): void {
  const nowMs = run.clock.monotonicMs();
  run.lastActivityMs = nowMs;
  run.watchingSinceMs ??= nowMs;
  run.failures = 0;
  if (!run.unavailable) return;
  run.unavailable = false;
  run.options.hooks?.onAvailable?.({ resource: run.options.resource.plural });
}

function take(run: Run, type: WatchEventType, object: KubeObject): void {
  const { feed } = run.options.store;
  const version = versionOf(object);
  // Events of one watch come in order, so an older one is a repetition. It could bring back what is deleted.
  if (version < (run.version ?? -1)) return;
  run.version = version;
  if (type === 'BOOKMARK') return feed.settled(run.scope, version);
  guard(run, () => (type === 'DELETED' ? feed.remove(object) : feed.upsert(object)));
  return feed.passed(run.scope, version);
}

async function afterWatch(run: Run, end: WatchEnd, wasShort: boolean): Promise<void> {
  if (end.kind === 'stopped') return;
  noteRestart(run, end.kind === 'failed' ? 'error' : end.kind);
  if (end.kind === 'failed') {
    if (run.failures + 1 >= FAILURES_UNTIL_RELIST) run.version = undefined;
    await waitAfterFailure(run, `${end.failure.reason} (${end.failure.status})`, end.retryAfterMs);
    return;
  }
  if (end.kind === 'expired') run.version = undefined;
  run.shortLives = wasShort ? run.shortLives + 1 : 0;
  // The first short life may be chance: the server's own time limit, or its restart.
  if (run.shortLives > 1) await run.clock.sleep(run.backoff(run.shortLives - 1), run.signal);
}

function noteRestart(run: Run, cause: RestartCause): void {
  run.options.hooks?.onRestart?.({ resource: run.options.resource.plural, cause });
  if (cause !== 'ended') run.watchingSinceMs = undefined;
}

async function waitAfterFailure(run: Run, message: string, atLeastMs = 0): Promise<void> {
  run.watchingSinceMs = undefined;
  run.failures++;
  if (run.signal.aborted) return;
  if (!run.unavailable) {
    run.unavailable = true;
    run.options.hooks?.onUnavailable?.({ resource: run.options.resource.plural, message });
  }
  await run.clock.sleep(Math.max(run.backoff(run.failures), Math.min(atLeastMs, 30_000)), run.signal);
}

/** A bug in a projection or a listener costs one object, not the watch. */
function guard(run: Run, step: () => void): void {
  try {
    step();
  } catch (error) {
    run.options.hooks?.onFault?.({ resource: run.options.resource.plural, error });
  }
}

const REAL_CLOCK: ReflectorClock = {
  monotonicMs: () => performance.now(),
  random: Math.random,
  sleep: (delayMs, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const finish = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, delayMs);
      return signal.addEventListener('abort', finish, { once: true });
    }),
};
