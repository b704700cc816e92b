/**
 * A stand-in for the Service in front of the sidecars: a TCP forwarder on loopback that spreads connections over the
 * backends that answer, and that can be cut, as a broken ingress would. It looks at no byte that passes.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Front {
  readonly port: number;
  setBackends(ports: readonly number[]): void;
  /** While cut, every connection is closed at once. */
  cut(isCut: boolean): void;
  close(): Promise<void>;
}

export async function startFront(backends: readonly number[] = []): Promise<Front> {
  let ports = [...backends];
  let isCut = false;
  let turn = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    open.add(client);
    client.once('close', () => open.delete(client));
    client.on('error', () => client.destroy());
    if (isCut || ports.length === 0) client.destroy();
    else forward(client, ports, turn++);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    setBackends: (next) => {
      ports = [...next];
    },
    cut: (next) => {
      isCut = next;
      if (isCut) for (const socket of open) socket.destroy();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

/** Tries the backends in turn, as a Service does when an endpoint has just gone. */
function forward(client: Socket, ports: readonly number[], turn: number, tried = 0): void {
  const port = ports[(turn + tried) % ports.length];
  if (port === undefined || tried >= ports.length) {
    client.destroy();
    return;
  }
  const upstream = connect(port, '127.0.0.1');
  const retry = (): void => forward(client, ports, turn, tried + 1);
  upstream.once('error', retry);
  upstream.once('connect', () => {
    upstream.off('error', retry);
    upstream.on('error', () => client.destroy());
    upstream.once('close', () => client.destroy());
    client.once('close', () => upstream.destroy());
    client.pipe(upstream);
    upstream.pipe(client);
  });
}
