/** The gateway by TLS, on real sockets: which versions, how a pair is renewed, and what a wrong one changes. */
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { connect as connectPlain, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Limits } from '../../src/gateway/limits.ts';
import { loadCertificate, type Certificate, type Pair } from '../../src/ops/certificate.ts';
import { KEY_A, startTestGateway, type GatewayUnderTest } from '../support/gateway.ts';
import {
  LOOPBACK_CERTIFICATE,
  LOOPBACK_KEY,
  RENEWED_CERTIFICATE,
  RENEWED_KEY,
} from '../support/loopback-certificate.ts';
import { waitUntil } from '../support/wait-until.ts';

const FIRST: Pair = { cert: LOOPBACK_CERTIFICATE, key: LOOPBACK_KEY };
const RENEWED: Pair = { cert: RENEWED_CERTIFICATE, key: RENEWED_KEY };
const ASKED = `/res.php?action=threadsinfo&key=${KEY_A}`;
const TOLD = '"threads":1000';

let place: string;
let versions = 0;
let certificate: Certificate;
let gateway: GatewayUnderTest | undefined;
let faults: string[];
let sockets: Socket[];

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'gateway-tls-'));
  faults = [];
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  certificate.stop();
  await gateway?.stop();
  expect(gateway?.crashes ?? []).toEqual([]);
  gateway = undefined;
  await rm(place, { recursive: true, force: true });
});

/** As a kubelet renews a mounted Secret: a new folder, and one rename of the link to it. */
async function mount({ cert, key }: Pair): Promise<void> {
  const version = `..version-${versions++}`;
  await mkdir(join(place, version));
  await writeFile(join(place, version, 'tls.crt'), cert);
  await writeFile(join(place, version, 'tls.key'), key);
  await symlink(version, join(place, '..next'));
  await rename(join(place, '..next'), join(place, '..data'));
}

async function start(pair: Pair, limits: Partial<Limits> = {}): Promise<GatewayUnderTest> {
  await mount(pair);
  certificate = await loadCertificate({
    certFile: join(place, '..data', 'tls.crt'),
    keyFile: join(place, '..data', 'tls.key'),
    reloadIntervalMs: 3_600_000,
    onFault: (fault) => faults.push(fault),
  });
  gateway = await startTestGateway({ certificate, limits });
  return gateway;
}

const portOf = ({ gateway: { tlsPort } }: GatewayUnderTest): number => tlsPort ?? 0;

/** What is told over TLS by a client that trusts this certificate and no other. */
function ask(one: GatewayUnderTest, ca: string, agent = new Agent()): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: portOf(one), path: ASKED, ca, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.once('end', () => resolve(text));
    });
    sent.once('error', (error: NodeJS.ErrnoException) => reject(new Error(error.code)));
    sent.end();
  });
}

/** The version that a client gets that knows no other, or why it gets none. */
function agreeOn(one: GatewayUnderTest, version: NonNullable<ConnectionOptions['minVersion']>): Promise<string> {
  return new Promise((resolve) => {
    const ciphers = 'DEFAULT@SECLEVEL=0';
    const options = { minVersion: version, maxVersion: version, ca: FIRST.cert, ciphers };
    const socket = connect(portOf(one), '127.0.0.1', options, () => resolve(socket.getProtocol() ?? ''));
    sockets.push(socket);
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

/** The first bytes of a handshake that never goes on. */
function beginHandshake(one: GatewayUnderTest): Socket {
  const socket = connectPlain(portOf(one), '127.0.0.1', () => socket.write(Buffer.from([22, 3, 1, 2, 0])));
  sockets.push(socket);
  return socket.on('error', () => undefined).resume();
}

test('serves by TLS what it serves in clear', async () => {
  const one = await start(FIRST);
  expect(await ask(one, FIRST.cert)).toContain(TOLD);
  expect(await (await fetch(one.url + ASKED)).text()).toContain(TOLD);
  expect(one.gateway.ready()).toBe(true);
});

test('speaks TLS 1.2 and 1.3, and nothing older', async () => {
  const one = await start(FIRST);
  expect(await agreeOn(one, 'TLSv1.3')).toBe('TLSv1.3');
  expect(await agreeOn(one, 'TLSv1.2')).toBe('TLSv1.2');
  expect(await agreeOn(one, 'TLSv1.1')).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  await certificate.reload();
  await mount(RENEWED);
  await certificate.reload();
  expect(await agreeOn(one, 'TLSv1.1')).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
});

test('shows a renewed certificate to whoever connects next, and goes on with who is connected', async () => {
  const one = await start(FIRST);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const keepAliveMs = certificate.expiresMs();
  expect(await ask(one, FIRST.cert, agent)).toContain(TOLD);
  await mount(RENEWED);
  await certificate.reload();
  expect(await ask(one, RENEWED.cert)).toContain(TOLD);
  expect(await ask(one, FIRST.cert, agent)).toContain(TOLD);
  await expect(ask(one, FIRST.cert)).rejects.toThrow('DEPTH_ZERO_SELF_SIGNED_CERT');
  expect(certificate.expiresMs()).not.toBe(keepAliveMs);
  expect(faults).toEqual([]);
  agent.destroy();
});

test.each<[why: string, pair: Pair, fault: string]>([
  ['no certificate', { ...RENEWED, cert: 'tomorrow' }, 'the certificate is not one in PEM'],
  ['no key', { ...RENEWED, key: 'tomorrow' }, 'the key is not a private key in PEM without a password'],
  ['the key of another', { ...RENEWED, key: FIRST.key }, 'the key is not that of the certificate'],
  [
    'a broken chain',
    { ...RENEWED, cert: `${RENEWED.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n` },
    'the pair cannot be used: the key is too short, or a certificate of its chain is broken',
  ],
])('a new pair with %s leaves the previous one in use, and the fault says so', async (_why, pair, fault) => {
  const one = await start(FIRST);
  await mount(pair);
  await certificate.reload();
  expect(certificate.fault()).toBe(fault);
  expect(faults).toEqual([fault]);
  expect(await ask(one, FIRST.cert)).toContain(TOLD);
  expect(one.gateway.ready()).toBe(true);
  await mount(RENEWED);
  await certificate.reload();
  expect(certificate.fault()).toBeUndefined();
  expect(await ask(one, RENEWED.cert)).toContain(TOLD);
});

test('a pair that is renewed while it is read is taken whole or not at all', async () => {
  await start(FIRST);
  await mount({ cert: RENEWED.cert, key: FIRST.key });
  const reading = certificate.reload();
  await mount(RENEWED);
  await reading;
  expect(faults).toEqual([]);
  await certificate.reload();
  expect([certificate.fault(), faults]).toEqual([undefined, []]);
  expect(await ask(gateway!, RENEWED.cert)).toContain(TOLD);
});

test('without a pair it is not ready, and serves nobody there, in clear least of all', async () => {
  const one = await start({ cert: '', key: '' });
  expect(one.gateway.ready()).toBe(false);
  await expect(ask(one, FIRST.cert)).rejects.toThrow(/^E/);
  await expect(fetch(`http://127.0.0.1:${portOf(one)}${ASKED}`)).rejects.toThrow('fetch failed');
  await mount(FIRST);
  await certificate.reload();
  expect(one.gateway.ready()).toBe(true);
  expect(await ask(one, FIRST.cert)).toContain(TOLD);
});

test('who does not finish the handshake is cut', async () => {
  const one = await start(FIRST, { slowClientMs: 100 });
  const silent = beginHandshake(one);
  await waitUntil('the connection to be closed', () => silent.destroyed);
});

test('who is in the middle of a handshake does not keep it from ending', async () => {
  const one = await start(FIRST, { stopGraceMs: 50 });
  const silent = beginHandshake(one);
  await ask(one, FIRST.cert);
  await one.stop();
  await waitUntil('the connection to be closed', () => silent.destroyed);
});

test('connections that never finish a handshake shut nobody out', async () => {
  const connections = 1_024;
  const one = await start(FIRST, { connections });
  for (let count = 0; count < connections; count++) {
    const socket = connectPlain(portOf(one), '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
  }
  await waitUntil('all to be connected', () => sockets.every(({ connecting }) => !connecting));
  expect(await ask(one, FIRST.cert)).toContain(TOLD);
  await waitUntil('the oldest to be closed', () => sockets.some(({ destroyed }) => destroyed));
});
