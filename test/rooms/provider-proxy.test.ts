/**
 * Calls to the provider through a forward proxy: what goes through it, and that nothing which fails before the tunnel
 * stands is taken for sent.
 */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type Server, type Socket } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProviderClient, type ProviderClient } from '../../src/provider/client.ts';
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from '../support/loopback-certificate.ts';
import { listenOnLoopback } from '../support/loopback-server.ts';

const KEY = 'fedcba9876543210fedcba9876543210';
const spec = { type: 'Turnstile', turnstile: { siteKey: '0x4AAA', pageURL: 'https://example.com' } } as const;
const patient = { timeoutMs: 10_000 };
const closers: (() => unknown)[] = [];

let port: number;
let reply: (socket: Socket) => string | undefined;
beforeEach(async () => {
  const system = getCACertificates('default');
  setDefaultCACertificates([...system, LOOPBACK_CERTIFICATE]);
  closers.push(() => setDefaultCACertificates(system));
  reply = () => 'OK|12';
  const server = createHttpsServer({ cert: LOOPBACK_CERTIFICATE, key: LOOPBACK_KEY }, (request, response) => {
    request.resume().once('end', () => {
      const text = reply(request.socket);
      if (text !== undefined) response.end(text);
    });
  });
  port = await listenOn(server);
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const listenOn = (server: Server | HttpServer): Promise<number> => listenOnLoopback(server, closers);

interface Proxy {
  url: string;
  /** What it was asked for: target and Proxy-Authorization. */
  asked: (string | undefined)[][];
}

/** A forward proxy that opens tunnels, or does something else with those who ask for one. */
async function startProxy(instead?: (socket: Socket) => void): Promise<Proxy> {
  const asked: Proxy['asked'] = [];
  const server = createHttpServer((_request, response) => response.writeHead(400).end());
  server.on('connect', (request, socket: Socket) => {
    asked.push([request.url, request.headers['proxy-authorization']]);
    socket.on('error', () => {});
    if (instead !== undefined) return instead(socket);
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => socket.destroy());
    upstream.on('close', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
  });
  return { url: `http://127.0.0.1:${await listenOn(server)}`, asked };
}

function clientOf(proxy: { url: string; except?: string }): ProviderClient {
  const made = createProviderClient({ baseUrl: `https://127.0.0.1:${port}`, proxy });
  closers.push(() => made.close());
  return made;
}

const submit = (client: ProviderClient) => client.submit({ apiKey: KEY, spec }, patient);

describe('a forward proxy', () => {
  test('is asked for a tunnel, once for calls that follow each other, with its own credentials', async () => {
    const proxy = await startProxy();
    const client = clientOf({ url: proxy.url.replace('//', '//user:pass@') });
    expect(await submit(client)).toEqual({ kind: 'accepted', captchaID: '12' });
    expect(await submit(client)).toEqual({ kind: 'accepted', captchaID: '12' });
    expect(proxy.asked).toEqual([[`127.0.0.1:${port}`, `Basic ${Buffer.from('user:pass').toString('base64')}`]]);
  });

  test('is passed by for hosts that are excepted', async () => {
    const proxy = await startProxy();
    expect(await submit(clientOf({ url: proxy.url, except: 'example.com,127.0.0.1' }))).toMatchObject({
      kind: 'accepted',
    });
    expect(proxy.asked).toEqual([]);
  });
});

describe('a submission is proven not sent', () => {
  test.each([
    ['wants credentials', (socket: Socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')],
    ['does not reach the provider', (socket: Socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')],
    ['hangs up', (socket: Socket) => socket.destroy()],
  ])('when the proxy %s', async (_title, instead) => {
    const { url } = await startProxy(instead);
    expect(await submit(clientOf({ url }))).toMatchObject({ kind: 'unreachable', cause: 'network' });
  });

  test('when the proxy is not there', async () => {
    expect(await submit(clientOf({ url: 'http://127.0.0.1:1' }))).toEqual({
      kind: 'unreachable',
      cause: 'connectionRefused',
    });
  });

  test('when the proxy says nothing until the time is over', async () => {
    const { url } = await startProxy(() => {});
    const outcome = await clientOf({ url }).submit({ apiKey: KEY, spec }, { timeoutMs: 300 });
    expect(outcome).toEqual({ kind: 'unreachable', cause: 'timeout' });
  });

  test('when the TLS handshake with whoever answers behind the proxy fails', async () => {
    setDefaultCACertificates([]);
    const { url } = await startProxy();
    expect(await submit(clientOf({ url }))).toEqual({ kind: 'unreachable', cause: 'tls' });
  });
});

test('a tunnel that breaks after the request leaves the submission unknown', async () => {
  reply = (socket) => {
    socket.destroy();
    return undefined;
  };
  const { url } = await startProxy();
  expect(await submit(clientOf({ url }))).toEqual({ kind: 'unknown', cause: 'reset' });
});
