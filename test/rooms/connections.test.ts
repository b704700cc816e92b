/** The bounds of a server's connections, on real sockets. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { isPipelined, serveWithin } from '../../src/ops/connections.ts';
import { waitUntil } from '../support/wait-until.ts';

const MAX = 4;
const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

let server: Server;
let dropped = 0;
/** Requests that wait to be answered by the test; `/now` is answered at once. */
let held: { response: ServerResponse; pipelined: boolean }[] = [];
let sockets: Socket[] = [];

function holdOrAnswer(request: IncomingMessage, response: ServerResponse): void {
  if (request.url === '/now') response.end('now');
  else held.push({ response, pipelined: isPipelined(request) });
}

beforeEach(async () => {
  server = createServer({ keepAliveTimeout: 600_000 });
  serveWithin(server, holdOrAnswer, { max: MAX, onDropped: () => dropped++ });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  sockets = [];
  held = [];
  dropped = 0;
});

/** A connection that the server has accepted; `heard` is what came back. */
async function open(say = ''): Promise<{ socket: Socket; heard: () => string }> {
  let text = '';
  const accepted = new Promise((resolve) => server.once('connection', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1', () => socket.write(say));
  sockets.push(socket);
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  await accepted;
  return { socket, heard: () => text };
}

test('at the bound a new connection gets in, and the one that was idle longest is closed for it', async () => {
  const silent: Awaited<ReturnType<typeof open>>[] = [];
  for (let count = 0; count < MAX; count++) silent.push(await open());
  const late = await open('GET /now HTTP/1.1\r\nHost: x\r\n\r\n');
  await waitUntil('the answer', () => late.heard().endsWith('now'));
  await waitUntil('the oldest to be closed', () => silent[0]!.socket.destroyed);
  expect(silent.map(({ socket }) => socket.destroyed)).toEqual([true, false, false, false]);
  expect(dropped).toBe(1);
});

test('a connection whose request is being answered is not idle, and is idle again from its answer on', async () => {
  const busy = await open(REQUEST);
  await waitUntil('the request to be there', () => held.length === 1);
  for (let count = 0; count < MAX; count++) await open();
  expect(busy.socket.destroyed).toBe(false);
  held[0]!.response.end('at last');
  await waitUntil('its answer', () => busy.heard().endsWith('at last'));
  for (let count = 1; count < MAX; count++) await open();
  await waitUntil('the others to be closed', () => sockets.filter(({ destroyed }) => destroyed).length === MAX);
  expect(busy.socket.destroyed).toBe(false);
  await open();
  await waitUntil('the answered one to be closed', () => busy.socket.destroyed);
});

test('where every connection is being answered, the new one is closed', async () => {
  const busy: Awaited<ReturnType<typeof open>>[] = [];
  for (let count = 0; count < MAX; count++) busy.push(await open(REQUEST));
  await waitUntil('all requests to be there', () => held.length === MAX);
  const late = await open(REQUEST);
  await waitUntil('the new one to be closed', () => late.socket.destroyed);
  expect(dropped).toBe(1);
  for (const { response } of held) response.end('done');
  await waitUntil('the others to be answered', () => busy.every(({ heard }) => heard().endsWith('done')));
});

test('a request that comes while an earlier one is being answered is told apart', async () => {
  const { socket, heard } = await open(REQUEST + REQUEST);
  await waitUntil('both requests to be there', () => held.length === 2);
  expect(held.map(({ pipelined }) => pipelined)).toEqual([false, true]);
  held[0]!.response.end('first');
  held[1]!.response.end('second');
  await waitUntil('both answers', () => /first[^]*second$/.test(heard()));
  socket.write(REQUEST);
  await waitUntil('the next request to be there', () => held.length === 3);
  expect(held[2]!.pipelined).toBe(false);
});

test('a connection that heaps up requests is closed, and no more than two of them are handed on', async () => {
  const { socket } = await open(REQUEST.repeat(1_000));
  await waitUntil('the connection to be closed', () => socket.destroyed);
  expect(held).toHaveLength(2);
  expect(dropped).toBe(1);
});
