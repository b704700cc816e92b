/**
 * The one way out to the API server: a keep-alive pool of HTTP/1.1 connections with a deadline on every exchange, and
 * beside it a pool for the streams of watches, which hold their connections for minutes: however many there are, they
 * take none from an exchange. It speaks text and chunks; what they mean is the business of its callers. It never throws
 * for network trouble and never repeats a request. HTTP/1.1 on purpose: one HTTP/2 connection costs the server more.
 */
import type { Dispatcher } from 'undici';
import Pool from 'undici/lib/dispatcher/pool.js';
import type { Access } from './access.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface WireRequest {
  method: Method;
  /** Path and query, below the server's own path. */
  path: string;
  body?: string;
  contentType?: string;
  accept?: string;
}

/** `sent`: the request was put on a connection, so the server may have acted on it. `detail` is an error code. */
export interface WireFailure {
  kind: 'failed';
  reason: 'Timeout' | 'Aborted' | 'Unreachable' | 'Disconnected' | 'TooLarge' | 'Closed';
  detail: string;
  sent: boolean;
}

export type WireAnswer =
  | { kind: 'answer'; status: number; retryAfterMs: number | undefined; body: string }
  | WireFailure;

export interface ExchangeOptions {
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface StreamOptions {
  signal: AbortSignal;
  /** Called once, with the status and a way to end the stream. */
  onStart(status: number, headers: Record<string, unknown>): void;
  /** Chunks of the body. An exception ends the stream as `Disconnected`. */
  onData(chunk: Buffer): void;
}

/** A stream ended by the server, or for a reason of the network or of ours. */
export type StreamEnd = { kind: 'ended' } | WireFailure;

export interface Transport {
  exchange(request: WireRequest, options: ExchangeOptions): Promise<WireAnswer>;
  stream(request: WireRequest, options: StreamOptions): Promise<StreamEnd>;
  close(): Promise<void>;
}

export interface TransportOptions {
  access: Access;
  userAgent: string;
  /** Upper bound of connections for exchanges; the callers' own limits lie below it. Each stream has one beside. */
  connections: number;
}

/**
 * Many times the largest object (etcd refuses requests above 1.5 MiB), and small enough that two pages at once, which
 * take some six times this until they are parsed and projected, fit into the memory of a container.
 */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;
const CONNECT_TIMEOUT_MS = 5_000;
/** Below the 90 s after which kube-apiserver closes an idle connection, so that it is we who close. */
const KEEP_ALIVE_MS = 55_000;

export function createTransport(options: TransportOptions): Transport {
  const { access, userAgent, connections } = options;
  const server = new URL(access.server);
  const prefix = server.pathname.replace(/\/+$/, '');
  const exchanges = createPools(server.origin, connections);
  const streams = createPools(server.origin, null);
  let closed = false;

  const dispatch = (pools: Pools, request: WireRequest, handler: Dispatcher.DispatchHandler) => {
    const credentials = access.current();
    const headers = ['accept', request.accept ?? 'application/json', 'user-agent', userAgent];
    if (credentials.authorization !== undefined) headers.push('authorization', credentials.authorization);
    for (const [name, value] of credentials.impersonation ?? []) headers.push(name, value);
    if (request.contentType !== undefined) headers.push('content-type', request.contentType);
    const { method, body = null } = request;
    const options = { path: prefix + request.path, method, headers, body, headersTimeout: 0, bodyTimeout: 0 };
    pools.for(credentials).dispatch(options, handler);
  };

  return {
    exchange: (request, options) =>
      closed ? Promise.resolve(closedFailure()) : exchange((handler) => dispatch(exchanges, request, handler), options),
    stream: (request, options) =>
      closed ? Promise.resolve(closedFailure()) : stream((handler) => dispatch(streams, request, handler), options),
    async close() {
      closed = true;
      await Promise.all([exchanges.destroy(), streams.destroy()]);
    },
  };
}

interface Pools {
  for(credentials: ReturnType<Access['current']>): Pool;
  destroy(): Promise<void>;
}

/** The pool of the current TLS credentials, and those before it until they are idle. */
function createPools(origin: string, connections: number | null): Pools {
  const pools = new Set<Pool>();
  let serial = -1;
  let pool: Pool | undefined;
  return {
    for(credentials) {
      if (pool !== undefined && serial === credentials.serial) return pool;
      // Exchanges on the old connections end by themselves; the old pool closes after the last.
      const old = pool;
      void old?.close().then(() => pools.delete(old));
      serial = credentials.serial;
      pool = openPool(origin, connections, credentials.tls);
      pools.add(pool);
      return pool;
    },
    async destroy() {
      await Promise.all([...pools].map((open) => open.destroy()));
    },
  };
}

function closedFailure(): WireFailure {
  return { kind: 'failed', reason: 'Closed', detail: 'closed', sent: false };
}

/** @param connections null: as many as there are streams */
function openPool(origin: string, connections: number | null, tls: object): Pool {
  return new Pool(origin, {
    connections,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect: { ...tls, timeout: CONNECT_TIMEOUT_MS },
  });
}

type Dispatch = (handler: Dispatcher.DispatchHandler) => void;

/** One request, one answer with its whole body, or a failure; settles once, at the deadline at the latest. */
function exchange(dispatch: Dispatch, options: ExchangeOptions): Promise<WireAnswer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let status = 0;
    let retryAfterMs: number | undefined;
    const ending = createEnding(resolve, options.signal);
    const timer = setTimeout(() => ending.stop('Timeout', 'deadline'), options.timeoutMs);
    ending.onSettled(() => clearTimeout(timer));
    attempt(dispatch, ending, {
      onRequestStart: (controller) => ending.started(controller),
      onResponseStart: (_controller, statusCode, headers) => {
        status = statusCode;
        retryAfterMs = parseRetryAfter(headers['retry-after']);
      },
      onResponseData: (_controller, chunk) => {
        bytes += chunk.length;
        if (bytes > BODY_LIMIT_BYTES) ending.stop('TooLarge', 'body');
        else chunks.push(chunk);
      },
      onResponseEnd: () => ending.settle({ kind: 'answer', status, retryAfterMs, body: textOf(chunks) }),
      onResponseError: (_controller, error) => ending.failed(error),
    });
  });
}

/** A body without end, handed over as it arrives. The caller's signal is its only deadline. */
function stream(dispatch: Dispatch, options: StreamOptions): Promise<StreamEnd> {
  return new Promise((resolve) => {
    const ending = createEnding<StreamEnd>(resolve, options.signal);
    attempt(dispatch, ending, {
      onRequestStart: (controller) => ending.started(controller),
      onResponseStart: (_controller, statusCode, headers) => options.onStart(statusCode, headers),
      onResponseData: (_controller, chunk) => {
        if (!ending.over()) options.onData(chunk);
      },
      onResponseEnd: () => ending.settle({ kind: 'ended' }),
      onResponseError: (_controller, error) => ending.failed(error),
    });
  });
}

interface Ending<Result> {
  started(controller: Dispatcher.DispatchController): void;
  settle(result: Result): void;
  stop(reason: WireFailure['reason'], detail: string): void;
  failed(error: Error): void;
  over(): boolean;
  onSettled(release: () => void): void;
}

/**
 * The ways an exchange may end, of which the first counts. Before undici has begun to write there is no controller, so
 * a request that was given up while it waited for a connection is aborted at the moment it would start.
 */
function createEnding<Result>(
  resolve: (result: Result | WireFailure) => void,
  signal: AbortSignal | undefined,
): Ending<Result> {
  let controller: Dispatcher.DispatchController | undefined;
  let over = false;
  let release: (() => void) | undefined;
  const settle = (result: Result | WireFailure) => {
    if (over) return;
    over = true;
    signal?.removeEventListener('abort', onAbort);
    release?.();
    resolve(result);
  };
  const stop = (reason: WireFailure['reason'], detail: string) => {
    if (over) return;
    settle({ kind: 'failed', reason, detail, sent: controller !== undefined });
    controller?.abort(new Error(reason));
  };
  const onAbort = () => stop('Aborted', 'aborted');
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) queueMicrotask(onAbort);
  return {
    settle,
    stop,
    over: () => over,
    onSettled: (callback) => {
      release = callback;
    },
    started: (given) => {
      if (over) given.abort(new Error('given up'));
      else controller = given;
    },
    failed: (error) => {
      const sent = controller !== undefined;
      settle({
        kind: 'failed',
        reason: sent ? 'Disconnected' : reasonBeforeSending(error),
        detail: codeOf(error),
        sent,
      });
    },
  };
}

function attempt<Result>(dispatch: Dispatch, ending: Ending<Result>, handler: Dispatcher.DispatchHandler): void {
  if (ending.over()) return;
  try {
    dispatch(handler);
  } catch (error) {
    ending.failed(error as Error);
  }
}

function reasonBeforeSending(error: Error): WireFailure['reason'] {
  const code = codeOf(error);
  return code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED' ? 'Closed' : 'Unreachable';
}

/** Error codes are closed words (`ECONNREFUSED`, `UND_ERR_SOCKET`); messages may quote headers, so they stay behind. */
function codeOf(error: Error): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : error.name;
}

function textOf(chunks: Buffer[]): string {
  const [first] = chunks;
  if (first === undefined) return '';
  return (chunks.length === 1 ? first : Buffer.concat(chunks)).toString('utf8');
}

/** Seconds, as kube-apiserver sends it; HTTP dates are not used there. */
export function parseRetryAfter(header: unknown): number | undefined {
  if (typeof header !== 'string' || !/^\d{1,6}$/.test(header.trim())) return undefined;
  return Number(header) * 1000;
}
