/**
 * Applies what waits in the spool, oldest first, a bounded number at a time. A record leaves the spool only when its
 * verdict says that its result is in status or in a dead letter, or provably need not be.
 *
 * A record that fails while others succeed waits by itself and holds nobody up (`backlog.ts`). While the Kubernetes API
 * is down only one record at a time is tried, every few seconds, another each time: these probes are how the sidecar
 * learns that the API is back. A success of anybody, a fresh callback's included, cuts the waiting short: one record that
 * failed because of the API is tried at once, and two more for each that then succeeds. Stopping goes on draining for a bounded time. Started by `server.ts`.
 */
import { within } from '../kube/pause.ts';
import { exponentialBackoff } from '../waiting/backoff.ts';
import { atMostEvery } from './api-health.ts';
import type { ApiHealth } from './api-health.ts';
import { applyEntry, isDone } from './apply-entry.ts';
import type { Application, ApplyOptions } from './apply-entry.ts';
import { createBacklog } from './backlog.ts';
import type { Backlog, Waiting } from './backlog.ts';
import type { SpoolEntry } from './spool/types.ts';

export interface Drainer {
  /** A record that is to be applied. */
  offer(entry: SpoolEntry): void;
  /** Drains on until nothing is left or `boundMs` is over, then stops for good. */
  stop(boundMs: number): Promise<void>;
}

export interface DrainerOptions extends ApplyOptions {
  health: ApiHealth;
  concurrency: number;
}

/** So that draining begins within seconds of the API's return. */
const probeDelay = exponentialBackoff({ baseMs: 500, maxMs: 2_500, random: Math.random });
const WAKE_INTERVAL_MS = 1_000;

export function createDrainer(options: DrainerOptions): Drainer {
  const { health, concurrency } = options;
  const stopped = new AbortController();
  const probe = createProbe();
  const mayWake = atMostEvery(WAKE_INTERVAL_MS);
  let running = 0;
  let onIdle: (() => void) | undefined;
  const startNext = (): void => {
    const waiting = backlog.take();
    if (waiting === undefined) return;
    running++;
    void applyEntry(options, waiting.entry, stopped.signal).then((application) => settle(waiting, application));
  };
  const settle = (waiting: Waiting, application: Application): void => {
    conclude({ backlog, health, stopped: stopped.signal }, waiting, application);
    running--;
    pump();
  };
  const pump = (): void => {
    if (health.isUp()) {
      probe.cancel();
      for (let free = Math.min(concurrency - running, backlog.ready()); free > 0; free--) startNext();
    } else if (running === 0 && backlog.ready() > 0) {
      probe.soon(startNext);
    }
    if (running === 0 && backlog.size() === 0) onIdle?.();
  };
  const backlog = createBacklog(pump);
  health.onSuccess(() => {
    if (mayWake()) backlog.wake(1);
    pump();
  });
  return {
    offer(entry) {
      backlog.put({ entry, failures: 0 });
      pump();
    },
    async stop(boundMs) {
      const { promise: idle, resolve } = Promise.withResolvers<void>();
      onIdle = resolve;
      backlog.hurry();
      pump();
      await within(idle, boundMs);
      stopped.abort();
      backlog.clear();
      probe.cancel();
      if (running > 0) await idle;
    },
  };
}

interface Parts {
  backlog: Backlog;
  health: ApiHealth;
  stopped: AbortSignal;
}

/** What a try says of the API, and when the record is tried again, if it stays. */
function conclude({ backlog, health, stopped }: Parts, waiting: Waiting, application: Application): void {
  if (application === 'settled' && waiting.failures > 0) backlog.wake(2);
  if (application === 'settled' || application === 'refused') health.succeeded();
  // A record that failed before may have a trouble of its own; it is no witness against the API.
  if (application === 'unavailable' && waiting.failures === 0) health.failed();
  if (isDone(application) || stopped.aborted) return;
  if (health.isUp()) backlog.delay(waiting, application === 'unavailable');
  else backlog.put(waiting);
}

/** One timer for the next probe of an API that is down; each probe in a row waits longer. */
function createProbe() {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    soon(probe: () => void): void {
      timer ??= setTimeout(() => {
        timer = undefined;
        probe();
      }, probeDelay(++count));
    },
    cancel(): void {
      clearTimeout(timer);
      timer = undefined;
      count = 0;
    },
  };
}
