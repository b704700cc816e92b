/**
 * The HTTP server below the application: its timeouts, sizes and connections, and how it stops. Node's parser
 * stays strict (it refuses a message with both Content-Length and Transfer-Encoding, and bare line feeds), and what it
 * refuses is answered with a bare status and a closed connection. With a certificate it speaks TLS and nothing else; it
 * never falls back to clear text, also not while there is no pair that can be used.
 */
import { createServer } from 'node:http';
import type { RequestListener, Server, ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { MIN_TLS_VERSION, type Certificate } from './certificate.ts';
import type { BindAddress } from './config/kinds.ts';
import { listenOn, serveWithin } from './connections.ts';

export interface Listener {
  port: number;
  /** Takes no new connection, lets requests under way end, closes the rest. Resolves when all are closed. */
  stop(graceMs: number): Promise<void>;
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
  /** How long an answer may be held back before the client is taken for dead; default: none is held. */
  holdMs?: number;
}

const CHECK_INTERVAL_MS = 500;
const BACKLOG = 1_024;

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
    insecureHTTPParser: false,
    requireHostHeader: true,
    noDelay: true,
  });
  const { closeAll } = serveWithin(server, handler, { max: limits.connections, onDropped: onConnectionDropped });
  // Also cuts a client that connects and says nothing, or does not read its answer.
  server.timeout = limits.slowClientMs + limits.keepAliveMs + (limits.holdMs ?? 0);
  server.on('clientError', answerClientError);
  const port = await listenOn(server, address, BACKLOG);
  return { port, stop: (graceMs) => stop(server, graceMs, closeAll) };
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

async function stop(server: Server, graceMs: number, closeAll: () => void): Promise<void> {
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
