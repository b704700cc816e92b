/**
 * Whatever a server sends back, byte for byte, a provider call ends as a value within its deadline, and nothing escapes
 * as an unhandled error (vitest fails the run on one).
 */
import * as fc from 'fast-check';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProviderClient, type ProviderClient } from '../../src/provider/client.ts';

const spec = { type: 'Turnstile', turnstile: { siteKey: 'K', pageURL: 'https://example.com/' } } as const;
const request = { apiKey: '0'.repeat(32), spec };
const options = { timeoutMs: 2_000 };

let client: ProviderClient;
let reply: Uint8Array = new Uint8Array();
const sockets = new Set<Socket>();
/** Reads the head and the body of a request (its length is announced), then sends the prepared bytes and closes. */
const server = createServer((socket) => {
  sockets.add(socket.once('close', () => sockets.delete(socket)).on('error', () => undefined));
  let seen = '';
  socket.on('data', (chunk: Buffer) => {
    seen += chunk.toString('latin1');
    const head = seen.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(seen)?.[1] ?? Number.NaN);
    if (head !== -1 && seen.length >= head + 4 + length) socket.end(reply);
  });
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = createProviderClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
afterAll(async () => {
  client.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const headers = fc.array(
  fc.oneof(
    fc.constantFrom(
      'Content-Type: application/json',
      'Content-Encoding: gzip',
      'Content-Encoding: deflate',
      'Content-Encoding: br',
      'Transfer-Encoding: chunked',
      'Content-Length: 5',
      'Content-Length: 999999',
      'Location: http://127.0.0.1:1/',
      'Location: ::',
      'Retry-After: 5',
      'Retry-After: Mon, 01 Jan 2001 00:00:00 GMT',
      'Connection: keep-alive',
      'Connection: upgrade',
      'Trailer: x',
    ),
    fc.string({ maxLength: 30 }).map((value) => `X-Any: ${value.replaceAll(/[\r\n]/g, '')}`),
  ),
  { maxLength: 4 },
);
const bodies = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .constantFrom(
      '{"status":1,"request":12}',
      'OK|12',
      'CAPCHA_NOT_READY',
      'ERROR_ZERO_BALANCE',
      '5\r\nOK|12\r\n0\r\n\r\n',
      '',
    )
    .map((text) => new TextEncoder().encode(text)),
);
const statuses = fc.oneof(
  fc.constantFrom(100, 101, 103, 200, 204, 206, 301, 302, 304, 400, 407, 429, 500, 503, 599),
  fc.nat(999),
);
const replies = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.tuple(statuses, headers, bodies).map(([status, lines, body]) => {
    const head = [`HTTP/1.1 ${status} Any`, ...lines, '', ''].join('\r\n');
    return new Uint8Array(Buffer.concat([Buffer.from(head), body]));
  }),
);

describe('any bytes for a reply', () => {
  test('end a submission as a value, and never as proof that nothing was sent unless the status is that proof', async () => {
    await fc.assert(
      fc.asyncProperty(replies, async (bytes) => {
        reply = bytes;
        const outcome = await client.submit(request, options);
        if (outcome.kind === 'unreachable') expect(outcome.cause).toMatch(/^http(4xx|429|503)$/);
        if (outcome.kind === 'accepted') expect(outcome.captchaID).toMatch(/^\d{1,20}$/);
      }),
      { numRuns: 400 },
    );
  });

  test('end a poll as a value', async () => {
    await fc.assert(
      fc.asyncProperty(replies, async (bytes) => {
        reply = bytes;
        const outcome = await client.poll(
          { apiKey: request.apiKey, captchaID: '1', captcha: { type: 'GeeTestV3' } },
          options,
        );
        expect(['pending', 'solved', 'refused', 'unreachable', 'unreadable']).toContain(outcome.kind);
      }),
      { numRuns: 400 },
    );
  });
});
