/**
 * Strangers at the gateway: forged, foreign and revoked keys, ids of others, and requests that make no sense. Nobody
 * learns anything, nothing reaches the API server, and every answer is one that the family knows.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { belongsTo, ID_CHANCE, idOf } from '../../src/core/gateway/ids.ts';
import { listedCode } from '../../src/core/provider-codes.ts';
import { loadGatewayKeys, type GatewayKeys } from '../../src/gateway/keys.ts';
import { KEY_A, KEY_B, sha256, startTestGateway, type GatewayUnderTest } from '../support/gateway.ts';

const REVOKED = 'f'.repeat(32);
const line = (namespace: string, key: string): string => `${namespace}:${sha256(key)}\n`;

let place: string;
let keys: GatewayKeys;
let gateway: GatewayUnderTest;

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'gateway-fuzz-'));
  const file = join(place, 'keys');
  await writeFile(file, line('team-a', KEY_A) + line('team-b', REVOKED));
  keys = await loadGatewayKeys({ path: file, reloadIntervalMs: 3_600_000 });
  await writeFile(file, line('team-a', KEY_A) + line('team-b', KEY_B));
  await keys.reload();
  gateway = await startTestGateway({ keys });
});
afterEach(async () => {
  keys.stop();
  await gateway.stop();
  expect(gateway.crashes).toEqual([]);
  await rm(place, { recursive: true, force: true });
});

const RUNS = { numRuns: 300, seed: 16 };
const V2 = { method: 'userrecaptcha', googlekey: 'K', pageurl: 'https://example.com' };

test('a key that is forged, cut, longer or revoked gets one of two words, whatever it asks for, and no API call', async () => {
  const id = /\d{18}/.exec(await gateway.in(V2))?.[0] ?? '';
  const calls = gateway.calls.length;
  const near = fc
    .tuple(fc.nat(31), fc.constantFrom('a', 'b', 'f', '0'))
    .map(([at, letter]) => KEY_A.slice(0, at) + letter + KEY_A.slice(at + 1));
  const forged = fc.oneof(
    fc.constant(REVOKED),
    fc.stringMatching(/^[0-9a-f]{32}$/),
    fc.string({ maxLength: 40 }),
    near,
    fc.constantFrom(KEY_A.toUpperCase(), ` ${KEY_A}`, `${KEY_A}\0`, KEY_A + KEY_A, sha256(KEY_A)),
  );
  const asked = fc.constantFrom(
    { action: 'get', id },
    { action: 'get', ids: id },
    { action: 'threadsinfo' },
    { action: 'reportbad', id },
    V2,
  );
  await fc.assert(
    fc.asyncProperty(forged, asked, async (key, fields) => {
      fc.pre(key !== KEY_A && key !== KEY_B);
      const text = 'method' in fields ? await gateway.in(fields, key) : await gateway.res(fields, key);
      expect(text).toBe(key.length === 32 ? 'ERROR_KEY_DOES_NOT_EXIST' : 'ERROR_WRONG_USER_KEY');
    }),
    RUNS,
  );
  expect(gateway.calls).toHaveLength(calls);
});

test('an id of another namespace, finished or not, is answered as one that was never given out, without an API call', async () => {
  const ids: string[] = [];
  for (let count = 0; count < 20; count++) ids.push(/\d{18}/.exec(await gateway.in(V2))?.[0] ?? '');
  const [first] = gateway.tasks();
  const solution = { value: 'secret', source: 'Poll', attempt: 1, receivedTime: '2026-01-01T00:00:00Z' } as const;
  gateway.finish(first!, { phase: 'Solved', solution });
  const calls = gateway.calls.length;
  const never = fc.integer({ min: ID_CHANCE[0], max: ID_CHANCE[1] - 1 }).map((chance) => idOf('team-a', chance));
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.constantFrom(...ids), never), fc.boolean(), async (id, json) => {
      fc.pre(!belongsTo('team-b', id));
      const text = await gateway.res({ action: 'get', id, wait: '60', json: json ? '1' : '0' }, KEY_B);
      expect(text).toBe(json ? '{"status":0,"request":"ERROR_WRONG_CAPTCHA_ID"}' : 'ERROR_WRONG_CAPTCHA_ID');
    }),
    RUNS,
  );
  expect(gateway.calls).toHaveLength(calls);
});

const KNOWN = /^(?:OK\|\d{18}|CAPCHA_NOT_READY|REPORT_NOT_RECORDED|OK)$/;

test('whatever is sent, the answer is one that the family knows', async () => {
  const name = fc.oneof(
    fc.constantFrom(
      'method',
      'action',
      'id',
      'ids',
      'googlekey',
      'pageurl',
      'sitekey',
      'version',
      'body',
      'json',
      'proxy',
      'proxytype',
      'wait',
      'gt',
      'img_type',
    ),
    fc.string({ maxLength: 12 }),
  );
  const value = fc.oneof(
    fc.constantFrom(
      'get',
      'userrecaptcha',
      'base64',
      'post',
      'geetest',
      'v3',
      '1',
      '0',
      'turnstile',
      'bls',
      'toString',
      '__proto__',
    ),
    fc.string({ maxLength: 30 }),
  );
  const type = fc.constantFrom(
    'application/x-www-form-urlencoded',
    'application/json',
    'multipart/form-data; boundary=x',
    'multipart/form-data',
    'text/plain',
  );
  const body = fc.oneof(
    fc.dictionary(name, value, { maxKeys: 6 }).map((fields) => new URLSearchParams(fields).toString()),
    fc.json(),
    fc.string({ maxLength: 200 }),
    fc.constant('--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n'),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('/in.php', '/res.php'), type, body, async (path, contentType, text) => {
      const reply = await gateway.post(`${path}?key=${KEY_A}`, contentType, text);
      expect(reply.status).toBe(200);
      const said = reply.body.startsWith('{') ? wordIn(reply.body) : reply.body;
      expect(KNOWN.test(said) || listedCode(said) !== undefined, said).toBe(true);
    }),
    { ...RUNS, numRuns: 600 },
  );
});

function wordIn(body: string): string {
  const { request, threads } = JSON.parse(body) as { request?: string; threads?: number };
  if (threads !== undefined) return 'OK';
  return /^\d{18}$/.test(request ?? '') ? `OK|${request}` : (request ?? '');
}
