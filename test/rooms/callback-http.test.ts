/** The sidecar over real sockets: what is answered to whom, and what it did to the task. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import { createCallbackKeyRing } from '../../src/ops/keys.ts';
import { CAPTCHA_ID, T0, aTask } from '../support/builders.ts';
import { callbackPath, startSidecar } from '../support/sidecar.ts';
import type { Reply, Sidecar } from '../support/sidecar.ts';
import { waitUntil } from '../support/wait-until.ts';

let sidecar: Sidecar;
const task = aTask().intended(T0).submitted(T0).build();
const read = (): CaptchaTask => sidecar.api.read<CaptchaTask>(CAPTCHA_TASK.plural, 'login')!;
const query = (code: string, id = CAPTCHA_ID): string => `?id=${id}&code=${code}`;

/** What can be told apart from outside, but the time of day. */
const seen = ({ status, body, headers }: Reply): Reply => ({ status, body, headers: { ...headers, date: '' } });

beforeEach(async () => {
  sidecar = await startSidecar();
  sidecar.api.seed(CAPTCHA_TASK.plural, task);
});
afterEach(async () => {
  await sidecar.stop();
  expect(sidecar.crashes).toEqual([]);
});

describe('an authentic callback', () => {
  test('by GET is in the status of its task when 200 is answered', async () => {
    const reply = await sidecar.get(sidecar.pathFor(task) + query('03AGdBq25+abc_-'));
    expect(reply).toMatchObject({ status: 200, body: 'OK\n' });
    expect(read().status?.solution).toMatchObject({ value: '03AGdBq25+abc_-', source: 'Callback', attempt: 1 });
    expect(sidecar.results).toEqual(['accepted']);
  });

  test.each([
    ['a form', 'application/x-www-form-urlencoded', `id=${CAPTCHA_ID}&code=a%20b%2Bc`, 'a b+c'],
    [
      'a form that names its charset',
      'application/x-www-form-urlencoded; charset=utf-8',
      `id=${CAPTCHA_ID}&code=x`,
      'x',
    ],
    ['JSON', 'application/json', `{"id":${CAPTCHA_ID},"code":"tok\\u00e9n"}`, 'tokén'],
    ['nothing named, read as a form', undefined, `id=${CAPTCHA_ID}&code=y`, 'y'],
  ])('by POST of %s is applied', async (_, contentType, body, value) => {
    const reply = await sidecar.post(sidecar.pathFor(task), contentType, body);
    expect(reply.status).toBe(200);
    expect(read().status?.solution?.value).toBe(value);
  });

  test('delivered a thousand times at once has one effect; every delivery is answered 200', async () => {
    const path = sidecar.pathFor(task) + query('the-token');
    const replies = await Promise.all(Array.from({ length: 1_000 }, () => sidecar.get(path)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(sidecar.api.writes).toHaveLength(1);
    const count = (result: string): number => sidecar.results.filter((other) => other === result).length;
    expect(count('accepted')).toBe(1);
    expect(count('accepted') + count('duplicate')).toBe(1_000);
  });

  test('with a different code after success is a conflict, answered 200, and changes nothing', async () => {
    await sidecar.get(sidecar.pathFor(task) + query('first'));
    const before = read();
    expect((await sidecar.get(sidecar.pathFor(task) + query('second'))).status).toBe(200);
    expect(read()).toEqual(before);
    expect(sidecar.results).toEqual(['accepted', 'conflict']);
  });

  test('for a deleted task, or a recreated one of the same name, is late and touches nothing', async () => {
    sidecar.api.remove(CAPTCHA_TASK.plural, 'login');
    expect((await sidecar.get(sidecar.pathFor(task) + query('x'))).status).toBe(200);
    const recreated = aTask().uid('b7b2a1c0-0000-4000-8000-000000000002').intended(T0).submitted(T0).build();
    sidecar.api.seed(CAPTCHA_TASK.plural, recreated);
    expect((await sidecar.get(sidecar.pathFor(task) + query('x'))).status).toBe(200);
    expect(sidecar.results).toEqual(['late', 'late']);
    expect(sidecar.api.writes).toEqual([]);
  });

  test.each(['CAPCHA_NOT_READY', ''])('that says %j is ignored with 200 and asks the API nothing', async (code) => {
    sidecar.api.faults.push(() => {
      throw new Error('no request expected');
    });
    expect((await sidecar.get(sidecar.pathFor(task) + query(code))).status).toBe(200);
    expect(sidecar.results).toEqual(['ignored']);
  });
});

describe('everything else', () => {
  test.each([
    ['another path', '/'],
    ['the prefix alone', '/v1/callback/'],
    ['a query of ours before the provider appends its own', '/v1/callback?token=x?id=1'],
  ])('gets 404 without detail: %s', async (_, path) => {
    expect(await sidecar.get(path)).toMatchObject({ status: 404, body: '' });
  });

  test('is told apart in the count: a path that is none of ours shows that something in front rewrites it', async () => {
    const { pathname } = new URL(sidecar.pathFor(task), 'http://x');
    for (const path of [pathname.replace('/v1', ''), `/captcha${pathname}`, pathname.replace('/v1/', '//v1/'), '/']) {
      expect((await sidecar.get(path + query('x'))).status).toBe(404);
    }
    await sidecar.get(`${pathname}x`);
    expect(sidecar.results).toEqual(['misrouted', 'misrouted', 'misrouted', 'misrouted', 'unauthorized']);
  });

  test('with a token that is spelled differently gets 404, whatever decodes to the same bytes', async () => {
    const path = sidecar.pathFor(task);
    const spellings = [
      path.replace('/v1/callback/k', '/v1/callback/%6B'),
      path.replace('.login.', '%2Elogin.'),
      path.replace('.login.', '.LOGIN.'),
      `${path}/`,
      `${path}=`,
      path.replace('/v1/', '/v1//'),
      path.replace('/v1/', '/v1/./'),
      path.replace('/v1/', '/V1/'),
      `${path};x=1`,
    ];
    const replies = await Promise.all(spellings.map((spelling) => sidecar.get(spelling + query('x'))));
    expect(replies.map(({ status }) => status)).toEqual(spellings.map(() => 404));
    expect(sidecar.api.writes).toEqual([]);
    expect(read().status?.solution).toBeUndefined();
  });

  test('by another method gets 405 with the methods there are', async () => {
    const line = `OPTIONS ${sidecar.pathFor(task)}${query('x')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const text = await sidecar.raw(line);
    expect(text).toMatch(/^HTTP\/1\.1 405 /);
    expect(text).toContain('Allow: GET, POST');
    expect(read().status?.solution).toBeUndefined();
  });
});

describe('a refused callback with an authentic token', () => {
  const path = callbackPath(task);
  const longCode = 'x'.repeat(12_289);
  test.each([
    ['an id that is no number', 400, `?id=12a&code=x`],
    ['no id', 400, `?code=x`],
    ['an id of 21 digits', 400, `?id=${'1'.repeat(21)}&code=x`],
    ['the code twice', 400, `?id=${CAPTCHA_ID}&code=x&code=x`],
    ['the id twice, once percent-encoded in its name', 400, `?id=${CAPTCHA_ID}&%69d=${CAPTCHA_ID}&code=x`],
    ['broken percent-encoding', 400, `?id=${CAPTCHA_ID}&code=%zz`],
    ['percent-encoded bytes that are no UTF-8', 400, `?id=${CAPTCHA_ID}&code=%ff`],
    ['a code that is too long', 413, `?id=${CAPTCHA_ID}&code=${longCode}`],
    ['a request line that is too long', 414, `?id=${CAPTCHA_ID}&code=x&pad=${'p'.repeat(49_152)}`],
  ])('makes its task due for a poll: %s', async (_, status, search) => {
    expect((await sidecar.get(path + search)).status).toBe(status);
    await waitUntil('the task to be due', () => Date.parse(read().status!.submission!.pollAfterTime!) > T0 + 3_600_000);
    expect(read().status?.solution).toBeUndefined();
    expect(sidecar.results).toEqual(['invalid']);
  });

  test.each([
    ['too large', 413, 'application/json', 'x'.repeat(65_537)],
    ['not JSON', 400, 'application/json', '{"id":'],
    ['a JSON list', 400, 'application/json', '[1]'],
    ['JSON that says the code twice', 400, 'application/json', `{"id":"1","code":"a","c\\u006fde":"b"}`],
    [
      'JSON with a code nested deeper than it could be written',
      400,
      'application/json',
      `{"id":"1","code":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
    ],
    ['of another type', 400, 'text/plain', 'id=1&code=x'],
    ['a form that says the id twice', 400, 'application/x-www-form-urlencoded', 'id=1&id=1&code=x'],
  ])('is answered by its body: %s', async (_, status, contentType, body) => {
    expect((await sidecar.post(path, contentType, body)).status).toBe(status);
    await waitUntil('the task to be due', () => Date.parse(read().status!.submission!.pollAfterTime!) > T0 + 3_600_000);
  });

  test('does so when a GET has a body, whatever it says', async () => {
    const head = `GET ${path}${query('x')} HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nConnection: close\r\n\r\n`;
    expect(await sidecar.raw(`${head}code=y`)).toMatch(/^HTTP\/1\.1 400 /);
    await waitUntil('the task to be due', () => sidecar.api.writes.length === 1);
    expect(read().status?.solution).toBeUndefined();
  });

  test('does so when query and body disagree', async () => {
    const reply = await sidecar.post(`${path}${query('one')}`, 'application/x-www-form-urlencoded', 'code=two');
    expect(reply.status).toBe(400);
    expect(read().status?.solution).toBeUndefined();
  });

  test('does so at most once per poll interval', async () => {
    for (let count = 0; count < 5; count++) await sidecar.get(`${path}?id=bad`);
    await waitUntil('the task to be due', () => sidecar.api.writes.length > 0);
    await sidecar.stop();
    expect(sidecar.api.writes).toHaveLength(1);
    sidecar = await startSidecar();
  });
});

describe('where only some namespaces are served', () => {
  test('an authentic callback for another one is answered like a bad token, and asks neither API nor disk', async () => {
    const elsewhere = aTask().intended(T0).submitted(T0).build();
    elsewhere.metadata.namespace = 'elsewhere';
    const served = await startSidecar({
      namespaces: ['default', 'team-a'],
      execute: (request) => {
        if (request.namespace !== 'default') throw new Error('no request expected');
        return Promise.resolve(served.api.handle(request));
      },
    });
    served.api.seed(CAPTCHA_TASK.plural, task);
    const bad = await served.get(`${served.pathFor(task)}x${query('x')}`);
    const other = await served.get(served.pathFor(elsewhere) + query('x'));
    const refused = await served.get(`${served.pathFor(elsewhere)}?id=bad`);
    expect([other, refused].map(seen)).toEqual([bad, bad].map(seen));
    expect((await served.get(served.pathFor(task) + query('x'))).status).toBe(200);
    expect(served.results).toEqual(['unauthorized', 'misrouted', 'misrouted', 'accepted']);
    expect(served.server.spoolStats().records).toBe(0);
    await served.stop();
    expect(served.crashes).toEqual([]);
  });
});

describe('without keys', () => {
  test('nothing is ready and nothing is accepted', async () => {
    const closed = await startSidecar({ keys: createCallbackKeyRing() });
    closed.api.seed(CAPTCHA_TASK.plural, task);
    expect(closed.server.ready()).toBe(false);
    expect((await closed.get(closed.pathFor(task) + query('x'))).status).toBe(503);
    expect(closed.api.writes).toEqual([]);
    await closed.stop();
  });
});
