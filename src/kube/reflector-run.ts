/**
 * What one reflector knows of its server, moment by moment, and what it says about it: signs of life, failures in a
 * row, interruptions, trouble that people should hear of. It moves no data and opens nothing. For `reflector.ts`.
 */
import type { KubeClient } from './client.ts';
import type { StoreFeed } from './store.ts';
import type { Resource } from './types.ts';
import type { WatchOptions } from './watch.ts';

/** `ended`: resumed without a gap. The others interrupt. */
export type RestartCause = 'ended' | 'expired' | 'silent' | 'error';

/** Which watch it is about. */
export interface Subject {
  resource: string;
  namespace: string | undefined;
}

export interface ReflectorHooks {
  onRestart?(restart: Subject & { cause: RestartCause }): void;
  /** The first failure in a row; again where it turns out to be a refusal (403, 404). */
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
  sleep(delayMs: number, signal: AbortSignal): Promise<unknown>;
  random(): number;
}

export interface ReflectorOptions {
  client: Pick<KubeClient, 'list' | 'watch' | 'streamsLists'>;
  resource: Resource;
  /** All namespaces where absent. */
  namespace?: string | undefined;
  fieldSelector?: string | undefined;
  labelSelector?: string | undefined;
  store: { feed: StoreFeed };
  hooks?: ReflectorHooks;
  clock?: ReflectorClock;
  /** 70 s: bookmarks come about every minute. */
  silenceMs?: number;
  /** The limits of a streamed list; 10 s of silence and 60 s in all. */
  listing?: WatchOptions['listing'];
  /** Of lists that are not streamed: 100, less where that is too large. */
  pageSize?: number;
}

export interface Trouble {
  status: number;
  reason: string;
}

const LONGEST_RETRY_AFTER_MS = 30_000;
export interface Run {
  options: ReflectorOptions;
  clock: ReflectorClock;
  signal: AbortSignal;
  scope: string;
  backoff: (failures: number) => number;
  /** From where to watch; undefined: a list is needed. */
  version: number | undefined;
  /** The last version that the store was told of. */
  reached: number;
  /** A streamed list did not work out: pages next. */
  pagesNext: boolean;
  onListed(): void;
  /** Ends the list or watch that is under way. */
  round: AbortController;
  /** Who asked for a new list; the first `answers` of them before the one that is under way began. */
  asked: (() => void)[];
  answers: number;
  failures: number;
  /** After an ERROR event: events come, but do not show that this watch will last. */
  errorSeen: boolean;
  shortLives: number;
  lastEventMs: number;
  lastActivityMs: number;
  lastAnswerMs: number;
  /** In the lane of lists: nobody was asked yet. */
  waitsForTurn: boolean;
  watchingSinceMs: number | undefined;
  trouble: Trouble | undefined;
  /** In a row, of the trouble that is told as something else; undefined where it was told as a refusal. */
  refusals: number | undefined;
  oddities: Set<string>;
}

export function noneAsked(): Pick<Run, 'round' | 'asked' | 'answers'> {
  return { round: new AbortController(), asked: [], answers: 0 };
}

/** Ends what is under way; the next list that is complete is the answer, unless somebody asks again meanwhile. */
export function askForList(run: Run): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  run.asked.push(resolve);
  run.round.abort();
  return promise;
}

export function answered(run: Run): void {
  run.lastAnswerMs = run.clock.monotonicMs();
}

/** The watch told something: it works. */
export function heard(run: Run): void {
  const nowMs = run.clock.monotonicMs();
  run.lastEventMs = nowMs;
  run.lastActivityMs = nowMs;
  run.watchingSinceMs ??= nowMs;
  if (!run.errorSeen) run.failures = 0;
  if (run.trouble === undefined) return;
  run.trouble = undefined;
  run.options.hooks?.onAvailable?.(subject(run));
}

export function forgetFailures(run: Run): void {
  run.failures = 0;
  run.errorSeen = false;
}

export function noteRestart(run: Run, cause: RestartCause): void {
  run.options.hooks?.onRestart?.({ ...subject(run), cause });
  if (cause !== 'ended') run.watchingSinceMs = undefined;
}

export async function waitAfterFailure(run: Run, { status, reason }: Trouble, atLeastMs = 0): Promise<void> {
  run.watchingSinceMs = undefined;
  run.failures++;
  if (run.signal.aborted) return;
  const isNews = run.trouble === undefined ? begins(run, status) : turnsOutRefused(run, status);
  run.trouble = { status, reason };
  if (isNews) run.options.hooks?.onUnavailable?.({ ...subject(run), ...run.trouble });
  const waitMs = Math.max(run.backoff(run.failures), Math.min(atLeastMs, LONGEST_RETRY_AFTER_MS));
  await run.clock.sleep(waitMs, run.signal);
}

function begins(run: Run, status: number): true {
  run.refusals = isRefusal(status) ? undefined : 0;
  return true;
}

/** A server that comes back refuses everybody for a moment, until it has loaded its rules. */
const REFUSALS_BELIEVED = 3;

function turnsOutRefused(run: Run, status: number): boolean {
  if (run.refusals === undefined) return false;
  run.refusals = isRefusal(status) ? run.refusals + 1 : 0;
  if (run.refusals < REFUSALS_BELIEVED) return false;
  run.refusals = undefined;
  return true;
}

/** Whoever gives rights or installs CRDs must act. */
function isRefusal(status: number): boolean {
  return status === 403 || status === 404;
}

function subject({ options }: Run): Subject {
  return { resource: options.resource.plural, namespace: options.namespace };
}

/** What a newer server may send; said once. */
export function passOver(run: Run, what: string): void {
  if (run.oddities.has(what)) return;
  run.oddities.add(what);
  run.options.hooks?.onFault?.({ ...subject(run), error: new Error(what) });
}

/** A bug in a projection or a listener costs one object, not the watch. */
export function guard(run: Run, step: () => void): void {
  try {
    step();
  } catch (error) {
    run.options.hooks?.onFault?.({ ...subject(run), error });
  }
}
