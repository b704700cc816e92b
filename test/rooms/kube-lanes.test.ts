/** What must not stand in each other's way on one client: watches, lists, writes and the Lease; and one watch by itself. */
import { getEventListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { createKubeClient } from '../../src/kube/client.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import type { ApiRequest } from '../../src/kube/types.ts';
import { answer, startScriptedApi } from '../support/scripted-api.ts';
import type { ScriptedApi, ScriptedHandler } from '../support/scripted-api.ts';
import { waitUntil } from '../support/wait-until.ts';

const TASKS = { group: 'captcha-operator.io', version: 'v1alpha1', plural: 'captchatasks' };
const GET: ApiRequest = { verb: 'get', resource: TASKS, namespace: 'ns', name: 'a', read: 'quorum' };
const PUT: ApiRequest = { verb: 'replaceStatus', resource: TASKS, namespace: 'ns', name: 'a', object: { status: {} } };
const OBJECT = { metadata: { name: 'a', namespace: 'ns', resourceVersion: '1' } };
const PAGE = { metadata: { resourceVersion: '1' }, items: [] };

const releases: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const release of releases.splice(0).toReversed()) await release();
});

async function start(handler: ScriptedHandler): Promise<{ api: ScriptedApi; client: KubeClient }> {
  const api = await startScriptedApi(handler);
  const client = createKubeClient({ access: await api.access(), userAgent: 'test' });
  releases.push(
    () => api.close(),
    () => client.close(),
  );
  return { api, client };
}

const open = (response: ServerResponse) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
};

test('watches take no connection from a call, however many there are', { timeout: 60_000 }, async () => {
  let watches = 0;
  const { client } = await start((request, response) => {
    if (request.query.get('watch') !== 'true') return answer(response, 200, OBJECT);
    watches++;
    return open(response);
  });
  const stopping = new AbortController();
  const ends = Array.from({ length: 60 }, (_, index) =>
    client.watch(TASKS, {
      namespace: `ns-${index}`,
      silenceMs: 60_000,
      signal: stopping.signal,
      onEvent: () => {},
    }),
  );
  await waitUntil('every watch to be open', () => watches === 60, { boundMs: 50_000 });
  const calls = [client.execute(GET, { urgent: true }), ...Array.from({ length: 16 }, () => client.execute(PUT))];
  expect((await Promise.all(calls)).every(({ ok }) => ok)).toBe(true);
  stopping.abort();
  await Promise.all(ends);
});

test('lists two pages at a time, and no write and no look-up waits for them', async () => {
  const held: (() => void)[] = [];
  const { client } = await start((request, response) => {
    if (request.method === 'PUT') answer(response, 200, OBJECT);
    else if (!request.query.has('limit')) answer(response, 200, PAGE);
    else held.push(() => answer(response, 200, PAGE));
  });
  const lists = Array.from({ length: 20 }, () => client.list(TASKS, { limit: 100 }));
  await waitUntil('two lists', () => held.length === 2);
  expect(await client.execute(PUT)).toMatchObject({ ok: true });
  expect(await client.list(TASKS, { fieldSelector: 'spec.taskRef.name=a' })).toMatchObject({ ok: true });
  for (let done = 0; done < 20; done++) {
    expect(held.length).toBeLessThanOrEqual(2);
    (await waitUntil('a list', () => held.shift()))();
  }
  expect((await Promise.all(lists)).every(({ ok }) => ok)).toBe(true);
});

test('the time limit of a list begins with its turn', async () => {
  const held: (() => void)[] = [];
  const { client } = await start((_request, response) => held.push(() => answer(response, 200, PAGE)));
  const before = [client.list(TASKS, { limit: 100 }), client.list(TASKS, { limit: 100 })];
  const waiting = client.list(TASKS, { limit: 100, timeoutMs: 1_500 });
  await waitUntil('the lists before it', () => held.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  for (const release of held.splice(0)) release();
  (await waitUntil('its turn', () => held.shift()))();
  expect(await waiting).toMatchObject({ ok: true });
  await Promise.all(before);
});

test('a list that is not wanted any more gives its turn up', async () => {
  const held: (() => void)[] = [];
  const { api, client } = await start((_request, response) => held.push(() => answer(response, 200, PAGE)));
  const before = [client.list(TASKS, { limit: 100 }), client.list(TASKS, { limit: 100 })];
  const stopping = new AbortController();
  const given = client.list(TASKS, { limit: 100, signal: stopping.signal });
  const after = client.list(TASKS, { limit: 100 });
  await waitUntil('the lists before it', () => held.length === 2);
  stopping.abort();
  expect(await given).toMatchObject({ ok: false, reason: 'Aborted', sent: false });
  for (const release of held.splice(0)) release();
  (await waitUntil('the turn of the next', () => held.shift()))();
  await Promise.all([...before, after]);
  expect(api.requests).toHaveLength(3);
});

test('a streamed list leaves the lane where it ends, and goes on as a watch', async () => {
  const streams: ServerResponse[] = [];
  const { client } = await start((request, response) => {
    if (request.query.get('watch') !== 'true') return answer(response, 200, PAGE);
    streams.push(response);
    return open(response);
  });
  const stopping = new AbortController();
  const how = { sendInitialEvents: true, silenceMs: 60_000, signal: stopping.signal, onEvent: () => {} } as const;
  const ends = Array.from({ length: 10 }, () => client.watch(TASKS, how));
  await waitUntil('eight streams', () => streams.length === 8);
  expect(await client.list(TASKS, { limit: 100 })).toMatchObject({ ok: true });
  expect(streams).toHaveLength(8);
  const bookmark = { metadata: { resourceVersion: '5', annotations: { 'k8s.io/initial-events-end': 'true' } } };
  for (let index = 0; index < 10; index++) {
    const stream = await waitUntil('the stream', () => streams[index]);
    stream.write(`${JSON.stringify({ type: 'BOOKMARK', object: bookmark })}\n`);
  }
  expect(client.streamsLists()).toBe(true);
  stopping.abort();
  expect(await Promise.all(ends)).toEqual(ends.map(() => ({ kind: 'stopped' })));
});

test('a watch that is refused for its credentials has them read again', async () => {
  let token = 'old';
  const api = await startScriptedApi((request, response) => {
    if (request.headers.authorization === 'Bearer new') return open(response);
    return answer(response, 401, { code: 401, reason: 'Unauthorized' });
  });
  const client = createKubeClient({
    access: await api.access(() => ({ authorization: `Bearer ${token}` })),
    userAgent: 'test',
  });
  releases.push(
    () => api.close(),
    () => client.close(),
  );
  token = 'new';
  const stopping = new AbortController();
  const how = { silenceMs: 60_000, signal: stopping.signal, onEvent: () => {} };
  expect(await client.watch(TASKS, how)).toMatchObject({ kind: 'failed', failure: { status: 401 } });
  const opened = Promise.withResolvers<number>();
  const second = client.watch(TASKS, { ...how, onAnswer: opened.resolve });
  expect(await opened.promise).toBe(200);
  stopping.abort();
  await second;
});

test('a watch leaves nothing behind on the signal of its caller', async () => {
  const { client } = await start((_request, response) => {
    response.writeHead(200);
    response.end();
  });
  const { signal } = new AbortController();
  for (let time = 0; time < 3; time++) await client.watch(TASKS, { silenceMs: 60_000, signal, onEvent: () => {} });
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('a watch tells the server what it wants, and nothing else', async () => {
  const { api, client } = await start((_request, response) => response.end());
  await client.watch(TASKS, {
    resourceVersion: '7',
    timeoutSeconds: 300,
    silenceMs: 60_000,
    signal: new AbortController().signal,
    onEvent: () => {},
  });
  expect(Object.fromEntries(api.requests[0]?.query ?? [])).toEqual({
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: '7',
    timeoutSeconds: '300',
  });
});
