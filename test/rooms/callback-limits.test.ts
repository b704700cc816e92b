/** Whoever can reach the port: oversized, slow, smuggled and malformed requests, and that good ones go on beside them. */
import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import type { Limits } from '../../src/callback/limits.ts';
import type { ApiReply, ApiRequest } from '../../src/core/protocol.ts';
import { CAPTCHA_ID, T0, aTask } from '../support/builders.ts';
import { callbackPath, startSidecar } from '../support/sidecar.ts';
import type { Sidecar } from '../support/sidecar.ts';
import { waitUntil } from '../support/wait-until.ts';

let sidecar: Sidecar;
/** Further sidecars of a test. */
const others: Sidecar[] = [];
let sockets: Socket[] = [];
const task = aTask().intended(T0).submitted(T0).build();
const path = callbackPath(task);
const good = `${path}?id=${CAPTCHA_ID}&code=good`;

beforeEach(async () => {
  sidecar = await startSidecar({ limits: { slowClientMs: 300, keepAliveMs: 200, connections: 50 } });
  sidecar.api.seed(CAPTCHA_TASK.plural, task);
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  for (const other of others.splice(0)) await other.stop();
  await sidecar.stop();
  expect(sidecar.crashes).toEqual([]);
});

/** Opens a connection and says this; resolves when the server closed it. */
function cutOff(bytes: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(sidecar.server.port, '127.0.0.1', () => socket.write(bytes));
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.resume();
  });
}

function statusOf(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = get(url, { agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    call.on('error', reject);
  });
}

test.each([
  ['says nothing at all', ''],
  ['never ends its request line', 'GET /v1/callback/'],
  ['never ends its headers', `GET ${good} HTTP/1.1\r\nHost: x\r\nX-Slow: `],
  [
    'never ends its body',
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{`,
  ],
  ['never ends its chunks', `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nid=1&`],
])('a client that %s is cut', async (_, bytes) => {
  await cutOff(bytes);
  expect((await sidecar.get(good)).status).toBe(200);
});

test.each([
  [
    'Content-Length beside Transfer-Encoding',
    `POST ${good} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'two different Content-Lengths',
    `POST ${good} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello`,
  ],
  ['a Content-Length that is no number', `POST ${good} HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello`],
  [
    'a chunked coding that is not the last',
    `POST ${good} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  ],
  ['a space before the colon', `GET ${good} HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n\r\n`],
  ['a folded header', `GET ${good} HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n`],
  ['a NUL in a header', `GET ${good} HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n`],
  ['a bare carriage return', `GET ${good} HTTP/1.1\r\nHost: x\rX-A: a\r\n\r\n`],
  ['no Host', `GET ${good} HTTP/1.1\r\n\r\n`],
  ['a version that does not exist', `GET ${good} HTTP/9.9\r\nHost: x\r\n\r\n`],
  ['something that is not HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
])('a message with %s is refused and its connection closed', async (_, bytes) => {
  const text = await sidecar.raw(bytes);
  expect(text).toMatch(/^HTTP\/1\.1 4\d\d /);
  expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(sidecar.api.writes).toEqual([]);
});

test('headers beyond 64 KiB are refused, and the task of an authentic callback is due for a poll', async () => {
  const pad = Array.from({ length: 9 }, (_, n) => `X-Pad-${n}: ${'p'.repeat(7_500)}\r\n`).join('');
  expect(await sidecar.raw(`GET ${good} HTTP/1.1\r\nHost: x\r\n${pad}\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  await waitUntil('the task to be due', () => sidecar.api.writes.length === 1);
});

test('a head beyond both limits ends at the parser', async () => {
  expect(await sidecar.raw(`GET ${good}${'p'.repeat(200_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(
    /^(HTTP\/1\.1 431 |$)/,
  );
});

test('a request line and headers just below their limits pass together', async () => {
  const line = `${good}&pad=${'p'.repeat(48 * 1024 - good.length - 40)}`;
  const pad = Array.from({ length: 7 }, (_, n) => `X-Pad-${n}: ${'p'.repeat(9_000)}\r\n`).join('');
  const text = await sidecar.raw(`GET ${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${pad}\r\n`);
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
});

test('a chunked body beyond 64 KiB is refused although it never said its length', async () => {
  const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
  expect(await sidecar.raw(`${head}${chunk}1\r\nx\r\n0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 413 /);
});

test('a compressed body is refused', async () => {
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\n`;
  expect(await sidecar.raw(`${head}xx`)).toMatch(/^HTTP\/1\.1 400 /);
});

/** A sidecar whose calls to the Kubernetes API wait until they are let go. */
async function startHeld(
  limits: Partial<Limits> = {},
): Promise<{ held: Sidecar; letGo: () => void; waiting: () => number }> {
  const { promise: released, resolve: letGo } = Promise.withResolvers<void>();
  const { api } = sidecar;
  let waiting = 0;
  const execute = async (request: ApiRequest): Promise<ApiReply> => {
    waiting++;
    await released;
    return api.handle(request);
  };
  const held = await startSidecar({ api, execute, limits: { apiBudgetMs: 20_000, answerBudgetMs: 25_000, ...limits } });
  others.push(held);
  return { held, letGo, waiting: () => waiting };
}

test('a connection is worked on one request at a time: the one sent before the answer is refused and closes it', async () => {
  const { held, letGo, waiting } = await startHeld();
  const one = `GET ${good} HTTP/1.1\r\nHost: x\r\n\r\n`;
  const exchange = held.raw(one + one);
  await waitUntil(
    'the first to be at the API and the second to be refused',
    () => waiting() === 1 && held.results.length === 1,
  );
  letGo();
  const statuses = [...(await exchange).matchAll(/HTTP\/1\.1 (\d+)[^]*?\r\nConnection: ([\w-]+)/g)];
  expect(statuses.map(([, status, connection]) => [status, connection])).toEqual([
    ['200', 'keep-alive'],
    ['503', 'close'],
  ]);
  expect(held.results).toEqual(['lost', 'accepted']);
});

test('a second request is served once the first was answered', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const url = `http://127.0.0.1:${sidecar.server.port}${good}`;
  const statuses = await Promise.all([statusOf(url, agent), statusOf(url, agent), statusOf(url, agent)]);
  agent.destroy();
  expect(statuses).toEqual([200, 200, 200]);
  expect(sidecar.dropped()).toBe(0);
});

test('whoever heaps up requests behind one another loses the connection, and holds no more than two of them', async () => {
  const { held, letGo, waiting } = await startHeld();
  const many = `GET ${good} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(5_000);
  await Promise.all(Array.from({ length: 8 }, () => held.raw(many)));
  expect(held.dropped()).toBe(8);
  expect(held.results).toEqual(Array.from({ length: 8 }, () => 'lost'));
  await waitUntil('the first of each to be at the API', () => waiting() === 8);
  letGo();
  await waitUntil('each of them to be settled', () => held.results.length === 16);
});

test('above the bound of requests at once a callback is refused before its token is looked at, and counted', async () => {
  const { held, letGo, waiting } = await startHeld({ requestsInFlight: 3 });
  const answers = Array.from({ length: 3 }, () => held.get(good));
  await waitUntil('as many as allowed to be at the API', () => waiting() === 3);
  const refused = [await held.get(good), await held.get(`${path}x`)];
  expect(refused.map(({ status }) => status)).toEqual([503, 503]);
  expect(held.results).toEqual(['lost', 'lost']);
  letGo();
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await held.get(good)).status).toBe(200);
});

test('a request of a client that has left still counts until its work ends', async () => {
  const { held, letGo, waiting } = await startHeld({ requestsInFlight: 1 });
  const socket = connect(held.server.port, '127.0.0.1');
  sockets.push(socket);
  socket.write(`GET ${good} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await waitUntil('its call to be at the API', () => waiting() === 1);
  socket.resetAndDestroy();
  expect((await held.get(good)).status).toBe(503);
  letGo();
});

test('silent connections keep no callback out: the longest idle ones are closed for it, and counted', async () => {
  const silent = Array.from({ length: 50 }, () => cutOff(''));
  await waitUntil('all to be connected', () => sockets.every(({ connecting }) => !connecting));
  for (let count = 0; count < 20; count++) expect((await sidecar.get(good)).status).toBe(200);
  expect(sidecar.dropped()).toBeGreaterThan(0);
  await Promise.all(silent);
});

test('bytes beyond ASCII in the request line are refused by the parser', async () => {
  const bytes = Buffer.from(`GET ${path}?id=${CAPTCHA_ID}&code=é HTTP/1.1\r\nHost: x\r\n\r\n`, 'utf8');
  expect(await sidecar.raw(bytes)).toMatch(/^HTTP\/1\.1 400 /);
});

test('a client that leaves in the middle of its body is nobody’s crash', async () => {
  const socket = connect(sidecar.server.port, '127.0.0.1');
  sockets.push(socket);
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nid=1`, () => socket.resetAndDestroy());
  await waitUntil('the connection to be gone', () => socket.destroyed);
  expect((await sidecar.get(good)).status).toBe(200);
});
