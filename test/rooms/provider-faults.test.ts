/**
 * Every way a provider call can go wrong, on a real socket: what it proves about the submission, and that the client is
 * as good as new afterwards.
 */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Server } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Captcha } from '../../src/api/captchatask.ts';
import { FAULTS, type FaultName } from '../../dev/simulator/script.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import { createProviderClient, type ProviderClient } from '../../src/provider/client.ts';
import { REQUEST_CODES } from '../../src/core/provider-labels.ts';
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from '../support/loopback-certificate.ts';
import { listenOnLoopback } from '../support/loopback-server.ts';
import { waitUntil } from '../support/wait-until.ts';

const KEY = 'fedcba9876543210fedcba9876543210';
/** Long enough for loopback on a loaded machine, short enough for the faults that never answer. */
const options = { timeoutMs: 700 };
const patient = { timeoutMs: 10_000 };

const closers: (() => unknown)[] = [];
const codes: string[] = [];
let simulator: Simulator;
let client: ProviderClient;
let pages = 0;

beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator.stop());
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  codes.length = 0;
});

function clientOf(baseUrl: string): ProviderClient {
  const made = createProviderClient({ baseUrl, hooks: { onRequest: ({ code }) => codes.push(code) } });
  closers.push(() => made.close());
  return made;
}

function nextPage(): { page: string; spec: Captcha } {
  pages += 1;
  const page = `https://example.com/fault-${pages}`;
  return { page, spec: { type: 'Turnstile', turnstile: { siteKey: '0x4AAA', pageURL: page } } };
}

const listenOn = (server: Server | HttpServer): Promise<number> => listenOnLoopback(server, closers);

interface Proof {
  submit: { kind: string; cause?: string };
  poll: { kind: string; cause?: string };
}

/** What each fault of a reply proves. Where nothing is proven, the submission is unknown. */
const PROVES: Readonly<Record<FaultName, Proof>> = {
  reset: unproven('reset', 'network'),
  resetInBody: unproven('reset', 'network'),
  shortBody: unproven('reset', 'network'),
  hang: unproven('timeout', 'timeout'),
  slowBody: unproven('timeout', 'timeout'),
  html500: unproven('http5xx', 'http5xx'),
  html502: unproven('http5xx', 'http5xx'),
  html200: unproven('unreadable', 'unreadable'),
  redirect: unproven('http3xx', 'unreadable'),
  truncatedJson: unproven('unreadable', 'unreadable'),
  badGzip: unproven('network', 'network'),
  garbage: unproven('unreadable', 'unreadable'),
  notHttp: unproven('network', 'network'),
  empty: unproven('empty', 'unreadable'),
  huge: unproven('tooLarge', 'unreadable'),
  http400: notAccepted('http4xx'),
  http404: notAccepted('http4xx'),
  http429: notAccepted('http429'),
  http503: notAccepted('http503'),
  wrongContentType: { submit: { kind: 'accepted' }, poll: { kind: 'solved' } },
};

function unproven(cause: string, pollCause: string): Proof {
  return { submit: { kind: 'unknown', cause }, poll: { kind: 'unreachable', cause: pollCause } };
}
function notAccepted(cause: string): Proof {
  return { submit: { kind: 'unreachable', cause }, poll: { kind: 'unreachable', cause } };
}

describe.each(FAULTS)('when the reply goes wrong (%s)', (fault) => {
  test('a submission is told apart by what the reply proves, and the next one succeeds', async () => {
    client = clientOf(simulator.url);
    const { page, spec } = nextPage();
    const accept = PROVES[fault].submit.kind !== 'unreachable';
    await simulator.control.script(
      { submit: [{ fault, accept }, { accept: true }] },
      { field: 'pageurl', equals: page },
    );
    expect(await client.submit({ apiKey: KEY, spec }, options)).toMatchObject(PROVES[fault].submit);
    expect(await client.submit({ apiKey: KEY, spec }, patient)).toMatchObject({ kind: 'accepted' });
    const { submissions, totals } = await simulator.control.ledger({ field: 'pageurl', equals: page });
    expect(submissions.map((line) => line.paid)).toEqual([accept, true]);
    expect(totals.unexpected, 'a redirect was followed').toBe(0);
    for (const code of codes) expect(REQUEST_CODES).toContain(code);
  });

  test('a poll never ends the task, and the next one finds the result', async () => {
    client = clientOf(simulator.url);
    const { page, spec } = nextPage();
    await simulator.control.script({ tasks: [{ polls: [{ fault }] }] }, { field: 'pageurl', equals: page });
    const accepted = await client.submit({ apiKey: KEY, spec }, patient);
    const captchaID = accepted.kind === 'accepted' ? accepted.captchaID : '';
    await solved(page);
    const poll = { apiKey: KEY, captchaID, captcha: { type: 'Turnstile' } } as const;
    expect(await client.poll(poll, options)).toMatchObject(PROVES[fault].poll);
    expect(await client.poll(poll, patient)).toMatchObject({
      kind: 'solved',
      value: `03token-${captchaID}_AbC-dEf+gHi/jKl=`,
    });
  });
});

/** The simulator solves at once, but on a timer. */
async function solved(page: string): Promise<void> {
  await waitUntil('the simulator to solve the task', async () => {
    const { submissions } = await simulator.control.ledger({ field: 'pageurl', equals: page });
    return submissions.at(-1)?.solvedTimeMs !== undefined;
  });
}

describe('nothing was sent, provably, when', () => {
  test('the connection is refused', async () => {
    const port = await listenOn(createTcpServer());
    await closers.pop()?.();
    const outcome = await clientOf(`http://127.0.0.1:${port}`).submit({ apiKey: KEY, spec: nextPage().spec }, patient);
    expect(outcome).toEqual({ kind: 'unreachable', cause: 'connectionRefused' });
    expect(codes).toEqual(['connection_refused']);
  });

  test('the name does not resolve', async () => {
    // A label of 64 characters is no name: the resolver refuses it without asking the network.
    const outcome = await clientOf(`http://${'x'.repeat(64)}.invalid`).submit(
      { apiKey: KEY, spec: nextPage().spec },
      patient,
    );
    expect(outcome).toEqual({ kind: 'unreachable', cause: 'dns' });
  });

  test('the other side does not speak TLS', async () => {
    const port = await listenOn(createTcpServer((socket) => socket.end('220 mail.example.com ESMTP\r\n')));
    const outcome = await clientOf(`https://127.0.0.1:${port}`).submit({ apiKey: KEY, spec: nextPage().spec }, patient);
    expect(outcome).toEqual({ kind: 'unreachable', cause: 'tls' });
  });

  test('the connection is reset within the TLS handshake', async () => {
    const port = await listenOn(createTcpServer((socket) => socket.once('data', () => socket.resetAndDestroy())));
    const outcome = await clientOf(`https://127.0.0.1:${port}`).submit({ apiKey: KEY, spec: nextPage().spec }, patient);
    expect(outcome).toEqual({ kind: 'unreachable', cause: 'tls' });
  });

  test('the certificate is not trusted', async () => {
    const seen: string[] = [];
    const server = createHttpsServer({ cert: LOOPBACK_CERTIFICATE, key: LOOPBACK_KEY }, (request) =>
      seen.push(request.url ?? ''),
    );
    const port = await listenOn(server);
    const outcome = await clientOf(`https://127.0.0.1:${port}`).submit({ apiKey: KEY, spec: nextPage().spec }, patient);
    expect(outcome).toEqual({ kind: 'unreachable', cause: 'tls' });
    expect(seen).toEqual([]);
  });

  test('the deadline passes within the TLS handshake', async () => {
    const port = await listenOn(createTcpServer());
    const outcome = await clientOf(`https://127.0.0.1:${port}`).submit(
      { apiKey: KEY, spec: nextPage().spec },
      { timeoutMs: 200 },
    );
    expect(outcome).toEqual({ kind: 'unreachable', cause: 'timeout' });
  });

  test('the caller had given up before', async () => {
    const { page, spec } = nextPage();
    const outcome = await clientOf(simulator.url).submit(
      { apiKey: KEY, spec },
      { ...patient, signal: AbortSignal.abort() },
    );
    expect(outcome).toEqual({ kind: 'unreachable', cause: 'network' });
    expect((await simulator.control.ledger({ field: 'pageurl', equals: page })).submissions).toEqual([]);
  });
});

describe('a submission is unknown when', () => {
  test('a kept-alive connection is reset under it, even before a byte of it was read', async () => {
    let requests = 0;
    const server = createHttpServer((request, response) => {
      requests += 1;
      if (requests > 1) request.socket.resetAndDestroy();
      else request.resume().once('end', () => response.end('OK|1'));
    });
    client = clientOf(`http://127.0.0.1:${await listenOn(server)}`);
    expect(await client.submit({ apiKey: KEY, spec: nextPage().spec }, patient)).toMatchObject({ kind: 'accepted' });
    expect(await client.submit({ apiKey: KEY, spec: nextPage().spec }, patient)).toEqual({
      kind: 'unknown',
      cause: 'reset',
    });
    expect(requests).toBe(2);
  });

  test('the caller gives up after it was sent', async () => {
    const controller = new AbortController();
    const server = createHttpServer((request) => request.resume().once('end', () => controller.abort()));
    client = clientOf(`http://127.0.0.1:${await listenOn(server)}`);
    const outcome = await client.submit(
      { apiKey: KEY, spec: nextPage().spec },
      { ...patient, signal: controller.signal },
    );
    expect(outcome).toEqual({ kind: 'unknown', cause: 'aborted' });
  });

  test('a trusted TLS connection is reset after the request', async () => {
    const system = getCACertificates('default');
    setDefaultCACertificates([...system, LOOPBACK_CERTIFICATE]);
    closers.push(() => setDefaultCACertificates(system));
    let requests = 0;
    const server = createHttpsServer({ cert: LOOPBACK_CERTIFICATE, key: LOOPBACK_KEY }, (request, response) => {
      requests += 1;
      request.resume().once('end', () => (requests === 1 ? request.socket.destroy() : response.end('OK|12')));
    });
    client = clientOf(`https://127.0.0.1:${await listenOn(server)}`);
    expect(await client.submit({ apiKey: KEY, spec: nextPage().spec }, patient)).toEqual({
      kind: 'unknown',
      cause: 'reset',
    });
    expect(await client.submit({ apiKey: KEY, spec: nextPage().spec }, patient)).toEqual({
      kind: 'accepted',
      captchaID: '12',
    });
  });
});

describe('Retry-After', () => {
  test.each([
    ['3', 3_000],
    ['999999999', 3_600_000],
    ['soon', undefined],
    ['-1', undefined],
  ])('%j is read as %s ms', async (retryAfter, retryAfterMs) => {
    const { page, spec } = nextPage();
    await simulator.control.script({ submit: [{ fault: 'http429', retryAfter }] }, { field: 'pageurl', equals: page });
    const outcome = await clientOf(simulator.url).submit({ apiKey: KEY, spec }, patient);
    expect(outcome).toEqual({
      kind: 'unreachable',
      cause: 'http429',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  });

  test('as a date counts from the date of the reply, not from our clock', async () => {
    const server = createHttpServer((request, response) => {
      const headers = { date: 'Mon, 01 Jan 2001 00:00:00 GMT', 'retry-after': 'Mon, 01 Jan 2001 00:00:42 GMT' };
      request.resume().once('end', () => response.writeHead(503, headers).end());
    });
    client = clientOf(`http://127.0.0.1:${await listenOn(server)}`);
    const outcome = await client.submit({ apiKey: KEY, spec: nextPage().spec }, patient);
    expect(outcome).toEqual({ kind: 'unreachable', cause: 'http503', retryAfterMs: 42_000 });
  });
});

describe('the key', () => {
  test('is in no URL, and nothing but the body carries it', async () => {
    const heads: string[] = [];
    const server = createHttpServer((request, response) => {
      heads.push(`${request.method} ${request.url} ${JSON.stringify(request.rawHeaders)}`);
      request.resume().once('end', () => response.end('CAPCHA_NOT_READY'));
    });
    client = clientOf(`http://127.0.0.1:${await listenOn(server)}`);
    await client.submit({ apiKey: KEY, spec: nextPage().spec }, patient);
    await client.poll({ apiKey: KEY, captchaID: '12', captcha: { type: 'Image' } }, patient);
    await client.threads({ apiKey: KEY }, patient);
    expect(heads.map((head) => head.split(' ').slice(0, 2).join(' '))).toEqual([
      'POST /in.php',
      'POST /res.php?action=get&id=12&json=1',
      'POST /res.php?action=threadsinfo&json=1',
    ]);
    expect(heads.join()).not.toContain(KEY);
  });
});
