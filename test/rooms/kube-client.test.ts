/** The Kubernetes client against a scripted server on a real TLS socket: pool, deadlines, Retry-After, credentials. */
import { createConnection, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { createAccess, type Access } from '../../src/kube/access.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { KubeClient, KubeClientOptions, RequestReport } from '../../src/kube/client.ts';
import type { Credentials } from '../../src/kube/credentials.ts';
import type { ApiRequest } from '../../src/kube/types.ts';
import type { LimitOptions } from '../../src/waiting/limit.ts';
import { answer, freePort, startScriptedApi, TEST_CERTIFICATE } from '../support/scripted-api.ts';
import type { ScriptedApi, ScriptedHandler } from '../support/scripted-api.ts';
import { waitUntil } from '../support/wait-until.ts';

const TASKS = { group: 'captcha-operator.io', version: 'v1alpha1', plural: 'captchatasks' };
const GET: ApiRequest = { verb: 'get', resource: TASKS, namespace: 'ns', name: 'a', read: 'quorum' };
const PUT: ApiRequest = { verb: 'replaceStatus', resource: TASKS, namespace: 'ns', name: 'a', object: { status: {} } };
const OBJECT = { metadata: { name: 'a', namespace: 'ns', resourceVersion: '1' } };

const releases: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const release of releases.splice(0).toReversed()) await release();
});

async function start(handler: ScriptedHandler): Promise<ScriptedApi> {
  const api = await startScriptedApi(handler);
  releases.push(() => api.close());
  return api;
}

function places(count: number): Partial<LimitOptions> {
  return { initial: count, floor: count, ceiling: count };
}

async function connect(api: ScriptedApi, extra: Partial<KubeClientOptions> = {}): Promise<KubeClient> {
  const client = createKubeClient({ access: await api.access(), userAgent: 'test', ...extra });
  releases.push(() => client.close());
  return client;
}

test('reuses one pool of connections for hundreds of calls', async () => {
  const api = await start((_request, response) => answer(response, 200, OBJECT));
  const client = await connect(api, { inFlight: places(4) });
  for (let round = 0; round < 50; round++) await Promise.all([1, 2, 3, 4, 5, 6].map(() => client.execute(GET)));
  expect(api.requests).toHaveLength(300);
  // A place passes on an instant before its connection is free, hence the factor.
  expect(api.connections()).toBeLessThanOrEqual(8);
});

test('keeps at most its limit in flight, except what is urgent', async () => {
  const held: (() => void)[] = [];
  const api = await start((_request, response) => held.push(() => answer(response, 200, OBJECT)));
  const client = await connect(api, { inFlight: places(2) });
  const calls = [1, 2, 3, 4].map(() => client.execute(GET));
  await waitUntil('the first two calls', () => held.length === 2);
  expect(client.load()).toEqual({ inFlight: 2, waiting: 2, limit: 2 });
  const urgent = client.execute(GET, { urgent: true });
  await waitUntil('the urgent call', () => held.length === 3);
  held.pop()?.();
  expect(await urgent).toMatchObject({ ok: true });
  for (let done = 0; done < 4; done++) (await waitUntil('a call', () => held.shift()))();
  expect(await Promise.all(calls)).toHaveLength(4);
  expect(client.load()).toEqual({ inFlight: 0, waiting: 0, limit: 2 });
});

test('sends who it is, and where the object is', async () => {
  const api = await start((_request, response) => answer(response, 200, OBJECT));
  const client = await connect(api);
  expect(await client.execute(PUT)).toEqual({ ok: true, object: OBJECT });
  expect(api.requests[0]).toMatchObject({
    method: 'PUT',
    path: '/apis/captcha-operator.io/v1alpha1/namespaces/ns/captchatasks/a/status',
    body: '{"status":{}}',
  });
  expect(api.requests[0]?.headers).toMatchObject({ authorization: 'Bearer test', 'user-agent': 'test' });
});

test('acts as whom its credentials name', async () => {
  const api = await start((_request, response) => answer(response, 200, OBJECT));
  const impersonation = [
    ['impersonate-user', 'jane'],
    ['impersonate-group', 'a'],
    ['impersonate-group', 'b'],
  ] as const;
  const client = await connect(api, { access: await api.access(() => ({ impersonation })) });
  await client.execute(GET);
  expect(api.requests[0]?.headers).toMatchObject({ 'impersonate-user': 'jane', 'impersonate-group': 'a, b' });
});

test('comes back after the time that a 429 or 503 names, not earlier', async () => {
  const at: number[] = [];
  const codes = [429, 503];
  const api = await start((_request, response) => {
    at.push(performance.now());
    const code = codes.shift();
    if (code === undefined) answer(response, 200, OBJECT);
    else answer(response, code, { kind: 'Status' }, { 'retry-after': '1' });
  });
  const client = await connect(api);
  expect(await client.execute(PUT)).toMatchObject({ ok: true });
  const [first = 0, second = 0, third = 0] = at;
  expect(Math.min(second - first, third - second)).toBeGreaterThanOrEqual(999);
});

test('answers a 429 at once when its Retry-After lies beyond the deadline', async () => {
  const api = await start((_request, response) => answer(response, 429, { reason: 'Busy' }, { 'retry-after': '9' }));
  const client = await connect(api);
  const reply = await client.execute(GET, { timeoutMs: 5_000 });
  expect(reply).toMatchObject({ ok: false, status: 429, transient: true, sent: false });
  expect(api.requests).toHaveLength(1);
});

test('does not wait for longer than a caller would, even where the deadline would allow it', async () => {
  const api = await start((_request, response) => answer(response, 503, {}, { 'retry-after': '60' }));
  const client = await connect(api);
  expect(await client.execute(GET, { timeoutMs: 300_000 })).toMatchObject({ status: 503, transient: true });
});

test('comes back a bounded number of times', async () => {
  const api = await start((_request, response) => answer(response, 429, {}, { 'retry-after': '0' }));
  const client = await connect(api);
  expect(await client.execute(GET)).toMatchObject({ status: 429 });
  expect(api.requests).toHaveLength(5);
});

test('does not repeat a 500, nor a 503 that names no time', async () => {
  const api = await start((request, response) => answer(response, request.method === 'GET' ? 500 : 503, {}));
  const client = await connect(api);
  expect(await client.execute(GET)).toMatchObject({ status: 500, transient: true });
  expect(await client.execute(PUT)).toMatchObject({ status: 503, transient: true, sent: true });
  expect(api.requests).toHaveLength(2);
});

test('does not call a write unsent whose first try a 503 may have hidden', async () => {
  const api = await startScriptedApi((_request, response) => {
    answer(response, 503, {}, { 'retry-after': '0', connection: 'close' });
    void api.close();
  });
  const client = await connect(api);
  expect(await client.execute(PUT)).toMatchObject({ reason: 'Unreachable', sent: true });
});

test('never sends late what was given up while it waited for a connection', async () => {
  const api = await start((_request, response) => answer(response, 200, OBJECT));
  const port = Number(new URL(api.server).port);
  let opened = 0;
  const slow = createServer((socket) => {
    setTimeout(() => {
      opened++;
      const onward = createConnection(port, '127.0.0.1');
      socket.pipe(onward).pipe(socket);
      for (const end of [socket, onward]) end.on('error', () => socket.destroy());
    }, 200);
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  releases.push(() => new Promise((resolve) => slow.close(() => resolve())));
  const server = `https://127.0.0.1:${(slow.address() as AddressInfo).port}`;
  const tls = { rejectUnauthorized: false };
  const access = await createAccess({ server, namespace: undefined, read: async () => ({ tls }) });
  const client = await connect(api, { access });
  expect(await client.execute(PUT, { timeoutMs: 100 })).toMatchObject({ reason: 'Timeout', sent: false });
  await waitUntil('the late connection', () => opened > 0);
  expect(await client.execute(GET)).toMatchObject({ ok: true });
  expect(api.requests.map(({ method }) => method)).toEqual(['GET']);
});

/** Answers reads only; its client has a connection, so that what it sends next is sent at once. */
async function connectToDeaf(extra: Partial<KubeClientOptions> = {}): Promise<KubeClient> {
  const api = await start((request, response) => {
    if (request.method === 'GET') answer(response, 200, OBJECT);
  });
  const client = await connect(api, extra);
  await client.execute(GET);
  return client;
}

test('gives up at the deadline, and says that a write may have been acted on', async () => {
  const client = await connectToDeaf();
  expect(await client.execute(PUT, { timeoutMs: 100 })).toMatchObject({
    ok: false,
    status: 0,
    reason: 'Timeout',
    transient: true,
    sent: true,
  });
});

test('says that a call was not sent which waited for its place until the deadline', async () => {
  const client = await connectToDeaf({ inFlight: places(1) });
  const first = client.execute(PUT, { timeoutMs: 400 });
  expect(await client.execute(PUT, { timeoutMs: 100 })).toMatchObject({ reason: 'Timeout', sent: false });
  expect(await first).toMatchObject({ reason: 'Timeout', sent: true });
});

test('ends a call whose signal aborts, before and after it was sent', async () => {
  const api = await start(() => {});
  const client = await connect(api);
  expect(await client.execute(PUT, { signal: AbortSignal.abort() })).toMatchObject({ reason: 'Aborted', sent: false });
  const aborter = new AbortController();
  const call = client.execute(PUT, { signal: aborter.signal });
  await waitUntil('the request', () => api.requests.length > 0);
  aborter.abort();
  expect(await call).toMatchObject({ reason: 'Aborted', transient: true, sent: true });
});

test('reads again once when a kept connection turns out to be dead, and never writes again', async () => {
  const api = await start((_request, response) => response.destroy());
  const client = await connect(api);
  expect(await client.execute(PUT)).toMatchObject({ reason: 'Disconnected', transient: true, sent: true });
  expect(api.requests).toHaveLength(1);
  expect(await client.execute(GET)).toMatchObject({ reason: 'Disconnected' });
  expect(api.requests).toHaveLength(3);
});

test('does not take half an answer for an answer', async () => {
  const api = await start((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write('{"metadata":{"name":"a"}');
    setTimeout(() => response.destroy(), 20);
  });
  const client = await connect(api);
  expect(await client.execute(PUT)).toMatchObject({ ok: false, reason: 'Disconnected', sent: true });
});

test('says that nothing was sent when nobody listens', async () => {
  const port = await freePort();
  const access = await createAccess({
    server: `https://127.0.0.1:${port}`,
    namespace: undefined,
    read: async () => ({ tls: {} }),
  });
  const client = createKubeClient({ access, userAgent: 'test' });
  releases.push(() => client.close());
  const reply = await client.execute(PUT);
  expect(reply).toMatchObject({
    status: 0,
    reason: 'Unreachable',
    message: 'ECONNREFUSED',
    transient: true,
    sent: false,
  });
});

test('trusts nobody whose certificate its CA did not sign', async () => {
  const api = await start((_request, response) => answer(response, 200, OBJECT));
  const client = await connect(api, { access: await api.access(() => ({ tls: {} })) });
  expect(await client.execute(PUT)).toMatchObject({ reason: 'Unreachable', sent: false });
  expect(api.requests).toHaveLength(0);
});

test('makes new connections when the CA changed, without losing calls under way', async () => {
  const answers: (() => void)[] = [];
  const api = await start((_request, response) => answers.push(() => answer(response, 200, OBJECT)));
  let tls: object = { rejectUnauthorized: false };
  const access = await api.access(() => ({ tls }));
  const client = await connect(api, { access });
  const before = client.execute(GET);
  await waitUntil('the first call', () => answers.length === 1);
  tls = { rejectUnauthorized: false, servername: 'localhost' };
  expect(await access.refresh(access.current())).toBe(true);
  const after = client.execute(GET);
  await waitUntil('the second call', () => answers.length === 2);
  for (const finish of answers) finish();
  expect([(await before).ok, (await after).ok, api.connections()]).toEqual([true, true, 2]);
});

test('reads its token again when it is refused, and repeats once', async () => {
  let token = 'old';
  const api = await start((request, response) => {
    if (request.headers.authorization === 'Bearer new') answer(response, 200, OBJECT);
    else answer(response, 401, { reason: 'Unauthorized' });
  });
  const access = await api.access(() => ({ authorization: `Bearer ${token}` }));
  const client = await connect(api, { access });
  token = 'new';
  expect(await client.execute(PUT)).toMatchObject({ ok: true });
  token = 'bad';
  await access.refresh(access.current());
  expect(await client.execute(PUT)).toMatchObject({ status: 401, transient: true });
});

test('asks its source once for all the calls that a rotated token failed, and repeats them all', async () => {
  let [token, accepted, reads] = ['old', 'old', 0];
  const late: (() => void)[] = [];
  const api = await start((request, response) => {
    const refused = request.headers.authorization !== `Bearer ${accepted}`;
    const reply = () => answer(response, refused ? 401 : 200, refused ? { reason: 'Unauthorized' } : OBJECT);
    // Half of the refusals come when the others have been repeated.
    if (refused && late.length < 8) late.push(reply);
    else reply();
  });
  const access = await api.access(() => {
    reads += 1;
    return { authorization: `Bearer ${token}` };
  });
  const client = await connect(api, { access, inFlight: places(16) });
  [token, accepted, reads] = ['new', 'new', 0];
  const calls = Array.from({ length: 16 }, () => client.execute(PUT));
  await Promise.race(calls);
  for (const reply of late) reply();
  expect((await Promise.all(calls)).map(({ ok }) => ok)).toEqual(calls.map(() => true));
  expect(reads).toBe(1);
});

/** Credentials that are read once; every later reading never ends. */
async function accessThatHangs(api: ScriptedApi): Promise<Access> {
  const read = vi
    .fn<() => Promise<Credentials>>(() => new Promise(() => {}))
    .mockResolvedValueOnce({ authorization: 'Bearer old', tls: { ca: TEST_CERTIFICATE } });
  return createAccess({ server: api.server, namespace: undefined, read });
}

test('keeps its deadline, and listens to its signal, while credentials that were refused are read again', async () => {
  const api = await start((_request, response) => answer(response, 401, { reason: 'Unauthorized' }));
  const client = await connect(api, { access: await accessThatHangs(api) });
  expect(await client.execute(GET, { timeoutMs: 200 })).toMatchObject({ status: 401 });
  const giveUp = new AbortController();
  const call = client.execute(GET, { timeoutMs: 3_600_000, signal: giveUp.signal });
  await waitUntil('the refusal', () => api.requests.length > 1);
  giveUp.abort();
  expect(await call).toMatchObject({ ok: false });
  const stop = new AbortController();
  const watch = client.watch(TASKS, { signal: stop.signal, silenceMs: 3_600_000, onEvent: () => {} });
  await waitUntil('the refusal of the watch', () => api.requests.length > 2);
  stop.abort();
  expect(await watch).toMatchObject({ kind: expect.stringMatching(/stopped|failed/) as string });
});

test('does not believe a 403 of a server that was away a moment ago', async () => {
  const api = await start((_request, response) => answer(response, 403, { reason: 'Forbidden' }));
  const client = await connect(api, { settlingMs: 1_500 });
  expect(await client.execute(PUT)).toMatchObject({ status: 403, transient: false });
  api.handle((_request, response) => response.destroy());
  expect(await client.execute(PUT)).toMatchObject({ reason: 'Disconnected' });
  api.handle((_request, response) => answer(response, 403, { reason: 'Forbidden' }));
  expect(await client.execute(PUT)).toMatchObject({ status: 403, transient: true });
  const final = await waitUntil('it to be believed', async () => {
    const reply = await client.execute(PUT);
    return !reply.ok && !reply.transient && reply;
  });
  expect(final).toMatchObject({ status: 403, reason: 'Forbidden' });
});

test('keeps tokens and bodies out of every error text', async () => {
  const api = await start((_request, response) =>
    answer(response, 422, {
      reason: 'Invalid',
      message: 'Invalid value: "CANARY": no',
      details: { causes: [{ field: 'status.solution.value', message: 'Invalid value: "CANARY": no' }] },
    }),
  );
  const access = await api.access(() => ({ authorization: 'Bearer CANARY\nCANARY' }));
  const broken = await connect(api, { access });
  const client = await connect(api);
  const replies = [await broken.execute(PUT), await client.execute(PUT)];
  expect(replies.map((reply) => reply.ok)).toEqual([false, false]);
  expect(JSON.stringify(replies)).not.toContain('CANARY');
});

test('answers calls under way when it is closed', async () => {
  const api = await start(() => {});
  const client = await connect(api);
  const call = client.execute(PUT);
  await waitUntil('the request', () => api.requests.length > 0);
  await client.close();
  expect(await call).toMatchObject({ ok: false, transient: true, sent: true });
  expect(await client.execute(GET)).toMatchObject({ reason: 'Closed', sent: false });
});

test('reports every exchange for metrics, by verb and code', async () => {
  const reports: RequestReport[] = [];
  const api = await start((request, response) => (request.method === 'PUT' ? undefined : answer(response, 404, {})));
  const client = await connect(api, { hooks: { onRequest: (report) => reports.push(report) } });
  await client.execute(GET);
  await client.execute(PUT, { timeoutMs: 50 });
  await client.list(TASKS);
  expect(reports.map(({ verb, method, code }) => `${verb} ${method} ${code}`)).toEqual([
    'get GET 404',
    'replaceStatus PUT <error>',
    'list GET 404',
  ]);
});

test('lists page after page', async () => {
  const api = await start((request, response) =>
    answer(
      response,
      200,
      request.query.get('continue') === 'next'
        ? { metadata: { resourceVersion: '7' }, items: [OBJECT] }
        : { metadata: { resourceVersion: '7', continue: 'next' }, items: [] },
    ),
  );
  const client = await connect(api);
  expect(await client.list(TASKS, { limit: 1 })).toEqual({
    ok: true,
    items: [],
    resourceVersion: '7',
    continue: 'next',
  });
  expect(await client.list(TASKS, { limit: 1, continue: 'next' })).toMatchObject({
    items: [OBJECT],
    continue: undefined,
  });
});

test('does not take something else for a list', async () => {
  const api = await start((_request, response) => answer(response, 200, { items: 'none' }));
  const client = await connect(api);
  expect(await client.list(TASKS)).toMatchObject({ ok: false, reason: 'Unreadable', transient: true });
});

test('carries long answers of multibyte text whole', async () => {
  const text = '多字节🙂'.repeat(200_000);
  const api = await start((_request, response) => answer(response, 200, { ...OBJECT, text }));
  const client = await connect(api);
  const reply = await client.execute(GET);
  expect(reply.ok && (reply.object as { text: string }).text === text).toBe(true);
});

test('hands many calls on one signal through without a leak warning', async () => {
  const warnings: string[] = [];
  const note = (warning: Error) => warnings.push(warning.name);
  process.on('warning', note);
  const api = await start((_request, response) => answer(response, 200, OBJECT));
  const client = await connect(api);
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 60 }, () => client.execute(GET, { signal })));
  await delay(1);
  process.off('warning', note);
  expect(warnings).toEqual([]);
});
