/**
 * Lets programs of this machine reach the API server of a node that has a network of its own: connections to a port of
 * 127.0.0.1 are handed on through a socket file that both see. Knows nothing of what passes.
 */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { spawnGuarded } from '../control-plane/guard.ts';

export interface Door {
  port: number;
  close(): Promise<void>;
}

/** `pid`: a process of the node. Resolves when the port is open, which is before anybody behind it answers. */
export async function openDoor(pid: string, state: string): Promise<Door> {
  const file = join(state, 'share/door');
  const listen = 'UNIX-LISTEN:/node/door,fork,mode=600';
  const command = ['nsenter', '-t', pid, '-m', '-n', '-p', '--', 'socat', listen, 'TCP:127.0.0.1:6443'];
  const inner = spawnGuarded('door', command, { output: 'pipe' });
  const sockets = new Set<Socket>();
  const server = createServer((outside) => {
    const behind = connect(file);
    for (const [one, other] of [
      [outside, behind],
      [behind, outside],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.once('error', () => other.destroy());
      one.once('close', () => sockets.delete(one));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      inner.kill('SIGKILL');
      await inner.ended;
    },
  };
}
