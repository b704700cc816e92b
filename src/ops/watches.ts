/**
 * What is told of the operator's watches: one line in the log when one fails and when it is back, gauges, the text of
 * `/readyz`. A namespace that may not be watched (no right to it, or no CRD) is named in the log and in `/readyz`;
 * metrics only count it. Judges nothing about tasks.
 */
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { WATCHED } from './metrics/labels.ts';

export type Watched = (typeof WATCHED)[number];

/** One watch; instants are monotonic milliseconds. */
export interface WatchView {
  /** Undefined: all namespaces at once. */
  readonly namespace: string | undefined;
  /** When it last told something, be it a bookmark. */
  lastEventMs(): number;
  /** The same, or a page of a list. */
  lastActivityMs(): number;
  /** When the server last answered, whatever it was. */
  lastAnswerMs(): number;
  /** Why it is not watched now; `status` is 0 where no answer came. */
  trouble(): WatchTrouble | undefined;
}

export interface WatchTrouble {
  status: number;
  reason: string;
}

export type Watches = () => readonly (WatchView & { resource: Watched })[];

/** The server says that this may not be watched, or is not there: no restart and no waiting helps. */
function isRefusal({ status }: Pick<WatchTrouble, 'status'>): boolean {
  return status === 403 || status === 404;
}

function isRefused(watch: WatchView): boolean {
  const trouble = watch.trouble();
  return trouble !== undefined && isRefusal(trouble);
}

function nameOf(resource: string, namespace: string | undefined): string {
  return namespace === undefined ? resource : `${resource} in namespace ${namespace}`;
}

/** What a healthy process says beside its `ok`: one line for each watch that the server refuses. */
export function refusedWatches(watches: Watches): string[] {
  return watches().flatMap((watch) => {
    const trouble = watch.trouble();
    if (trouble === undefined || !isRefusal(trouble)) return [];
    return [`${nameOf(watch.resource, watch.namespace)} cannot be watched: ${trouble.reason} (${trouble.status})`];
  });
}

/** For liveness: what was last heard, of whatever kind. A refusal is a sign of life: the connection works. */
export function signsOfLife(watches: Watches): { name: string; lastSignMs: number }[] {
  return watches().map((watch) => ({
    name: nameOf(watch.resource, watch.namespace),
    lastSignMs: Math.max(watch.lastActivityMs(), watch.lastAnswerMs()),
  }));
}

/**
 * When the quietest watch of a resource last told something. Refused ones are counted elsewhere; where all of them are
 * refused, nothing is seen of the resource at all, and that is what the age must show.
 */
export function lastEventMs(watches: readonly WatchView[]): number {
  const open = watches.filter((watch) => !isRefused(watch));
  if (open.length > 0) return Math.min(...open.map((watch) => watch.lastEventMs()));
  return Math.max(...watches.map((watch) => watch.lastEventMs()));
}

export function registerWatchGauges(
  metrics: Pick<Metrics, 'gauge'>,
  watches: Watches,
  resources: readonly Watched[] = WATCHED,
): void {
  const of = (resource: Watched) => watches().filter((watch) => watch.resource === resource);
  metrics.gauge('captcha_operator_watch_last_activity_timestamp_seconds', (set) => {
    for (const resource of resources) {
      set({ resource }, (Date.now() - (performance.now() - lastEventMs(of(resource)))) / 1_000);
    }
  });
  metrics.gauge('captcha_operator_watches_refused', (set) => {
    for (const resource of resources) set({ resource }, of(resource).filter(isRefused).length);
  });
}

interface Told {
  resource: string;
  namespace: string | undefined;
}

/** As a reflector reports. */
export interface WatchHooks {
  onRestart(restart: Told & { cause: 'ended' | 'expired' | 'silent' | 'error' }): void;
  onUnavailable(trouble: Told & WatchTrouble): void;
  onAvailable(recovery: Told): void;
  onFault(fault: Told & { error: unknown }): void;
}

/**
 * Counts restarts and writes the log. An API server that is away fails every watch at once: of a resource the first one
 * is told, and the last that is back. A refusal concerns one namespace, and is told by name.
 */
export function reportWatches(metrics: Pick<Metrics, 'inc'>, log: Pick<Logger, 'info' | 'warn' | 'error'>): WatchHooks {
  const away = new Map<string, Set<string | undefined>>();
  const refused = new Set<string>();
  const awayOf = (resource: string) => {
    const known = away.get(resource) ?? new Set();
    away.set(resource, known);
    return known;
  };
  return {
    onRestart: ({ resource, cause }) => {
      const known = resource === 'deadletters' ? 'deadletters' : 'captchatasks';
      metrics.inc('captcha_operator_watch_restarts_total', { resource: known, cause });
    },
    onUnavailable: ({ resource, namespace, reason, status }) => {
      const trouble = `${reason} (${status})`;
      if (isRefusal({ status })) {
        refused.add(nameOf(resource, namespace));
        awayOf(resource).delete(namespace);
        log.warn('watch refused, trying again', { resource, namespace, trouble });
        return;
      }
      if (awayOf(resource).size === 0) log.warn('watch unavailable, trying again', { resource, trouble });
      awayOf(resource).add(namespace);
    },
    onAvailable: ({ resource, namespace }) => {
      if (refused.delete(nameOf(resource, namespace))) log.info('watching again', { resource, namespace });
      if (awayOf(resource).delete(namespace) && awayOf(resource).size === 0) log.info('watching again', { resource });
    },
    onFault: ({ resource, namespace, error }) =>
      log.error('an object or event was passed over', { resource, namespace, error }),
  };
}
