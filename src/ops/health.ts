/**
 * The two listeners that every process has beside its work: `/metrics` on one port, `/healthz` and `/readyz` on the
 * other, so that a network policy can tell scrapers from kubelets. Where no policy is enforced anybody can connect: who
 * holds connections and says nothing must not make a probe fail (`connections.ts`), for that would restart both containers.
 *
 * Liveness fails only on what a restart cures. An event loop that is blocked does not answer, and the probe's time-out
 * says so; nothing here pretends to measure that. A watch that stays silent while other calls to the same API server
 * succeed is the other case (`checkWatches`). An unreachable provider or Kubernetes API is no reason: a restart would
 * not bring it back, and would take the caches away.
 */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { Router } from '@koa/router';
import Koa from 'koa';

import type { BindAddress } from './config/kinds.ts';
import { listenOn, serveWithin } from './connections.ts';
import type { Metrics } from './metrics.ts';

/** Nothing when all is well; otherwise what is wrong, one stable word or sentence each. */
export type HealthCheck = () => readonly string[];

export interface Listener {
  /** The port that was bound, also where 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

interface Reply {
  status: number;
  type?: string;
  body: string;
}
type Routes = Readonly<Record<string, () => Reply | Promise<Reply>>>;

/** Kubelets and scrapers speak at once; who connects and says nothing is cut after this time. */
const HEADERS_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 5_000;
const CHECK_INTERVAL_MS = 250;
const MAX_CONNECTIONS = 512;

/**
 * Serves `/healthz` and `/readyz`: 200 `ok`, or 503 with one line per complaint. `/readyz` adds the remarks to its `ok`,
 * one line each: what a person should know and no probe should act on. Rejects when it cannot bind.
 */
export function startHealthServer(options: {
  bind: BindAddress;
  live: HealthCheck;
  ready: HealthCheck;
  remarks?: () => readonly string[];
}): Promise<Listener> {
  return listen(options.bind, {
    '/healthz': () => verdict(options.live()),
    '/readyz': () => verdict(options.ready(), options.remarks?.()),
  });
}

/** Serves `/metrics`. Rejects when it cannot bind. */
export function startMetricsServer(options: {
  bind: BindAddress;
  metrics: Pick<Metrics, 'contentType' | 'text'>;
}): Promise<Listener> {
  const { bind, metrics } = options;
  return listen(bind, {
    '/metrics': async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() }),
  });
}

function verdict(complaints: readonly string[], remarks: readonly string[] = []): Reply {
  const lines = complaints.length === 0 ? ['ok', ...remarks] : complaints;
  return { status: complaints.length === 0 ? 200 : 503, body: lines.map((line) => `${line}\n`).join('') };
}

async function listen(address: BindAddress, routes: Routes): Promise<Listener> {
  const handle = createApp(routes).callback();
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
  });
  serveWithin(server, (request, response) => void handle(request, response), { max: MAX_CONNECTIONS });
  const port = await listenOn(server, address, MAX_CONNECTIONS);
  return { port, close: () => closed(server) };
}

/**
 * GET and HEAD of these very paths, 404 for everything else, 500 for a route that fails. The router answers other methods
 * of a known path with 405 and `Allow`, which would be lines of ours without it.
 */
function createApp(routes: Routes): Koa {
  const router = new Router({ sensitive: true, strict: true });
  for (const [path, reply] of Object.entries(routes)) {
    router.get(path, async (ctx) => {
      const { status, type = 'text/plain; charset=utf-8', body } = await reply();
      ctx.status = status;
      ctx.set({ 'content-type': type, 'cache-control': 'no-store' });
      ctx.body = body;
    });
  }
  const app = new Koa();
  // A scrape that fails is seen by who scrapes; Koa would print it with its stack.
  app.silent = true;
  app.use(router.routes());
  app.use(router.allowedMethods());
  return app;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Since when calls to the Kubernetes API have been succeeding; fed by the client's hook. Monotonic milliseconds. */
export interface CallRecord {
  succeeded(nowMs: number): void;
  failed(): void;
  /** Undefined while the last call failed, and before the first one. */
  succeedingSinceMs(): number | undefined;
  lastSuccessMs(): number | undefined;
}

export function createCallRecord(): CallRecord {
  let since: number | undefined;
  let last: number | undefined;
  return {
    succeeded(nowMs) {
      since ??= nowMs;
      last = nowMs;
    },
    failed() {
      since = undefined;
    },
    succeedingSinceMs: () => since,
    lastSuccessMs: () => last,
  };
}

const WATCH_SILENT_MS = 180_000;
/** A watch that was cut off by an outage needs a while to be opened again after the first call has succeeded. */
const RECOVERY_MS = 90_000;
/** A success that is older proves nothing about now. */
const FRESH_MS = 60_000;

/**
 * Complains about watches of which nothing came for 3 min, not even a refusal, while other calls have succeeded without
 * a failure for the last 90 s. All instants are monotonic milliseconds.
 */
export function checkWatches(options: {
  watches: () => readonly { name: string; lastSignMs: number }[];
  calls: CallRecord;
  nowMs: () => number;
}): HealthCheck {
  return () => {
    const now = options.nowMs();
    const since = options.calls.succeedingSinceMs();
    const last = options.calls.lastSuccessMs();
    if (since === undefined || last === undefined || now - since < RECOVERY_MS || now - last > FRESH_MS) return [];
    return options
      .watches()
      .filter((watch) => now - watch.lastSignMs > WATCH_SILENT_MS)
      .map((watch) => `the watch of ${watch.name} is silent while other calls succeed`);
  };
}
