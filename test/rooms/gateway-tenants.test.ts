/**
 * Tenants that run wild: one floods, holds or dawdles, and what the others are told and cost stays as it was. Addresses of
 * other clients are those that a Linux loopback has.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { belongsTo, ID_CHANCE, idOf } from '../../src/core/gateway/ids.ts';
import { loadGatewayKeys } from '../../src/gateway/keys.ts';
import { LIMITS } from '../../src/gateway/limits.ts';
import {
  KEY_A,
  KEY_B,
  sha256,
  startTestGateway,
  type GatewaySettings,
  type GatewayUnderTest,
} from '../support/gateway.ts';
import { createModelApi } from '../support/model-api.ts';
import { waitUntil } from '../support/wait-until.ts';

let gateways: GatewayUnderTest[] = [];
let sockets: Socket[] = [];
async function begin(settings: GatewaySettings = {}): Promise<GatewayUnderTest> {
  const gateway = await startTestGateway(settings);
  gateways.push(gateway);
  return gateway;
}
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  expect(gateways.flatMap(({ crashes }) => crashes)).toEqual([]);
  gateways = [];
  sockets = [];
});

const V2 = { method: 'userrecaptcha', googlekey: 'K', pageurl: 'https://example.com' };
const idIn = (text: string): string => /\d{18}/.exec(text)?.[0] ?? '';
const ids = (namespace: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => idOf(namespace, ID_CHANCE[0] + index * 7_919));
const FLOOD = 1_000;

/** Asks for all of them, fifty at a time. */
async function pollAll(gateway: GatewayUnderTest, asked: readonly string[], key: string): Promise<string[]> {
  const told: string[] = [];
  for (let at = 0; at < asked.length; at += 50) {
    const batch = asked.slice(at, at + 50).map((id) => gateway.res({ action: 'get', id }, key));
    told.push(...(await Promise.all(batch)));
  }
  return told;
}

test('a thousand polls for ids of others cost the API server nothing, and the others are answered', async () => {
  const gateway = await begin();
  const id = idIn(await gateway.in(V2, KEY_B));
  const calls = gateway.calls.length;
  const foreign = ids('team-b', FLOOD).filter((one) => !belongsTo('team-a', one));
  expect(new Set(await pollAll(gateway, foreign, KEY_A))).toEqual(new Set(['ERROR_WRONG_CAPTCHA_ID']));
  expect(await gateway.res({ action: 'get', id }, KEY_B)).toBe('CAPCHA_NOT_READY');
  expect(gateway.calls).toHaveLength(calls);
});

test('ids that a tenant makes up for itself are looked up at its own pace, and others are looked up as ever', async () => {
  const api = createModelApi(Date.now);
  const limits = { lookUpsPerSecond: 1 };
  const gateway = await begin({ api, limits });
  const told = await pollAll(gateway, ids('team-a', FLOOD), KEY_A);
  expect(new Set(told)).toEqual(new Set(['CAPCHA_NOT_READY', 'ERROR_WRONG_CAPTCHA_ID']));
  // As many as the seconds that it took, and those are few.
  expect(gateway.calls.length).toBeLessThan(FLOOD / 10);
  expect(told.filter((word) => word === 'ERROR_WRONG_CAPTCHA_ID')).toHaveLength(gateway.calls.length);
  const calls = gateway.calls.length;
  const [unknown = ''] = ids('team-b', 1);
  expect(await gateway.res({ action: 'get', id: unknown }, KEY_B)).toBe('ERROR_WRONG_CAPTCHA_ID');
  expect(gateway.calls).toHaveLength(calls + 1);
});

const keyOf = (index: number): string => String(index).padStart(32, 'k');

test('of a full file of keys each opens its own namespace, and a thousand that are in no file open none', async () => {
  const place = await mkdtemp(join(tmpdir(), 'gateway-tenants-'));
  const lines = Array.from({ length: 1_024 }, (_, index) => `team-${index % 64}:${sha256(keyOf(index))}\n`);
  await writeFile(join(place, 'keys'), lines.join(''));
  const keys = await loadGatewayKeys({ path: join(place, 'keys'), reloadIntervalMs: 3_600_000 });
  const gateway = await begin({ keys });
  for (const index of [0, 63, 64, 1_023]) expect(idIn(await gateway.in(V2, keyOf(index)))).not.toBe('');
  const namespaces = gateway.tasks().map(({ metadata }) => metadata.namespace);
  expect(namespaces).toEqual(['team-0', 'team-63', 'team-0', 'team-63']);
  const calls = gateway.calls.length;
  const told = new Set<string>();
  for (let index = 1_024; index < 1_024 + FLOOD; index++) told.add(await gateway.in(V2, keyOf(index)));
  expect([...told]).toEqual(['ERROR_KEY_DOES_NOT_EXIST']);
  expect(gateway.calls).toHaveLength(calls);
  keys.stop();
  await rm(place, { recursive: true, force: true });
});

describe('a tenant whose requests all wait', () => {
  const limits = { requestsInFlight: 8, requestsOfNamespace: 4 };

  test('has its share of them, is answered at once beyond it, and leaves the rest to others', async () => {
    const gateway = await begin({ limits });
    const open = idIn(await gateway.in(V2, KEY_A));
    const done = idIn(await gateway.in(V2, KEY_A));
    const told: string[] = [];
    const polls = Array.from({ length: 8 }, async () => {
      told.push(await gateway.res({ action: 'get', id: open, wait: '60' }, KEY_A));
    });
    await waitUntil('those beyond its share to be answered', () => told.length === 4);
    expect(told).toEqual(Array.from({ length: 4 }, () => 'CAPCHA_NOT_READY'));
    expect(await gateway.in(V2, KEY_A)).toBe('ERROR_NO_SLOT_AVAILABLE');
    const other = idIn(await gateway.in(V2, KEY_B));
    expect(await gateway.res({ action: 'get', id: other }, KEY_B)).toBe('CAPCHA_NOT_READY');
    const [first, second] = gateway.tasks();
    const solution = { value: 'token', source: 'Poll', attempt: 1, receivedTime: '2026-01-01T00:00:00Z' } as const;
    const ofDone = first?.metadata.name === `gw-${done}` ? first : second;
    gateway.finish(ofDone!, { phase: 'Solved', solution });
    expect(await gateway.res({ action: 'get', id: done, wait: '60' }, KEY_A)).toBe('OK|token');
    gateway.finish(ofDone === first ? second! : first!, { phase: 'Solved', solution });
    await Promise.all(polls);
    expect(told.filter((word) => word === 'OK|token')).toHaveLength(4);
    expect(await gateway.res({ action: 'threadsinfo' }, KEY_A)).toContain('"working_threads":0');
  });
});

/** Another pod. */
const OTHER = '127.0.0.2';

function from(address: string, gateway: GatewayUnderTest, text: string): Promise<Socket> {
  return new Promise((resolve) => {
    const { port } = new URL(gateway.url);
    const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: address }, () => {
      if (text !== '') socket.write(text);
      resolve(socket);
    });
    sockets.push(socket);
    socket.on('error', () => resolve(socket)).resume();
  });
}

describe.skipIf(process.platform !== 'linux')('a client on another address', () => {
  test('that sends its uploads slowly has half of the room for bodies, and others submit', async () => {
    const gateway = await begin({ limits: { bodiesBytes: 8 * LIMITS.bodyBytes } });
    const head = 'POST /in.php HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    for (let count = 0; count < 12; count++) await from(OTHER, gateway, head);
    await waitUntil('those beyond its half to be refused', () => gateway.results.length === 8);
    expect(gateway.results.map(([, result]) => result)).toEqual(Array.from({ length: 8 }, () => 'error'));
    const fields = new URLSearchParams({ key: KEY_B, ...V2 }).toString();
    const answer = await gateway.post('/in.php', 'application/x-www-form-urlencoded', fields);
    expect(answer.body).toMatch(/^OK\|\d{18}$/);
  });

  test('that holds a thousand connections without a word shuts nobody out', async () => {
    const gateway = await begin();
    for (let count = 0; count < LIMITS.connectionsOfAddress; count++) await from(OTHER, gateway, '');
    expect(idIn(await gateway.in(V2, KEY_B))).not.toBe('');
    expect(sockets.filter(({ destroyed }) => destroyed)).toEqual([]);
  });

  test('that keeps its connections busy has its share of them, and others get in', async () => {
    const gateway = await begin({ limits: { connections: 4, connectionsOfAddress: 2 } });
    const id = idIn(await gateway.in(V2, KEY_A));
    const poll = `GET /res.php?action=get&id=${id}&wait=60&key=${KEY_A} HTTP/1.1\r\nHost: x\r\n\r\n`;
    for (let count = 0; count < 6; count++) await from(OTHER, gateway, poll);
    await waitUntil('those beyond its share to be closed', () => sockets.filter((one) => one.destroyed).length === 4);
    expect(await gateway.res({ action: 'get', id }, KEY_A)).toBe('CAPCHA_NOT_READY');
  });
});
