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
 *   Broken: the same, but it counts as an interruption, and waits.
 * - Back to *listing*, where events may have been missed: 410, an ERROR event, a bookmark older than what is known (the
 *   storage was put back), and a watch that ends, however it ends, when nothing was heard for a while. Objects that
 *   are gone are reported as deleted.
 * Never deaf: an answer to a watch proves nothing (a proxy may hold the events back, and a server whose storage was put
 * back sends none), so only events, bookmarks and pages count as heard. A watch that may be resumed was heard 15 s ago
 * at most and ends as silent after 70 s: at the latest 85 s after the last sign of life everything is listed.
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

/** Which watch it is about. */
export interface Subject {
  resource: string;
  namespace: string | undefined;
}

export interface ReflectorHooks {
  onRestart?(restart: Subject & { cause: RestartCause }): void;
  /** The first failure in a row, and the first refusal (403, 404) after others. */
  onUnavailable?(trouble: Subject & Trouble): void;
  /** Watching again after `onUnavailable`. */
  onAvailable?(recovery: Subject): void;
  /** Something was passed over: an object that cannot be projected, a listener that threw, an event nobody knows. */
  onFault?(fault: Subject & { error: unknown }): void;
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
  /** Undefined: all of them. */
  readonly namespace: string | undefined;
  /** The first list is in the store. Never rejects. */
  synced: Promise<void>;
  /** Monotonic instant when an event, a bookmark or a page came last: proof that the store follows. */
  lastActivityMs(): number;
  /** Monotonic instant when a watch last told something, be it a bookmark; before the first one, of the start. */
  lastEventMs(): number;
  /** Monotonic instant of the last answer of the server, a refusal or the mere opening of a watch included. */
  lastAnswerMs(): number;
  /**
   * Monotonic instant since when it has followed without interruption; undefined while it does not, and until a watch
   * has told something.
   */
  watchingSinceMs(): number | undefined;
  /** The last failure, until a watch has told something again; `status` is 0 where no answer came. */
  trouble(): Trouble | undefined;
  stop(): Promise<void>;
}

export interface Trouble {
  status: number;
  reason: string;
}

const SILENCE_MS = 70_000;
const PAGE_SIZE = 500;
/**
 * What was not heard of for this long when its watch ends is listed, not resumed. The server sends a bookmark 2 s
 * before it ends a watch, so watches that it ends are resumed.
 */
const RESUMABLE_MS = 15_000;
/** A watch that told something and lived this long was a good one. */
const HEALTHY_MS = 60_000;
const SHORT_LIFE_MS = 1_000;
const LONGEST_RETRY_AFTER_MS = 30_000;

interface Run {
  options: ReflectorOptions;
  clock: ReflectorClock;
  signal: AbortSignal;
  scope: string;
  backoff: (failures: number) => number;
  /** From where to watch; undefined: a list is needed. */
  version: number | undefined;
  failures: number;
  /** After an ERROR event: events come, but do not show that this watch will last. */
  errorSeen: boolean;
  shortLives: number;
  lastEventMs: number;
  lastActivityMs: number;
  lastAnswerMs: number;
  watchingSinceMs: number | undefined;
  trouble: Trouble | undefined;
  oddities: Set<string>;
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
    errorSeen: false,
    shortLives: 0,
    lastEventMs: clock.monotonicMs(),
    lastActivityMs: clock.monotonicMs(),
    lastAnswerMs: clock.monotonicMs(),
    watchingSinceMs: undefined,
    trouble: undefined,
    oddities: new Set(),
  };
  const synced = Promise.withResolvers<void>();
  const ended = follow(run, () => synced.resolve());
  return {
    namespace: options.namespace,
    synced: synced.promise,
    lastEventMs: () => run.lastEventMs,
    lastActivityMs: () => run.lastActivityMs,
    lastAnswerMs: () => run.lastAnswerMs,
    watchingSinceMs: () => run.watchingSinceMs,
    trouble: () => run.trouble,
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

/** Fills the store from a complete list. Returns what went wrong, or undefined. */
async function listAll(run: Run): Promise<Trouble | undefined> {
  const { client, resource, namespace, fieldSelector, store, pageSize = PAGE_SIZE } = run.options;
  let at: number | undefined;
  let next: string | undefined;
  do {
    const query = { namespace, fieldSelector, limit: pageSize, continue: next, signal: run.signal };
    const page: ListReply = await client.list(resource, query);
    // What waited too long for its turn was never sent: that is no silence of the server.
    if (page.ok || page.status !== 0 || !page.sent) answered(run);
    if (!page.ok) return page;
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
    onAnswer: () => answered(run),
    onEvent: (type, object) => {
      events++;
      heard(run);
      return take(run, type, object);
    },
    onOddity: (what) => passOver(run, what),
  });
  await afterWatch(run, end, { events, lifeMs: run.clock.monotonicMs() - sinceMs });
}

function answered(run: Run): void {
  run.lastAnswerMs = run.clock.monotonicMs();
}

/** The watch told something: it works. */
function heard(run: Run): void {
  const nowMs = run.clock.monotonicMs();
  run.lastEventMs = nowMs;
  run.lastActivityMs = nowMs;
  run.watchingSinceMs ??= nowMs;
  if (!run.errorSeen) run.failures = 0;
  if (run.trouble === undefined) return;
  run.trouble = undefined;
  run.options.hooks?.onAvailable?.(subject(run));
}

function take(run: Run, type: WatchEventType, object: KubeObject): 'distrust' | void {
  const { feed } = run.options.store;
  const version = versionOf(object);
  if (version < (run.version ?? -1)) {
    // Events of one watch come in order, so an older one is a repetition. It could bring back what is deleted. A
    // bookmark is never repeated: this server does not know what we know.
    return type === 'BOOKMARK' ? 'distrust' : undefined;
  }
  run.version = version;
  if (type === 'BOOKMARK') return feed.settled(run.scope, version);
  guard(run, () => (type === 'DELETED' ? feed.remove(object) : feed.upsert(object)));
  return feed.passed(run.scope, version);
}

/** How many events a watch told, and how long it was open. */
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
  if (mayHaveMissed(run, end)) run.version = undefined;
  if (end.kind === 'failed') {
    run.errorSeen ||= end.mustList === true;
    await waitAfterFailure(run, end.failure, end.retryAfterMs);
    return;
  }
  run.shortLives = wasShort(life) ? run.shortLives + 1 : 0;
  // The first short life may be chance: the server's own time limit, or its restart.
  if (run.shortLives > 1) await run.clock.sleep(run.backoff(run.shortLives - 1), run.signal);
}

function forgetFailures(run: Run): void {
  run.failures = 0;
  run.errorSeen = false;
}

function mayHaveMissed(run: Run, end: WatchEnd): boolean {
  if (end.kind === 'expired' || end.kind === 'silent') return true;
  if (end.kind === 'failed' && end.mustList === true) return true;
  return run.clock.monotonicMs() - run.lastActivityMs > RESUMABLE_MS;
}

function noteRestart(run: Run, cause: RestartCause): void {
  run.options.hooks?.onRestart?.({ ...subject(run), cause });
  if (cause !== 'ended') run.watchingSinceMs = undefined;
}

async function waitAfterFailure(run: Run, { status, reason }: Trouble, atLeastMs = 0): Promise<void> {
  run.watchingSinceMs = undefined;
  run.failures++;
  if (run.signal.aborted) return;
  const isNews = run.trouble === undefined || (isRefusal(status) && !isRefusal(run.trouble.status));
  run.trouble = { status, reason };
  if (isNews) run.options.hooks?.onUnavailable?.({ ...subject(run), ...run.trouble });
  const waitMs = Math.max(run.backoff(run.failures), Math.min(atLeastMs, LONGEST_RETRY_AFTER_MS));
  await run.clock.sleep(waitMs, run.signal);
}

/** Whoever gives rights or installs CRDs must act. */
function isRefusal(status: number): boolean {
  return status === 403 || status === 404;
}

function subject({ options }: Run): Subject {
  return { resource: options.resource.plural, namespace: options.namespace };
}

/** What a newer server may send; said once. */
function passOver(run: Run, what: string): void {
  if (run.oddities.has(what)) return;
  run.oddities.add(what);
  run.options.hooks?.onFault?.({ ...subject(run), error: new Error(what) });
}

/** A bug in a projection or a listener costs one object, not the watch. */
function guard(run: Run, step: () => void): void {
  try {
    step();
  } catch (error) {
    run.options.hooks?.onFault?.({ ...subject(run), error });
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
