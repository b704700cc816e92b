/** The simulator is faithful beyond what our own client needs: every encoding, plain replies, pingbacks, account calls. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import type { PingbackStep, TaskScript } from '../../dev/simulator/script.ts';
import { waitUntil } from '../support/wait-until.ts';

const key = 'abcdefabcdefabcdefabcdefabcdefab';
const task = { key, method: 'userrecaptcha', googlekey: 'K', pageurl: 'https://example.com/' };

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator.stop());

const text = async (path: string, init?: RequestInit): Promise<string> =>
  (await fetch(`${simulator.url}${path}`, { ...init, headers: { connection: 'close' } })).text();
const form = (fields: Record<string, string>): RequestInit => ({ method: 'POST', body: new URLSearchParams(fields) });
const query = (fields: Record<string, string>): string => new URLSearchParams(fields).toString();

const lines = async (pageurl: string): Promise<{ code: unknown; status: number }[]> =>
  (await simulator.control.ledger({ field: 'pageurl', equals: pageurl })).submissions[0]?.pingbacks ?? [];

describe('in.php', () => {
  test('takes a query, a form and multipart alike, and answers plain text unless asked for JSON', async () => {
    expect(await text(`/in.php?${query(task)}`)).toMatch(/^OK\|\d{10}$/);
    expect(await text('/in.php', form(task))).toMatch(/^OK\|\d{10}$/);
    const multipart = new FormData();
    for (const [name, value] of Object.entries({ key, method: 'post', json: '1' })) multipart.append(name, value);
    multipart.append('file', new Blob([new Uint8Array(200)]), 'captcha.png');
    expect(await text('/in.php', { method: 'POST', body: multipart })).toMatch(/^\{"status":1,"request":\d{10}\}$/);
  });

  test.each([
    [{ googlekey: '' }, 'ERROR_GOOGLEKEY'],
    [{ pageurl: '' }, 'ERROR_PAGEURL'],
    [{ proxy: 'a:1' }, 'ERROR_BAD_PARAMETERS'],
    [{ method: 'base64', body: '%%%' }, 'ERROR_UPLOAD'],
    [{ method: 'bls', instructions: '664' }, 'ERROR_BAD_PARAMETERS'],
    [{ method: 'cloudflare_challenge' }, 'ERROR_BAD_PARAMETERS'],
    [{ key: 'short' }, 'ERROR_WRONG_USER_KEY'],
  ])('checks what it was sent (%j)', async (change, code) => {
    expect(await text('/in.php', form({ ...task, ...change }))).toBe(code);
    expect(await text('/in.php', form({ ...task, ...change, json: '1' }))).toBe(`{"status":0,"request":"${code}"}`);
  });
});

describe('solve.php', () => {
  test('holds the connection and answers the result', async () => {
    expect(await text('/solve.php', form({ ...task, json: '1' }))).toMatch(/^\{"status":1,"request":"03token-/);
  });
});

describe('res.php', () => {
  test('answers plain GeeTest and clearances in the provider’s plain forms', async () => {
    const geetest = { key, method: 'geetest', gt: 'g', challenge: 'c', pageurl: 'https://example.com/' };
    expect(await text('/solve.php', form(geetest))).toMatch(
      /^OK\|challenge:c,validate:validate\d+,seccode:validate\d+\|jordan$/,
    );
    const challenge = { key, method: 'cloudflare_challenge', pageurl: 'p', proxy: 'a:1', proxytype: 'HTTP' };
    expect(await text('/solve.php', form(challenge))).toMatch(/^OK\|cf_clearance=clearance-\d+;user_agent=Mozilla/);
  });

  test('knows the account calls', async () => {
    expect(await text(`/res.php?${query({ key, action: 'getbalance' })}`)).toBe('12.345');
    expect(await text(`/res.php?${query({ key, action: 'getbalance', json: '1' })}`)).toBe(
      '{"status":1,"request":"12.345"}',
    );
    expect(await text(`/res.php?${query({ key, action: 'reportgood', id: '1' })}`)).toBe('OK_REPORT_RECORDED');
    expect(await text(`/res.php?${query({ key, action: 'add_pingback', addr: 'x' })}`)).toBe('OK_PINGBACK');
    expect(await text(`/res.php?${query({ key })}`)).toBe('ERROR_EMPTY_ACTION');
    expect(await text(`/res.php?${query({ key, action: 'get', id: 'abc' })}`)).toBe('ERROR_WRONG_ID_FORMAT');
  });

  test('answers several ids at once', async () => {
    const id = (await text('/in.php', form(task))).slice(3);
    await waitUntil(
      'the task to be solved',
      async () => (await text(`/res.php?${query({ key, action: 'get', id })}`)) !== 'CAPCHA_NOT_READY',
    );
    const answer = await text(`/res.php?${query({ key, action: 'get', ids: `${id},1` })}`);
    expect(answer).toMatch(/^03token-\S+\|ERROR_WRONG_CAPTCHA_ID$/);
  });
});

describe('pingbacks', () => {
  const received: string[] = [];
  const replies: number[] = [];
  const receiver = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.once('end', () => {
      received.push(`${request.method} ${request.url} ${body}`.trim());
      response.writeHead(replies.shift() ?? 200).end('OK');
    });
  });
  let url = '';
  let runs = 0;

  beforeAll(async () => {
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/cb`;
  });
  afterAll(() => {
    receiver.closeAllConnections();
    return new Promise((resolve) => receiver.close(resolve));
  });
  beforeEach(() => {
    received.length = 0;
  });

  async function run(script: TaskScript): Promise<{ id: string; pageurl: string }> {
    runs += 1;
    const pageurl = `https://example.com/run-${runs}`;
    await simulator.control.script({ tasks: [script] }, { field: 'pageurl', equals: pageurl });
    const id = (await text('/in.php', form({ ...task, pageurl, pingback: url }))).slice(3);
    return { id, pageurl };
  }
  const sent = (count: number): Promise<unknown> => waitUntil(`${count} pingbacks`, () => received.length >= count);

  test('go by GET once, unless told otherwise', async () => {
    const { id } = await run({});
    await sent(1);
    expect(received).toEqual([`GET /cb?id=${id}&code=${encodeURIComponent(`03token-${id}_AbC-dEf+gHi/jKl=`)}`]);
  });

  const steps: [string, PingbackStep, (id: string) => string][] = [
    ['as a form', { method: 'FORM', code: 'a b+c' }, (id) => `POST /cb id=${id}&code=a+b%2Bc`],
    ['as JSON', { method: 'JSON', code: { a: 1 } }, (id) => `POST /cb {"id":"${id}","code":{"a":1}}`],
    ['with a raw query', { encoding: 'raw', code: 'a+b/c' }, (id) => `GET /cb?id=${id}&code=a+b/c`],
    ['with a form-encoded query', { encoding: 'form', code: 'a b' }, (id) => `GET /cb?id=${id}&code=a+b`],
    [
      'with an error word',
      { code: 'ERROR_CAPTCHA_UNSOLVABLE' },
      (id) => `GET /cb?id=${id}&code=ERROR_CAPTCHA_UNSOLVABLE`,
    ],
    ['with a forged id', { id: '999', code: 'x' }, () => 'GET /cb?id=999&code=x'],
  ];
  test.each(steps)('may come %s', async (_how, step, expected) => {
    const { id } = await run({ pingbacks: [step] });
    await sent(1);
    expect(received).toEqual([expected(id)]);
  });

  test('may come twice, and differ', async () => {
    await run({ pingbacks: [{}, { afterMs: 20, code: 'another' }] });
    await sent(2);
    expect(received[1]).toContain('code=another');
  });

  test('may come before the reply of in.php', async () => {
    const { id } = await run({ pingbacks: [{ beforeReply: true }] });
    expect(received).toEqual([expect.stringContaining(`id=${id}&`)]);
  });

  test('are tried again until the answer is 200 where the script says so', async () => {
    replies.push(503, 404);
    const { pageurl } = await run({ pingbacks: [{ retry: { times: 5, everyMs: 5 } }] });
    await sent(3);
    await waitUntil('the books', async () => (await lines(pageurl)).length === 3);
    expect((await lines(pageurl)).map(({ status }) => status)).toEqual([503, 404, 200]);
  });

  test('may be sent on command only, to any task or to any URL', async () => {
    const { id, pageurl } = await run({ pingbacks: [{ onCommand: true }] });
    await waitUntil(
      'the task to be solved',
      async () => (await text(`/res.php?${query({ key, action: 'get', id })}`)) !== 'CAPCHA_NOT_READY',
    );
    expect(received).toEqual([]);
    expect(await simulator.control.pingback({ match: { field: 'pageurl', equals: pageurl } })).toBe(200);
    expect(await simulator.control.pingback({ id, step: { code: 'late' } })).toBe(200);
    expect(await simulator.control.pingback({ url, foreignId: '1', code: 'forged' })).toBe(200);
    expect(received.map((line) => line.split('code=')[1])).toEqual([
      expect.stringContaining('03token'),
      'late',
      'forged',
    ]);
  });

  test('never come where the script has none', async () => {
    const lost = await run({ pingbacks: [] });
    const marker = await run({});
    await sent(1);
    expect(received).toEqual([expect.stringContaining(`id=${marker.id}&`)]);
    expect(await lines(lost.pageurl)).toEqual([]);
  });

  test('that nobody receives are in the books as such', async () => {
    const { id } = await run({ pingbacks: [] });
    expect(await simulator.control.pingback({ url: 'http://127.0.0.1:1/none', foreignId: id, code: 'x' })).toBe(0);
  });
});
