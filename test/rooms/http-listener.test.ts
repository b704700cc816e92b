/** How the server of sidecar and gateway stops, on real sockets: nobody who had reason to send is met by a closed door. */
import { Agent, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startListener, type Listener, type ListenerLimits } from '../../src/ops/http-listener.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Long, so that no connection ends by its time unless a test says so. */
const LIMITS: ListenerLimits = {
  requestLineBytes: 1_024,
  headerBytes: 1_024,
  slowClientMs: 60_000,
  keepAliveMs: 60_000,
  connections: 1_024,
};
const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

let listener: Listener;
/** Requests for `/held`, which the test answers. */
let held: ServerResponse[] = [];
let sockets: Socket[] = [];
let stopped = false;

function answer({ url }: IncomingMessage, response: ServerResponse): void {
  if (url === '/held') held.push(response);
  else response.end('OK');
}

async function start(limits: Partial<ListenerLimits> = {}): Promise<void> {
  const address = { host: '127.0.0.1', port: 0 };
  listener = await startListener(answer, {
    address,
    limits: { ...LIMITS, ...limits },
    onConnectionDropped: () => undefined,
  });
}

beforeEach(async () => {
  await start();
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const response of held) response.end();
  if (!stopped) await listener.close(0);
  [held, sockets, stopped] = [[], [], false];
});

async function stop(graceMs = 60_000): Promise<void> {
  await listener.leave();
  await listener.close(graceMs);
  stopped = true;
}

interface Connection {
  socket: Socket;
  heard(): string;
  closed(): boolean;
}

/** Opens a connection, says this and waits for so many answers. */
async function open(say = '', answers = 0): Promise<Connection> {
  let text = '';
  let isClosed = false;
  const socket = connect(listener.port, '127.0.0.1', () => socket.write(say));
  sockets.push(socket);
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  socket.on('close', () => (isClosed = true));
  await waitUntil('the answers', () => text.split('HTTP/1.1 200').length === answers + 1);
  return { socket, heard: () => text, closed: () => isClosed };
}

test('a kept-alive connection may bring one more request after the stop; its answer says that it is the last', async () => {
  const { socket, heard, closed } = await open(REQUEST, 1);
  expect(heard()).toMatch(/\r\nConnection: keep-alive\r\n/i);
  const end = stop();
  socket.write(REQUEST);
  await waitUntil('the connection to be closed', closed);
  expect(heard().match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  expect(heard()).toMatch(/\r\nConnection: close\r\n/i);
  await end;
});

test('a request that was under way when the stop came is answered, and told that the connection ends', async () => {
  const { heard, closed } = await open('GET /held HTTP/1.1\r\nHost: x\r\n\r\n');
  await waitUntil('the request', () => held.length === 1);
  const end = stop();
  held[0]?.end('late');
  await waitUntil('the connection to be closed', closed);
  expect(heard()).toMatch(/\r\nConnection: close\r\n[^]*late$/i);
  await end;
});

test('a new connection is taken as long as another is open', async () => {
  const first = await open(REQUEST, 1);
  const end = stop();
  const second = await open(REQUEST, 1);
  await waitUntil('the second to be closed', second.closed);
  expect(second.heard()).toMatch(/\r\nConnection: close\r\n/i);
  expect(stopped).toBe(false);
  first.socket.destroy();
  await end;
});

test('it has stopped as soon as nobody is connected any more, and takes nobody then', async () => {
  const { socket } = await open(REQUEST, 1);
  const end = stop();
  socket.destroy();
  await end;
  const refused = await new Promise<string | undefined>((resolve) => {
    connect(listener.port, '127.0.0.1').once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
  });
  expect(refused).toBe('ECONNREFUSED');
});

test('a connection that stays silent is closed when its time as an idle one is over', async () => {
  await listener.close(0);
  await start({ keepAliveMs: 50 });
  const silent = await open();
  await stop();
  await waitUntil('it to be closed', silent.closed);
});

test('a request that is still under way when the grace is over is cut off', async () => {
  await listener.close(0);
  await start({ keepAliveMs: 50 });
  const { heard, closed } = await open('GET /held HTTP/1.1\r\nHost: x\r\n\r\n');
  await waitUntil('the request', () => held.length === 1);
  await stop(50);
  await waitUntil('it to be closed', closed);
  expect(heard()).toBe('');
});

test('no client that keeps its connections sees a reset while the server stops', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const last = await open(REQUEST, 1);
  const seen = { answered: 0, refused: 0, reset: 0 };
  const ending = new AbortController();
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const request = get({ port: listener.port, host: '127.0.0.1', agent }, (response) => {
        response.resume().once('end', () => resolve(void seen.answered++));
      });
      request.once('error', ({ code }: NodeJS.ErrnoException) => {
        seen[code === 'ECONNREFUSED' ? 'refused' : 'reset']++;
        resolve();
      });
    });
  const client = async (): Promise<void> => {
    while (!ending.signal.aborted) await ask();
  };
  const clients = Array.from({ length: 8 }, client);
  await waitUntil('all of them to be busy', () => seen.answered > 400);
  const end = stop();
  const before = seen.answered;
  await waitUntil('many more answers', () => seen.answered > before + 400);
  ending.abort();
  await Promise.all(clients);
  last.socket.destroy();
  await end;
  agent.destroy();
  expect(seen).toMatchObject({ refused: 0, reset: 0 });
});
