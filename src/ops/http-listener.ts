/**
 * The HTTP server below the application: its timeouts, sizes and connections, and how it stops. Node's parser
 * stays strict (it refuses a message with both Content-Length and Transfer-Encoding, and bare line feeds), and what it
 * refuses is answered with a bare status and a closed connection.
 */
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';
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
}

export async function startListener(handler: RequestListener, options: ListenerOptions): Promise<Listener> {
  const { address, limits, onConnectionDropped } = options;
  const server = createServer({
    maxHeaderSize: limits.requestLineBytes + limits.headerBytes,
    headersTimeout: limits.slowClientMs,
    requestTimeout: limits.slowClientMs,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    keepAliveTimeout: limits.keepAliveMs,
    insecureHTTPParser: false,
    requireHostHeader: true,
    noDelay: true,
  });
  serveWithin(server, handler, { max: limits.connections, onDropped: onConnectionDropped });
  // Also cuts a client that connects and says nothing, or does not read its answer.
  server.timeout = limits.slowClientMs + limits.keepAliveMs + (limits.holdMs ?? 0);
  server.on('clientError', answerClientError);
  const port = await listenOn(server, address, BACKLOG);
  return { port, stop: (graceMs) => stop(server, graceMs) };
}

async function stop(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}

const STATUS_OF_PARSER_ERROR: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = STATUS_OF_PARSER_ERROR[error.code ?? ''] ?? '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}
