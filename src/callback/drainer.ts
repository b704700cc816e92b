/**
 * Applies what waits in the spool, oldest first, a bounded number at a time. A record leaves the spool only when its
 * verdict says that its result is in status or in a dead letter, or provably need not be.
 *
 * A record that fails while others succeed waits by itself and holds nobody up (`backlog.ts`). While the Kubernetes API
 * is down only one record at a time is tried, every few seconds, another each time: these probes are how the sidecar
 * learns that the API is back. Stopping goes on draining for a bounded time. Started by `server.ts`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { exponentialBackoff } from '../kube/backoff.ts';
import type { ApiHealth } from './api-health.ts';
import { applyEntry } from './apply-entry.ts';
import type { Application, ApplyOptions } from './apply-entry.ts';
import { createBacklog } from './backlog.ts';
import type { Waiting } from './backlog.ts';
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
const probeDelay = exponentialBackoff({ baseMs: 500, maxMs: 2_500 });

export function createDrainer(options: DrainerOptions): Drainer {
  const { health, concurrency } = options;
  const stopped = new AbortController();
  const probe = createProbe();
  let running = 0;
  let onIdle: (() => void) | undefined;

  const startNext = (): void => {
    const waiting = backlog.take();
    if (waiting === undefined) return;
    running++;
    void applyEntry(options, waiting.entry, stopped.signal).then((application) => settle(waiting, application));
  };
  const settle = (waiting: Waiting, application: Application): void => {
    running--;
    if (application === 'settled') health.succeeded();
    // A record that failed before may have a trouble of its own; it is no witness against the API.
    if (application === 'unavailable' && waiting.failures === 0) health.failed();
    if (application !== 'settled' && !stopped.signal.aborted) (health.isUp() ? backlog.delay : backlog.put)(waiting);
    pump();
  };
  const pump = (): void => {
    if (health.isUp()) {
      probe.cancel();
      const free = Math.min(concurrency - running, backlog.ready());
      for (let count = 0; count < free; count++) startNext();
    } else if (running === 0 && backlog.ready() > 0) {
      probe.soon(startNext);
    }
    if (running === 0 && backlog.size() === 0) onIdle?.();
  };
  const backlog = createBacklog(pump);

  return {
    offer(entry) {
      backlog.put({ entry, failures: 0 });
      pump();
    },
    async stop(boundMs) {
      const idle = new Promise<void>((resolve) => {
        onIdle = resolve;
      });
      backlog.hurry();
      pump();
      await withinBound(idle, boundMs);
      stopped.abort();
      backlog.clear();
      probe.cancel();
      if (running > 0) await idle;
    },
  };
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

async function withinBound(work: Promise<void>, boundMs: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, delay(boundMs, undefined, { signal: over.signal }).catch(() => undefined)]);
  over.abort();
}
