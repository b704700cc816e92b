/**
 * How an HTTP server listens, and what strangers can hold of it, without letting them shut anybody out. A new
 * connection always gets in: at the bound, the one that has been idle for the longest time is closed for it. And nobody
 * can heap up requests behind one that is still being answered: Node hands out pipelined requests as fast as it parses
 * them, so a connection with more than two at once is closed.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { BindAddress } from './config/kinds.ts';

export interface ConnectionBounds {
  /**
   * Not fewer than the backlog of `listen`: then no connection is closed in the very turn in which it was accepted,
   * before its first bytes were looked at.
   */
  max: number;
  /** Of one address at the other end; default: as many as there may be. One more closes the longest idle one of them. */
  maxOfAddress?: number | undefined;
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

export interface Served {
  /** Also those of which the HTTP server does not know yet, because TLS has not been agreed on. */
  closeAll(): void;
}

/** Serves requests by `handler`, within the bounds. `server` has no other listener for requests. */
export function serveWithin(server: Server, handler: RequestListener, bounds: ConnectionBounds): Served {
  const { max, maxOfAddress = max, onDropped } = bounds;
  const connections = createConnections();
  const drop = (connection: Connection): void => {
    connections.remove(connection);
    connection.socket.destroy();
    onDropped?.();
  };
  server.on('connection', (socket: Socket) => {
    const connection = connections.add(socket);
    socket.once('close', () => connections.remove(connection));
    const { address } = connection;
    if (connections.countOf(address) > maxOfAddress) drop(connections.longestIdle(address) ?? connection);
    else if (connections.count() > max) drop(connections.longestIdle() ?? connection);
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const connection = connections.of(request.socket);
    // What was parsed of a connection that is already closed.
    if (connection === undefined) return;
    connections.begin(connection);
    if (connection.underWay > MAX_UNDER_WAY) return drop(connection);
    if (connection.underWay > 1) pipelined.add(request);
    response.once('close', () => connections.end(connection));
    handler(request, response);
  });
  return { closeAll: connections.closeAll };
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

interface Connection {
  /** As it was accepted. Over TLS that of a request is another one. */
  socket: Socket;
  /** Its other end, which both have. */
  peer: string;
  address: string;
  /** Requests. */
  underWay: number;
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** The open connections, with how many requests of each are under way. */
function createConnections() {
  const open = new Map<string, Connection>();
  /** Those with none, in the order in which they fell idle. */
  const idle = new Set<Connection>();
  const ofAddress = new Map<string, number>();
  const isOpen = (connection: Connection): boolean => open.get(connection.peer) === connection;
  return {
    add(socket: Socket): Connection {
      const connection = { socket, peer: peerOf(socket), address: socket.remoteAddress ?? '', underWay: 0 };
      open.set(connection.peer, connection);
      ofAddress.set(connection.address, (ofAddress.get(connection.address) ?? 0) + 1);
      idle.add(connection);
      return connection;
    },
    remove(connection: Connection): void {
      idle.delete(connection);
      if (!isOpen(connection)) return;
      open.delete(connection.peer);
      const left = (ofAddress.get(connection.address) ?? 1) - 1;
      if (left === 0) ofAddress.delete(connection.address);
      else ofAddress.set(connection.address, left);
    },
    of: (socket: Socket): Connection | undefined => open.get(peerOf(socket)),
    closeAll(): void {
      for (const { socket } of open.values()) socket.destroy();
    },
    count: (): number => open.size,
    countOf: (address: string): number => ofAddress.get(address) ?? 0,
    longestIdle(address?: string): Connection | undefined {
      for (const connection of idle) if (address === undefined || connection.address === address) return connection;
      return undefined;
    },
    begin(connection: Connection): void {
      connection.underWay++;
      idle.delete(connection);
    },
    end(connection: Connection): void {
      connection.underWay--;
      if (connection.underWay === 0 && isOpen(connection)) idle.add(connection);
    },
  };
}
