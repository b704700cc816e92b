/**
 * How an HTTP server listens, and what strangers can hold of it, without letting them shut anybody out. A new
 * connection always gets in: at the bound, the one that has been idle for the longest time is closed for it. And nobody
 * can heap up requests behind one that is still being answered: Node hands out pipelined requests as fast as it parses
 * them, so a connection with more than two at once is closed.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { BindAddress } from './config/kinds.ts';

export interface ConnectionBounds {
  /**
   * Not fewer than the backlog of `listen`: then no connection is closed in the very turn in which it was accepted,
   * before its first bytes were looked at.
   */
  max: number;
  /** A connection was closed before its time. */
  onDropped?: (() => void) | undefined;
}

/** The one that is answered, and one that the handler may still refuse properly (`isPipelined`). */
const MAX_UNDER_WAY = 2;

const pipelined = new WeakSet<IncomingMessage>();

/** Whether an earlier request of the same connection was still being answered when this one came. */
export function isPipelined(request: IncomingMessage): boolean {
  return pipelined.has(request);
}

/** Serves requests by `handler`, within the bounds. `server` has no other listener for requests. */
export function serveWithin(server: Server, handler: RequestListener, { max, onDropped }: ConnectionBounds): void {
  const connections = createConnections();
  const drop = (socket: Socket): void => {
    connections.remove(socket);
    socket.destroy();
    onDropped?.();
  };
  server.on('connection', (socket: Socket) => {
    const victim = connections.count() < max ? undefined : (connections.longestIdle() ?? socket);
    if (victim !== undefined) drop(victim);
    if (victim === socket) return;
    connections.add(socket);
    socket.once('close', () => connections.remove(socket));
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    // What was parsed of a connection that is already closed.
    if (!connections.has(socket)) return;
    const underWay = connections.begin(socket);
    if (underWay > MAX_UNDER_WAY) return drop(socket);
    if (underWay > 1) pipelined.add(request);
    response.once('close', () => connections.end(socket));
    handler(request, response);
  });
}

/** Resolves with the port once the server listens. @param backlog connections that may wait to be accepted */
export function listenOn(server: Server, { host, port }: BindAddress, backlog: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, ...(host === undefined ? {} : { host }), backlog }, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** The open connections, with how many requests of each are under way. */
function createConnections() {
  const underWay = new Map<Socket, number>();
  /** Those with none, in the order in which they fell idle. */
  const idle = new Set<Socket>();
  return {
    add(socket: Socket): void {
      underWay.set(socket, 0);
      idle.add(socket);
    },
    remove(socket: Socket): void {
      underWay.delete(socket);
      idle.delete(socket);
    },
    has: (socket: Socket): boolean => underWay.has(socket),
    count: (): number => underWay.size,
    longestIdle: (): Socket | undefined => idle.values().next().value,
    begin(socket: Socket): number {
      const count = (underWay.get(socket) ?? 0) + 1;
      underWay.set(socket, count);
      idle.delete(socket);
      return count;
    },
    end(socket: Socket): void {
      const count = underWay.get(socket);
      if (count === undefined) return;
      underWay.set(socket, count - 1);
      if (count === 1) idle.add(socket);
    },
  };
}
