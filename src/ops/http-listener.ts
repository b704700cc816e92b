/**
 * The HTTP server below the application: its timeouts, sizes and connections, and how it stops. Node's parser
 * stays strict (it refuses a message with both Content-Length and Transfer-Encoding, and bare line feeds), and what it
 * refuses is answered with a bare status and a closed connection. With a certificate it speaks TLS and nothing else; it
 * never falls back to clear text, also not while there is no pair that can be used.
 *
 * How it stops: a client that keeps its connection learns that it ends from nothing but an answer, and what it sends into
 * one that is just being closed meets a reset. So for a while every answer is the last of its connection, and a silent
 * connection has the time that it was promised; then nobody is left whom closing could surprise.
 */
import { createServer } from 'node:http';
import type { RequestListener, Server, ServerOptions, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { MIN_TLS_VERSION, type Certificate } from './certificate.ts';
import type { BindAddress } from './config/kinds.ts';
import { listenOn, serveWithin } from './connections.ts';

export interface Listener {
  port: number;
  /**
   * Every answer from now on ends its connection; new ones are taken. Resolves when nobody is connected any more, at the
   * latest when an idle connection has had its time.
   */
  leave(): Promise<void>;
  /** Takes no connection, lets requests under way end within the grace, closes the rest. Resolves when all are closed. */
  close(graceMs: number): Promise<void>;
}

export interface ListenerLimits {
  /** Both together are where Node's parser stops. */
  requestLineBytes: number;
  headerBytes: number;
  /** A client that has not sent its whole request by then is cut. */
  slowClientMs: number;
  /** An idle kept-alive connection is closed after this time. */
  keepAliveMs: number;
  /** Connections at once; for one more, the one that has been idle longest is closed. */
  connections: number;
  /** Of one address; default: all of them. */
  connectionsOfAddress?: number;
  /** How long an answer may be held back before the client is taken for dead; default: none is held. */
  holdMs?: number;
}

const CHECK_INTERVAL_MS = 500;
const BACKLOG = 1_024;
/** Node closes an idle connection this much later than it has told the client. */
const KEEP_ALIVE_BUFFER_MS = 1_000;

/** The longest that `leave` takes, for whoever sets a deadline over it. */
export function longestLeaveMs({ keepAliveMs }: Pick<ListenerLimits, 'keepAliveMs'>): number {
  return keepAliveMs + KEEP_ALIVE_BUFFER_MS + CHECK_INTERVAL_MS;
}

export interface ListenerOptions {
  address: BindAddress;
  limits: ListenerLimits;
  /** A connection was closed to make room for another, or because it heaped up requests. */
  onConnectionDropped(): void;
  /** What it shows to its clients; undefined: it speaks HTTP in clear. */
  certificate?: Certificate | undefined;
}

export async function startListener(handler: RequestListener, options: ListenerOptions): Promise<Listener> {
  const { address, limits, onConnectionDropped, certificate } = options;
  const server = createServerFor(certificate, {
    maxHeaderSize: limits.requestLineBytes + limits.headerBytes,
    headersTimeout: limits.slowClientMs,
    requestTimeout: limits.slowClientMs,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    keepAliveTimeout: limits.keepAliveMs,
    keepAliveTimeoutBuffer: KEEP_ALIVE_BUFFER_MS,
    insecureHTTPParser: false,
    requireHostHeader: true,
    noDelay: true,
  });
  const farewell = createFarewell(server);
  const { closeAll } = serveWithin(server, farewell.before(handler), {
    max: limits.connections,
    maxOfAddress: limits.connectionsOfAddress,
    onDropped: onConnectionDropped,
  });
  // Also cuts a client that connects and says nothing, or does not read its answer.
  server.timeout = limits.slowClientMs + limits.keepAliveMs + (limits.holdMs ?? 0);
  server.on('clientError', answerClientError);
  const port = await listenOn(server, address, BACKLOG);
  return {
    port,
    leave: () => farewell.say(longestLeaveMs(limits)),
    close: (graceMs) => close(server, graceMs, closeAll),
  };
}

/** A new pair is shown to whoever connects from then on; what is connected goes on with the one it has seen. */
function createServerFor(certificate: Certificate | undefined, options: ServerOptions): Server {
  if (certificate === undefined) return createServer(options);
  const handshakeTimeout = options.headersTimeout ?? 0;
  const secure = createTlsServer({ ...options, handshakeTimeout, minVersion: MIN_TLS_VERSION });
  certificate.follow((pair) => secure.setSecureContext({ ...pair, minVersion: MIN_TLS_VERSION }));
  // It is an HTTP server, and its types do not say so.
  const server: unknown = secure;
  return server as Server;
}

interface Farewell {
  before(handler: RequestListener): RequestListener;
  /** Resolves when nobody is connected any more, at the latest after this time. */
  say(withinMs: number): Promise<void>;
}

function createFarewell(server: Server): Farewell {
  const unanswered = new Set<ServerResponse>();
  const empty = Promise.withResolvers<void>();
  let connected = 0;
  let leaving = false;
  const resolveIfEmpty = (): void => {
    if (leaving && connected === 0) empty.resolve();
  };
  server.on('connection', (socket) => {
    connected += 1;
    socket.once('close', () => {
      connected -= 1;
      resolveIfEmpty();
    });
  });
  return {
    before: (handler) => (request, response) => {
      if (leaving) response.shouldKeepAlive = false;
      unanswered.add(response);
      response.once('close', () => unanswered.delete(response));
      handler(request, response);
    },
    async say(withinMs) {
      leaving = true;
      for (const response of unanswered) response.shouldKeepAlive = false;
      resolveIfEmpty();
      const timer = setTimeout(empty.resolve, withinMs);
      await empty.promise;
      clearTimeout(timer);
    },
  };
}

async function close(server: Server, graceMs: number, closeAll: () => void): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const timer = setTimeout(closeAll, graceMs);
  await closed;
  clearTimeout(timer);
}

const STATUS_OF_PARSER_ERROR: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  const { code = '' } = error;
  // Nobody is left, or TLS was not agreed on: an answer would wait for it.
  if (!socket.writable || !/^(?:HPE|ERR_HTTP)_/.test(code)) {
    socket.destroy();
    return;
  }
  const status = STATUS_OF_PARSER_ERROR[code] ?? '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}
