/** The gateway over real sockets: what clients are told, and which tasks there are then. */
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { LIMITS } from '../../src/gateway/limits.ts';
import {
  KEY_A,
  KEY_B,
  leaveAfterSending,
  startTestGateway,
  type GatewaySettings,
  type GatewayUnderTest,
} from '../support/gateway.ts';
import { waitUntil } from '../support/wait-until.ts';

let gw: GatewayUnderTest;
async function begin(settings: GatewaySettings = {}): Promise<void> {
  gw = await startTestGateway(settings);
}
afterEach(async () => {
  await gw.stop();
  expect(gw.crashes).toEqual([]);
});

const V2 = { method: 'userrecaptcha', googlekey: 'K', pageurl: 'https://example.com/?a=1&b=2' };
const CAPTCHA = { type: 'RecaptchaV2', recaptchaV2: { siteKey: 'K', pageURL: V2.pageurl } };
const idIn = (text: string): string => /\d{18}/.exec(text)?.[0] ?? '';
const solved = (value: string): Partial<NonNullable<CaptchaTask['status']>> => ({
  phase: 'Solved',
  solution: { value, source: 'Callback', attempt: 1, receivedTime: '2026-01-01T00:00:00Z' },
});

function multipart(fields: Record<string, string>, file: { name: string; bytes: Uint8Array }): [string, Buffer] {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--XX\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const head = `--XX\r\nContent-Disposition: form-data; name="${file.name}"; filename="a.gif"\r\nContent-Type: image/gif\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(parts.join('') + head), file.bytes, Buffer.from('\r\n--XX--\r\n')]);
  return ['multipart/form-data; boundary=XX', body];
}

describe('a submission', () => {
  test('is a task with the label, the lifetime and the name of its id when the id is told', async () => {
    await begin();
    const text = await gw.in(V2);
    expect(text).toMatch(/^OK\|\d{18}$/);
    const [task] = gw.tasks();
    expect(task).toMatchObject({
      metadata: { namespace: 'team-a', name: `gw-${idIn(text)}`, labels: { 'captcha-operator.io/gateway': 'true' } },
      spec: { captcha: CAPTCHA, ttlSecondsAfterFinished: 600 },
    });
    expect(gw.results).toEqual([['submit', 'accepted']]);
  });

  test.each([
    ['a form', 'application/x-www-form-urlencoded', new URLSearchParams({ key: KEY_A, json: '1', ...V2 }).toString()],
    ['JSON', 'application/json', JSON.stringify({ key: KEY_A, json: 1, ...V2 })],
  ])('may come as %s, and its id is a string in JSON', async (_how, type, body) => {
    await begin();
    const reply = await gw.post('/in.php', type, body);
    expect(JSON.parse(reply.body)).toEqual({ status: 1, request: expect.stringMatching(/^\d{18}$/) });
    expect(gw.tasks().map(({ spec }) => spec.captcha)).toEqual([CAPTCHA]);
  });

  test('may bring its image as a file', async () => {
    await begin();
    const bytes = Uint8Array.from({ length: 100_001 }, (_, index) => (index * 7) % 256);
    const reply = await gw.post('/in.php', ...multipart({ key: KEY_A, method: 'post' }, { name: 'file', bytes }));
    expect(reply.body).toMatch(/^OK\|/);
    expect(gw.tasks()[0]?.spec.captcha).toEqual({
      type: 'Image',
      image: { body: Buffer.from(bytes).toString('base64') },
    });
  });

  test('whose image is over the bound is refused, and at the bound it is not', async () => {
    await begin();
    const most = (LIMITS.imageCharacters / 4) * 3;
    const send = async (length: number): Promise<string> => {
      const file = { name: 'file', bytes: new Uint8Array(length) };
      return (await gw.post('/in.php', ...multipart({ key: KEY_A, method: 'post' }, file))).body;
    };
    expect(await send(most)).toMatch(/^OK\|/);
    expect(await send(most + 1)).toBe('ERROR_TOO_BIG_CAPTCHA_FILESIZE');
    expect(await send(LIMITS.bodyBytes + 1)).toBe('ERROR_TOO_BIG_CAPTCHA_FILESIZE');
    expect(gw.tasks()).toHaveLength(1);
  });

  test('that says a thing twice, with two values, is refused by name', async () => {
    await begin();
    const body = new URLSearchParams({ ...V2, key: KEY_A, json: '1' }).toString();
    const reply = await gw.post('/in.php?pageurl=https://other', 'application/x-www-form-urlencoded', body);
    expect(JSON.parse(reply.body)).toEqual({
      status: 0,
      request: 'ERROR_BAD_PARAMETERS',
      error_text: 'pageurl: given twice, with different values',
    });
    expect(gw.calls).toEqual([]);
  });

  test('whose upload has a name that nobody knows is refused', async () => {
    await begin();
    const file = { name: 'imginstructions', bytes: new Uint8Array(9) };
    const reply = await gw.post('/in.php', ...multipart({ key: KEY_A, method: 'post' }, file));
    expect(reply.body).toBe('ERROR_BAD_PARAMETERS');
    expect(gw.calls).toEqual([]);
  });

  test('that the schema refuses gets the word of the family', async () => {
    await begin();
    const message = 'spec.captcha.recaptchaV2.pageURL: Invalid value: in body should match';
    gw.api.faults.push(({ verb }) =>
      verb === 'create'
        ? { ok: false, status: 422, reason: 'Invalid', message, transient: false, sent: false }
        : undefined,
    );
    expect(await gw.in(V2)).toBe('ERROR_PAGEURL');
  });
});

test('the program of the examples gets its token', async () => {
  await begin();
  const program = fileURLToPath(new URL('../../examples/gateway.ts', import.meta.url));
  const env = { ...process.env, GATEWAY_URL: gw.url, GATEWAY_KEY: KEY_A };
  const run = promisify(execFile)(process.execPath, [program], { env });
  await waitUntil('its task is there', () => gw.tasks().length === 1);
  gw.finish(gw.tasks()[0]!, solved('0.token'));
  expect((await run).stdout).toBe('0.token\n');
});

test.each([
  ['whose length was announced', 'Content-Length: 100000'],
  ['in chunks', 'Transfer-Encoding: chunked'],
])('an upload %s that breaks off leaves nothing behind, and the next is served', async (_how, header) => {
  await begin();
  const [, body] = multipart({ key: KEY_A, method: 'post' }, { name: 'file', bytes: new Uint8Array(5_000) });
  const half = body.subarray(0, 3_000);
  const head = `POST /in.php HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=XX\r\n${header}\r\n\r\n`;
  const frame = header.startsWith('T') ? [`${half.length.toString(16)}\r\n`, half, '\r\n'] : [half];
  const socket = connect(gw.gateway.port, '127.0.0.1');
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  for (const piece of [head, ...frame]) socket.write(piece);
  await new Promise((resolve) => socket.write('', resolve));
  socket.destroy();
  expect(await gw.in(V2)).toMatch(/^OK\|/);
  await waitUntil('the broken request is over', () => gw.results.length === 2);
  expect(gw.tasks()).toHaveLength(1);
});

describe('while the API server gives no answer', () => {
  test('a create whose reply was lost makes one task, and its id is told', async () => {
    await begin();
    let creates = 0;
    gw.client.fate = ({ verb }) => (verb === 'create' && ++creates === 1 ? 'replyLost' : undefined);
    const text = await gw.in(V2);
    expect(gw.tasks().map(({ metadata }) => metadata.name)).toEqual([`gw-${idIn(text)}`]);
    expect(creates).toBe(2);
  });

  test('a submission is held back, and accepted when the server is there again', async () => {
    await begin();
    let tries = 0;
    gw.client.fate = ({ verb }) => (verb === 'create' && ++tries < 3 ? 'notSent' : undefined);
    expect(await gw.in(V2)).toMatch(/^OK\|/);
  });

  test('a submission that was held back in vain is refused, and what it may have made is withdrawn', async () => {
    await begin({ limits: { submitHoldMs: 300, lateCreateMs: 0 } });
    let away = true;
    let creates = 0;
    // The first create is stored, and its reply lost; then nothing gets through.
    gw.client.fate = ({ verb }) =>
      away ? (verb === 'create' && ++creates === 1 ? 'replyLost' : 'notSent') : undefined;
    expect(await gw.in(V2)).toBe('ERROR_NO_SLOT_AVAILABLE');
    expect(gw.tasks()).toHaveLength(1);
    away = false;
    await waitUntil('the task nobody knows of is withdrawn', () => gw.tasks().length === 0);
    expect(gw.withdrawn()).toBe(1);
    expect(gw.results).toEqual([['submit', 'no_slot']]);
  });

  test('an id that cannot be looked up is "not ready", and not "unknown"', async () => {
    const other = await startTestGateway();
    const id = idIn(await other.in(V2));
    await begin({ api: other.api });
    await other.stop();
    gw.client.fate = () => 'notSent';
    expect(await gw.res({ action: 'get', id })).toMatch(/^CAPCHA_NOT_READY$/);
  });
});

test('a client that left before it was told the id leaves no task behind', async () => {
  await begin();
  const arrived = Promise.withResolvers<void>();
  gw.client.fate = ({ verb }) => (verb === 'create' ? arrived.promise : undefined);
  await leaveAfterSending(`${gw.url}/in.php?${new URLSearchParams({ key: KEY_A, ...V2 })}`);
  await waitUntil('the create is under way', () => gw.calls.length > 0);
  // Whoever comes later is served later: the gateway has seen by then that the client left.
  await gw.res({ action: 'threadsinfo' });
  arrived.resolve();
  await waitUntil('it is withdrawn', () => gw.withdrawn() === 1);
  expect(gw.tasks()).toEqual([]);
});

describe('a namespace at its bound', () => {
  test('holds a submission back until a task ends, in the order in which they came', async () => {
    await begin({ maxOpenTasks: 1 });
    await gw.in(V2);
    const [first] = gw.tasks();
    const second = gw.in({ ...V2, googlekey: 'second' });
    expect(await gw.res({ action: 'threadsinfo', json: '1' })).toBe('{"status":1,"threads":1,"working_threads":1}');
    gw.finish(first!, solved('token'));
    expect(await second).toMatch(/^OK\|/);
    expect(gw.tasks().filter(({ status }) => status === undefined)).toHaveLength(1);
  });

  test('refuses it where there is no room in time, and other namespaces are not concerned', async () => {
    await begin({ maxOpenTasks: 1, limits: { submitHoldMs: 100 } });
    await gw.in(V2);
    expect(await gw.in(V2)).toBe('ERROR_NO_SLOT_AVAILABLE');
    expect(await gw.in(V2, KEY_B)).toMatch(/^OK\|/);
    expect(gw.tasks()).toHaveLength(2);
  });

  test('is not overrun by a burst', async () => {
    await begin({ maxOpenTasks: 3, limits: { submitHoldMs: 500 } });
    // The API server takes its time: what it was asked for is not counted yet.
    const slow = Promise.withResolvers<void>();
    gw.client.fate = ({ verb }) => (verb === 'create' ? slow.promise : undefined);
    const answers = Promise.all(Array.from({ length: 12 }, () => gw.in(V2)));
    await waitUntil('creates are under way', () => gw.calls.length >= 3);
    for (let turn = 0; turn < 12; turn++) await gw.res({ action: 'threadsinfo' });
    expect(gw.calls).toHaveLength(3);
    slow.resolve();
    expect((await answers).filter((text) => text.startsWith('OK|'))).toHaveLength(3);
    expect(gw.tasks()).toHaveLength(3);
  });
});

describe('a result', () => {
  test('is "not ready", then the solution, without a call to the API server', async () => {
    await begin();
    const id = idIn(await gw.in(V2));
    const calls = gw.calls.length;
    expect(await gw.res({ action: 'get', id })).toBe('CAPCHA_NOT_READY');
    expect(await gw.res({ action: 'get', id, json: '1' })).toBe('{"status":0,"request":"CAPCHA_NOT_READY"}');
    gw.finish(gw.tasks()[0]!, solved('03token'));
    expect(await gw.res({ action: 'get', id })).toBe('OK|03token');
    expect(await gw.res({ action: 'get', id, json: '1' })).toBe('{"status":1,"request":"03token"}');
    expect(gw.calls).toHaveLength(calls);
  });

  test('that is waited for comes when it is there', async () => {
    await begin();
    const id = idIn(await gw.in(V2));
    const answer = gw.res({ action: 'get', id, wait: '60' });
    expect(await gw.res({ action: 'get', id })).toBe('CAPCHA_NOT_READY');
    gw.finish(gw.tasks()[0]!, solved('token'));
    expect(await answer).toBe('OK|token');
  });

  test('of several is one line', async () => {
    await begin();
    const ids = [idIn(await gw.in(V2)), idIn(await gw.in(V2))];
    gw.finish(gw.tasks()[1]!, solved('second'));
    expect(await gw.res({ action: 'get', ids: [...ids, '123'].join(',') })).toBe(
      'CAPCHA_NOT_READY|second|ERROR_WRONG_CAPTCHA_ID',
    );
  });

  test('that another replica knows is found by its name', async () => {
    await begin();
    const id = idIn(await gw.in(V2));
    const other = await startTestGateway({ api: gw.api });
    other.api.faults.length = 0;
    expect(await other.res({ action: 'get', id })).toBe('CAPCHA_NOT_READY');
    await other.stop();
  });

  test('of a task that is gone is an id that nobody knows', async () => {
    await begin();
    const id = idIn(await gw.in(V2));
    const [task] = gw.tasks();
    gw.client.change('captchatasks', task!.metadata.name, () => gw.api.remove('captchatasks', task!.metadata.name));
    expect(await gw.res({ action: 'get', id })).toBe('ERROR_WRONG_CAPTCHA_ID');
  });
});

describe('who asks', () => {
  test.each([
    ['without a key', '', 'ERROR_WRONG_USER_KEY'],
    ['with half a key', 'a'.repeat(31), 'ERROR_WRONG_USER_KEY'],
    ['with a key that is not known', 'c'.repeat(32), 'ERROR_KEY_DOES_NOT_EXIST'],
  ])('%s is refused without an API call', async (_how, key, word) => {
    await begin();
    expect(await gw.in(V2, key)).toBe(word);
    expect(await gw.res({ action: 'get', id: '123456789012345678' }, key)).toBe(word);
    expect(await gw.res({ action: 'threadsinfo' }, key)).toBe(word);
    expect(gw.calls).toEqual([]);
    expect(gw.results.map(([, result]) => result)).toEqual(['unauthorized', 'unauthorized', 'unauthorized']);
  });

  test('for an id of another namespace learns what he learns of one that never was, without an API call', async () => {
    await begin();
    const id = idIn(await gw.in(V2));
    gw.finish(gw.tasks()[0]!, solved('secret'));
    const calls = gw.calls.length;
    const foreign = await gw.res({ action: 'get', id, json: '1' }, KEY_B);
    const never = await gw.res({ action: 'get', id: '111111111111111111', json: '1' }, KEY_B);
    expect(foreign).toBe(never);
    expect(foreign).toBe('{"status":0,"request":"ERROR_WRONG_CAPTCHA_ID"}');
    expect(await gw.res({ action: 'reportbad', id }, KEY_B)).toBe('ERROR_WRONG_CAPTCHA_ID');
    expect(gw.calls).toHaveLength(calls);
  });

  test.each([
    [{ action: 'getbalance' }, 'ERROR_METHOD_CALL'],
    [{ action: 'get2', id: '1' }, 'ERROR_METHOD_CALL'],
    [{ action: 'add_pingback' }, 'ERROR_METHOD_CALL'],
    [{ action: 'toString' }, 'ERROR_METHOD_CALL'],
    [{}, 'ERROR_EMPTY_ACTION'],
    [{ action: 'get', id: 'x1' }, 'ERROR_WRONG_ID_FORMAT'],
    [{ action: 'get' }, 'ERROR_WRONG_ID_FORMAT'],
    [{ action: 'get', id: '1', wait: 'x' }, 'ERROR_BAD_PARAMETERS'],
  ])('%j is told %s', async (fields, word) => {
    await begin();
    expect(await gw.res(fields as unknown as Record<string, string>)).toBe(word);
    expect(gw.calls).toEqual([]);
  });

  test('to report an answer is told that nobody records it', async () => {
    await begin();
    const id = idIn(await gw.in(V2));
    expect(await gw.res({ action: 'reportgood', id })).toBe('REPORT_NOT_RECORDED');
  });

  test('anywhere else is told that there is nothing', async () => {
    await begin();
    expect((await gw.post('/solve.php', 'text/plain', '')).status).toBe(404);
    for (const method of ['PUT', 'HEAD', 'OPTIONS']) {
      const response = await fetch(`${gw.url}/in.php`, { method });
      expect([method, response.status, response.headers.get('allow')]).toEqual([method, 405, 'GET, POST']);
    }
    expect((await gw.post('/in%2Ephp', 'text/plain', '')).status).toBe(404);
  });
});
