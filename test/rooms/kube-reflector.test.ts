/** The reflector against a scripted watch server: whatever happens to a watch, the store ends up like the server. */
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { createKubeClient } from '../../src/kube/client.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import { createStore } from '../../src/kube/store.ts';
import { answer, freePort } from '../support/scripted-api.ts';
import { TASKS, follow, item, releaseAll, releases, startWatchServer, watching } from '../support/watch-server.ts';
import type { WatchServer } from '../support/watch-server.ts';
import { waitUntil } from '../support/wait-until.ts';

afterEach(releaseAll);

test('lists, then watches from the version of the list, with bookmarks and the selector', async () => {
  const server = await startWatchServer();
  server.list = { items: [item('a', 3)], version: 7 };
  const followed = await follow(server, { fieldSelector: 'status.phase!=Solved', namespace: 'ns' });
  await followed.reflector.synced;
  await watching(server, 1);
  const { query } = server.watches[0] ?? {};
  expect([query?.get('resourceVersion'), query?.get('allowWatchBookmarks')]).toEqual(['7', 'true']);
  expect(query?.get('fieldSelector')).toBe('status.phase!=Solved');
  server.send('ADDED', item('b', 8));
  server.send('MODIFIED', item('a', 9));
  await waitUntil('both', () => followed.held()['ns/a'] === '9');
  server.send('DELETED', item('a', 10));
  await waitUntil('the deletion', () => followed.deleted.length > 0);
  expect(followed.held()).toEqual({ 'ns/b': '8' });
});

test('lists in pages, and starts over when a page is too old', async () => {
  const server = await startWatchServer();
  let expired = 0;
  server.list = (request, response) => {
    const page = request.query.get('continue');
    const metadata = { resourceVersion: '5' };
    if (page === null) answer(response, 200, { metadata: { ...metadata, continue: 'two' }, items: [item('a', 1)] });
    else if (expired++ === 0) answer(response, 410, { code: 410, reason: 'Expired' });
    else answer(response, 200, { metadata, items: [item('b', 2)] });
  };
  const followed = await follow(server);
  await followed.reflector.synced;
  expect(followed.held()).toEqual({ 'ns/a': '1', 'ns/b': '2' });
  expect(server.lists).toBe(4);
});

test('resumes at once where a watch ended, without a list and without a backoff', async () => {
  const server = await startWatchServer();
  const followed = await follow(server);
  await watching(server, 1);
  server.send('ADDED', item('a', 4));
  const since = await waitUntil('the watch', () => followed.reflector.watchingSinceMs());
  server.send('BOOKMARK', { metadata: { resourceVersion: '6' } });
  server.latest().end();
  await watching(server, 2);
  expect(server.watches[1]?.version).toBe('6');
  server.send('MODIFIED', item('a', 8));
  await waitUntil('the event after it', () => followed.held()['ns/a'] === '8');
  expect([server.lists, followed.sleeps, followed.causes]).toEqual([1, [], ['ended']]);
  expect(followed.interruptions).toEqual([false]);
  expect(followed.reflector.watchingSinceMs()).toBe(since);
});

test('does not wait after short watches that told something', async () => {
  const server = await startWatchServer();
  const followed = await follow(server);
  for (let version = 2; version < 6; version++) {
    await watching(server, version - 1);
    server.send('ADDED', item('a', version));
    await waitUntil('the event', () => followed.held()['ns/a'] === String(version));
    server.latest().end();
  }
  await watching(server, 5);
  expect([followed.sleeps, server.lists]).toEqual([[], 1]);
});

test('slows down when every watch ends right after it began', async () => {
  const server = await startWatchServer();
  server.refusals = Array.from({ length: 6 }, () => (response: ServerResponse) => {
    response.writeHead(200);
    response.end();
  });
  const followed = await follow(server);
  await watching(server, 6);
  expect(followed.sleeps.slice(0, 4)).toEqual([500, 1_000, 2_000, 4_000]);
  expect(server.lists).toBe(1);
});

test('resumes after a broken connection, and counts the interruption', async () => {
  const server = await startWatchServer();
  const followed = await follow(server);
  await watching(server, 1);
  server.send('ADDED', item('a', 4));
  await waitUntil('the event', () => followed.held()['ns/a']);
  const since = followed.reflector.watchingSinceMs() ?? 0;
  server.api.cut();
  await watching(server, 2);
  expect(server.watches[1]?.version).toBe('4');
  server.send('BOOKMARK', { metadata: { resourceVersion: '5' } });
  const again = await waitUntil('the watch', () => followed.reflector.watchingSinceMs());
  expect(again).toBeGreaterThan(since);
  expect([followed.causes, followed.sleeps, server.lists]).toEqual([['error'], [500], 1]);
});

test.each([
  ['as an HTTP answer', (response: ServerResponse) => answer(response, 410, { code: 410, reason: 'Expired' })],
  [
    'as an event',
    (response: ServerResponse) => {
      response.writeHead(200);
      response.write(`${JSON.stringify({ type: 'ERROR', object: { code: 410, reason: 'Expired' } })}\n`);
    },
  ],
])('lists again on 410 %s, and reports what is gone as deleted', async (_title, refuse) => {
  const server = await startWatchServer();
  server.list = { items: [item('a', 1), item('b', 2)], version: 2 };
  server.refusals = [refuse];
  const followed = await follow(server);
  await followed.reflector.synced;
  server.list = { items: [item('b', 2), item('c', 30)], version: 40 };
  await watching(server, 2);
  expect(followed.held()).toEqual({ 'ns/b': '2', 'ns/c': '30' });
  expect(followed.deleted).toEqual(['ns/a']);
  expect([followed.causes, server.watches[1]?.version]).toEqual([['expired'], '40']);
  expect(followed.interruptions).toEqual([true]);
});

test('keeps a watch whose bookmarks come in time', async () => {
  const server = await startWatchServer();
  // Each wait leaves more than a second for a machine that is held up, and all of them are longer than the limit.
  const followed = await follow(server, { silenceMs: 1_500 });
  await watching(server, 1);
  const before = followed.reflector.lastActivityMs();
  for (let version = 10; version < 16; version++) {
    server.send('BOOKMARK', { metadata: { resourceVersion: String(version) } });
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect([followed.causes, server.watches.length]).toEqual([[], 1]);
  expect(followed.reflector.lastActivityMs()).toBeGreaterThan(before);
});

test('is not moved by repeated and old events', async () => {
  const server = await startWatchServer();
  server.list = { items: [item('a', 3)], version: 5 };
  const followed = await follow(server);
  await watching(server, 1);
  server.send('MODIFIED', item('a', 8));
  server.send('MODIFIED', item('a', 8));
  server.send('DELETED', item('a', 9));
  server.send('ADDED', item('a', 8));
  server.send('ADDED', item('b', 10));
  await waitUntil('the last event', () => followed.held()['ns/b']);
  expect(followed.held()).toEqual({ 'ns/b': '10' });
});

test('resumes from the last good event after a line that is not one', async () => {
  const server = await startWatchServer();
  const followed = await follow(server);
  await watching(server, 1);
  server.send('ADDED', item('a', 4));
  server.latest().write('{"type":"ADDED","object":{"metad\n');
  await watching(server, 2);
  expect([server.watches[1]?.version, followed.causes, followed.held()]).toEqual(['4', ['error'], { 'ns/a': '4' }]);
});

test('reads an object that is larger than any buffer, cut inside its characters', async () => {
  const server = await startWatchServer();
  const followed = await follow(server);
  await watching(server, 1);
  const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: item('big', 4, '字🙂'.repeat(150_000)) })}\n`);
  for (let at = 0; at < line.length; at += 65_537) server.latest().write(line.subarray(at, at + 65_537));
  await waitUntil('the object', () => followed.held()['ns/big'] === '4');
});

test('passes over an object that cannot be projected, says so, and goes on', async () => {
  const server = await startWatchServer();
  const followed = await follow(server);
  await watching(server, 1);
  server.send('ADDED', item('bad', 4, 'unbearable'));
  server.send('ADDED', item('good', 5));
  await waitUntil('the next object', () => followed.held()['ns/good']);
  expect([followed.faults.length, server.watches.length]).toEqual([1, 1]);
});

test('waits when the API is gone at start, says so once, and fills the store when it comes', async () => {
  const port = await freePort();
  const absent = { api: { access: () => accessOf(port) } } as unknown as WatchServer;
  const followed = await follow(absent);
  await waitUntil('some tries', () => followed.sleeps.length >= 3);
  expect(followed.troubles).toEqual(['Unreachable (0)']);
  const server = await startWatchServer(port);
  server.list = { items: [item('a', 3)], version: 3 };
  await followed.reflector.synced;
  expect(followed.held()).toEqual({ 'ns/a': '3' });
  await watching(server, 1);
  server.send('BOOKMARK', { metadata: { resourceVersion: '4' } });
  await waitUntil('the watch', () => followed.troubles.at(-1) === 'available');
});

async function accessOf(port: number) {
  const { createAccess } = await import('../../src/kube/access.ts');
  const tls = { rejectUnauthorized: false };
  return createAccess({ server: `https://127.0.0.1:${port}`, namespace: undefined, read: async () => ({ tls }) });
}

test('keeps trying while lists fail, with a growing and bounded wait', async () => {
  const server = await startWatchServer();
  let failures = 12;
  server.list = (_request, response) => {
    if (failures-- > 0) answer(response, 500, { reason: 'InternalError' });
    else answer(response, 200, { metadata: { resourceVersion: '5' }, items: [item('a', 1)] });
  };
  const followed = await follow(server);
  await followed.reflector.synced;
  expect(followed.sleeps.slice(0, 4)).toEqual([500, 1_000, 2_000, 4_000]);
  expect(Math.max(...followed.sleeps)).toBe(30_000);
  expect(followed.reflector.watchingSinceMs() === undefined || server.watches.length > 0).toBe(true);
});

test('waits as long as a refused watch was told to, within bounds', async () => {
  const server = await startWatchServer();
  server.refusals = ['12', '86400'].map((seconds) => (response: ServerResponse) => {
    answer(response, 429, { code: 429, reason: 'TooManyRequests' }, { 'retry-after': seconds });
  });
  const followed = await follow(server);
  await watching(server, 3);
  expect(followed.sleeps).toEqual([12_000, 30_000]);
});

test('reads on slowly what comes fast, and loses nothing', async () => {
  const server = await startWatchServer();
  const followed = await follow(server);
  await watching(server, 1);
  for (let version = 10; version < 5_010; version++)
    server.send('ADDED', item(`t${version}`, version, 'x'.repeat(500)));
  await waitUntil('all objects', () => Object.keys(followed.held()).length === 5_000);
  expect(server.watches).toHaveLength(1);
});

test('fills one store from a reflector a namespace, each with its own restarts', async () => {
  const server = await startWatchServer();
  server.list = (request, response) => {
    const namespace = request.path.includes('/namespaces/one/') ? 'one' : 'two';
    const items = server.lists <= 2 ? [{ metadata: { namespace, name: 'a', resourceVersion: '2' } }] : [];
    answer(response, 200, { metadata: { resourceVersion: String(server.lists * 10) }, items });
  };
  const client = createKubeClient({ access: await server.api.access(), userAgent: 'test' });
  const store = createStore({ project: () => true });
  const reflectors = ['one', 'two'].map((namespace) => startReflector({ client, resource: TASKS, namespace, store }));
  releases.push(async () => {
    await Promise.all(reflectors.map((reflector) => reflector.stop()));
    await client.close();
  });
  await watching(server, 2);
  expect([...store.keys()].toSorted()).toEqual(['one/a', 'two/a']);
  server.send('ERROR', { code: 410 });
  await watching(server, 3);
  expect(store.size).toBe(1);
});

test('stops at once, in a watch and in a wait', async () => {
  const server = await startWatchServer();
  const followed = await follow(server);
  await watching(server, 1);
  await followed.reflector.stop();
  expect(followed.reflector.watchingSinceMs()).toBeUndefined();
  const client = createKubeClient({ access: await accessOf(await freePort()), userAgent: 'test' });
  const store = createStore({ project: () => true });
  const down = Promise.withResolvers<void>();
  const hooks = { onUnavailable: () => down.resolve() };
  const waiting = startReflector({ client, resource: TASKS, store, hooks });
  await down.promise;
  await waiting.stop();
  await client.close();
});
