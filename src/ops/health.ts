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
import { STATUS_CODES, createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';

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
  headers?: Readonly<Record<string, string>>;
  body: string;
}
type Routes = ReadonlyMap<string, () => Reply | Promise<Reply>>;

/** Kubelets and scrapers speak at once; who connects and says nothing is cut after this time. */
const HEADERS_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 5_000;
const CHECK_INTERVAL_MS = 250;
const MAX_CONNECTIONS = 512;

const NOT_KEPT = { 'cache-control': 'no-store' };

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
  const routes: Routes = new Map([
    ['/healthz', () => verdict(options.live())],
    ['/readyz', () => verdict(options.ready(), options.remarks?.())],
  ]);
  return listen(options.bind, routes);
}

/** Serves `/metrics`. Rejects when it cannot bind. */
export function startMetricsServer(options: {
  bind: BindAddress;
  metrics: Pick<Metrics, 'contentType' | 'text'>;
}): Promise<Listener> {
  const { bind, metrics } = options;
  const page = async (): Promise<Reply> => {
    const body = await metrics.text();
    return { status: 200, headers: { 'content-type': metrics.contentType, ...NOT_KEPT }, body };
  };
  return listen(bind, new Map([['/metrics', page]]));
}

function verdict(complaints: readonly string[], remarks: readonly string[] = []): Reply {
  const lines = complaints.length === 0 ? ['ok', ...remarks] : complaints;
  const body = lines.map((line) => `${line}\n`).join('');
  return { status: complaints.length === 0 ? 200 : 503, headers: NOT_KEPT, body };
}

async function listen(address: BindAddress, routes: Routes): Promise<Listener> {
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
  });
  const answer: RequestListener = (request, response) =>
    void replyTo(request, routes).then((reply) => send(response, reply));
  serveWithin(server, answer, { max: MAX_CONNECTIONS });
  const port = await listenOn(server, address, MAX_CONNECTIONS);
  return { port, close: () => closed(server) };
}

/**
 * GET and HEAD of these very paths, 404 for everything else, 405 for another method, 500 for a route that fails: who
 * scrapes sees that, and nobody is told why. No library for it: it would be 5 MB of the operator's memory.
 */
async function replyTo({ method = '', url = '' }: IncomingMessage, routes: Routes): Promise<Reply> {
  const [path = ''] = url.split('?', 1);
  const route = routes.get(path);
  if (route === undefined) return bare(404);
  if (method !== 'GET' && method !== 'HEAD') return { ...bare(405), headers: { allow: 'HEAD, GET' } };
  try {
    return await route();
  } catch {
    return bare(500);
  }
}

function bare(status: number): Reply {
  return { status, body: STATUS_CODES[status] ?? '' };
}

/** Node sends no body to a HEAD. */
function send(response: ServerResponse, { status, headers, body }: Reply): void {
  const length = { 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers, ...length }).end(body);
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
