/**
 * Free loopback ports for servers that cannot report a port of their own choosing. A port found free may be taken
 * before it is used, so callers start again with other ports when their server cannot bind.
 */
import { createServer } from 'node:net';

// Below every system's range for outgoing connections: a client that retries against a stopped server could otherwise
// be given the server's own port and connect to itself, and the server could not come back.
const FIRST_PORT = 20_000;
const LAST_PORT = 29_999;
const TRIES = 200;

/** `count` different ports of 127.0.0.1 that nobody listened on a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tried = 0; found.size < count; tried += 1) {
    if (tried === TRIES) throw new Error(`no free loopback ports between ${FIRST_PORT} and ${LAST_PORT}`);
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
