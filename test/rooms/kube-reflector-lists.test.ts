/** How a reflector lists: streamed where the server can, else in pages, and through whatever happens to either. */
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { createKubeClient } from '../../src/kube/client.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import { createStore } from '../../src/kube/store.ts';
import { answer } from '../support/scripted-api.ts';
import type { ScriptedRequest } from '../support/scripted-api.ts';
import { TASKS, follow, item, releaseAll, releases, startWatchServer, watching } from '../support/watch-server.ts';
import { waitUntil } from '../support/wait-until.ts';

afterEach(releaseAll);

const send = (response: ServerResponse, type: string, object: object) =>
  response.write(`${JSON.stringify({ type, object })}\n`);
const endOfList = (response: ServerResponse, version: number) =>
  send(response, 'BOOKMARK', {
    metadata: { resourceVersion: String(version), annotations: { 'k8s.io/initial-events-end': 'true' } },
  });

describe('a streamed list', () => {
  test('goes on as the watch', async () => {
    const server = await startWatchServer();
    server.stream = (response) => {
      send(response, 'ADDED', item('b', 9));
      send(response, 'ADDED', item('a', 3));
      endOfList(response, 12);
    };
    const followed = await follow(server, { namespace: 'ns', fieldSelector: 'status.phase!=Solved' });
    await followed.reflector.synced;
    expect(followed.held()).toEqual({ 'ns/a': '3', 'ns/b': '9' });
    expect(followed.reflector.watchingSinceMs()).toBeDefined();
    const query = Object.fromEntries(server.streams[0]?.query ?? []);
    expect(query).toEqual({
      watch: 'true',
      allowWatchBookmarks: 'true',
      fieldSelector: 'status.phase!=Solved',
      timeoutSeconds: '450',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
    });
    const [stream] = server.streams;
    if (stream === undefined) throw new Error('nothing was streamed');
    send(stream.response, 'MODIFIED', item('a', 14));
    await waitUntil('the event after it', () => followed.held()['ns/a'] === '14');
    stream.response.end();
    await watching(server, 1);
    expect([server.watches[0]?.version, server.lists, server.streams.length]).toEqual(['14', 0, 1]);
  });

  test('removes what it does not name, and takes what happens while it lasts', async () => {
    const server = await startWatchServer();
    server.stream = (response) => {
      for (const name of ['gone', 'kept', 'short']) send(response, 'ADDED', item(name, 3));
      endOfList(response, 10);
    };
    const followed = await follow(server);
    await followed.reflector.synced;
    server.stream = (response) => {
      send(response, 'ADDED', item('kept', 3));
      send(response, 'ADDED', item('short', 3));
      send(response, 'MODIFIED', item('kept', 41));
      send(response, 'DELETED', item('short', 42));
      send(response, 'BOOKMARK', { metadata: { resourceVersion: '42' } });
      endOfList(response, 43);
    };
    send(server.streams[0]!.response, 'ERROR', { code: 410 });
    await waitUntil('the second list', () => followed.held()['ns/kept'] === '41');
    await waitUntil('its end', () => followed.deleted.length === 2);
    expect(followed.held()).toEqual({ 'ns/kept': '41' });
    expect(followed.deleted.toSorted()).toEqual(['ns/gone', 'ns/short']);
  });

  test('has limits of its own, which end with it', async () => {
    const server = await startWatchServer();
    server.stream = (response) => endOfList(response, 10);
    // Long enough for the list on a machine that is held up, and over before the last event.
    const followed = await follow(server, { silenceMs: 30_000, listing: { silenceMs: 1_000, atMostMs: 1_500 } });
    await followed.reflector.synced;
    for (let version = 11; version < 14; version++) {
      await new Promise((resolve) => setTimeout(resolve, version === 11 ? 1_200 : 300));
      send(server.streams[0]!.response, 'MODIFIED', item('a', version));
    }
    await waitUntil('the last event', () => followed.held()['ns/a'] === '13');
    expect([followed.causes, server.streams.length, server.watches.length]).toEqual([[], 1, 0]);
  });

  test('is tried again after pages had to do', async () => {
    const server = await startWatchServer();
    server.stream = (response) => endOfList(response, 10);
    const refused = first(1);
    const { stream } = server;
    server.api.handle((request, response) => {
      if (request.query.get('sendInitialEvents') !== 'true') {
        if (request.query.get('watch') !== 'true')
          answer(response, 200, { metadata: { resourceVersion: '7' }, items: [] });
        else answer(response, 410, { code: 410, reason: 'Expired' });
        return;
      }
      if (refused()) return answer(response, 503, { code: 503, reason: 'ServiceUnavailable' });
      response.writeHead(200, { 'content-type': 'application/json' });
      stream?.(response);
    });
    const followed = await follow(server);
    await waitUntil('a stream', () => followed.reflector.watchingSinceMs() !== undefined);
    expect([followed.sleeps, followed.troubles]).toEqual([[500], ['ServiceUnavailable (503)', 'available']]);
  });

  test('is slowed down when each is followed by a watch that is none', async () => {
    const server = await startWatchServer();
    server.stream = (response) => {
      endOfList(response, 10);
      send(response, 'ERROR', { code: 410, reason: 'Expired' });
    };
    const followed = await follow(server);
    await waitUntil('some lists', () => server.streams.length >= 5);
    expect(followed.sleeps.slice(0, 3)).toEqual([500, 1_000, 2_000]);
  });

  test('is no list before its end: nothing is synced, watched or removed', async () => {
    const server = await startWatchServer();
    const opened = Promise.withResolvers<ServerResponse>();
    server.stream = (response) => opened.resolve(response);
    const followed = await follow(server);
    const response = await opened.promise;
    send(response, 'ADDED', item('a', 3));
    await waitUntil('the first object', () => followed.held()['ns/a'] === '3');
    let isSynced = false;
    void followed.reflector.synced.then(() => (isSynced = true));
    await new Promise(setImmediate);
    expect([isSynced, followed.reflector.watchingSinceMs()]).toEqual([false, undefined]);
    endOfList(response, 5);
    await followed.reflector.synced;
    expect(followed.reflector.watchingSinceMs()).toBeDefined();
  });

  const FAULTS: [string, ((response: ServerResponse) => void) | undefined][] = [
    ['is refused by an old server', undefined],
    ['says nothing', () => {}],
    ['never comes to its end', drip],
    ['is cut off', (response) => response.write('{', () => response.destroy())],
    ['ends too early', (response) => void response.end(`${JSON.stringify({ type: 'ADDED', object: item('b', 2) })}\n`)],
    ['ends with an error', (response) => send(response, 'ERROR', { code: 500, reason: 'InternalError' })],
  ];
  // Each of the two is the only one that can end its list.
  const SILENCE = { silenceMs: 150, atMostMs: 60_000 };
  const DURATION = { silenceMs: 60_000, atMostMs: 600 };
  test.each(FAULTS)('that %s gives way to pages at once, without a word', async (_what, stream) => {
    const server = await startWatchServer();
    server.stream = stream;
    server.list = { items: [item('a', 3)], version: 7 };
    const followed = await follow(server, { listing: stream === drip ? DURATION : SILENCE });
    await followed.reflector.synced;
    expect(followed.held()).toEqual({ 'ns/a': '3' });
    await watching(server, 1);
    expect([followed.sleeps, followed.troubles, followed.causes]).toEqual([[], [], []]);
    expect(server.watches[0]?.version).toBe('7');
  });

  test('that is refused for other reasons is waited for, and then tried in pages', async () => {
    const server = await startWatchServer();
    server.api.handle((request, response) => {
      if (request.query.get('watch') === 'true') answer(response, 503, { code: 503 }, { 'retry-after': '20' });
      else answer(response, 200, { metadata: { resourceVersion: '7' }, items: [item('a', 3)] });
    });
    const followed = await follow(server);
    await followed.reflector.synced;
    expect([followed.sleeps[0], followed.troubles]).toEqual([20_000, ['HTTP503 (503)']]);
  });

  test('that waits for its turn does not make the server look silent', async () => {
    const server = await startWatchServer();
    server.stream = () => {};
    const client = createKubeClient({ access: await server.api.access(), userAgent: 'test' });
    const store = createStore({ project: () => true });
    const reflectors = Array.from({ length: 9 }, (_, index) =>
      startReflector({ client, resource: TASKS, namespace: `ns-${index}`, store }),
    );
    releases.push(async () => {
      await Promise.all(reflectors.map((reflector) => reflector.stop()));
      await client.close();
    });
    const answers = () => reflectors.map((reflector) => reflector.lastAnswerMs());
    const [startMs = Infinity] = answers();
    await waitUntil('eight of them to be answered', () => answers().filter((atMs) => atMs > startMs).length >= 8);
    await waitUntil('all eight', () => server.streams.length === 8);
    const before = answers();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(answers()[8]).toBeGreaterThan(before[8] ?? Infinity);
    expect(reflectors[8]?.watchingSinceMs()).toBeUndefined();
  });

  test('that does not work is found out by those who try first, not by every reflector', async () => {
    const server = await startWatchServer();
    server.stream = () => {};
    const client = createKubeClient({ access: await server.api.access(), userAgent: 'test' });
    const store = createStore({ project: () => true });
    const listing = { silenceMs: 300, atMostMs: 600 };
    const reflectors = Array.from({ length: 20 }, (_, index) =>
      startReflector({ client, resource: TASKS, namespace: `ns-${index}`, store, listing }),
    );
    releases.push(async () => {
      await Promise.all(reflectors.map((reflector) => reflector.stop()));
      await client.close();
    });
    await Promise.all(reflectors.map((reflector) => reflector.synced));
    expect(server.streams.length).toBeLessThanOrEqual(8);
    expect(server.lists).toBe(20);
  });

  test('of a storage that was put back is not taken for the newer state; pages are', async () => {
    const server = await startWatchServer();
    server.stream = (response) => {
      send(response, 'ADDED', item('both', 90));
      send(response, 'ADDED', item('gone', 95));
      endOfList(response, 100);
    };
    const followed = await follow(server);
    await followed.reflector.synced;
    server.list = { items: [item('both', 20), item('restored', 30)], version: 40 };
    server.stream = (response) => {
      send(response, 'ADDED', item('both', 20));
      send(response, 'ADDED', item('restored', 30));
      endOfList(response, 40);
    };
    send(server.streams[0]!.response, 'ERROR', { code: 410 });
    await watching(server, 1);
    expect(followed.held()).toEqual({ 'ns/both': '20', 'ns/restored': '30' });
    expect(server.watches[0]?.version).toBe('40');
  });
});

/** Events for as long as somebody reads, without an end of the list. */
function drip(response: ServerResponse): void {
  const timer = setInterval(() => send(response, 'MODIFIED', item('b', 2)), 50);
  response.on('close', () => clearInterval(timer));
}

/** A list of ten pages of one object; `meddle` may answer a page itself. */
function tenPages(meddle: (page: number, request: ScriptedRequest, response: ServerResponse) => boolean) {
  return (request: ScriptedRequest, response: ServerResponse) => {
    const page = Number(request.query.get('continue') ?? 1);
    if (meddle(page, request, response)) return;
    const metadata = { resourceVersion: '50', ...(page < 10 && { continue: String(page + 1) }) };
    answer(response, 200, { metadata, items: [item(`t${page}`, page)] });
  };
}

/** True for the first `times` times. */
function first(times: number): () => boolean {
  let left = times;
  return () => left-- > 0;
}

describe('a list in pages', () => {
  test('repeats a page that failed, and not the list', async () => {
    const server = await startWatchServer();
    const failures = [2, 2, 4, 4, 9, 9];
    server.list = tenPages((page, _request, response) => {
      if (page !== failures[0]) return false;
      failures.shift();
      answer(response, 500, { reason: 'InternalError' });
      return true;
    });
    const followed = await follow(server);
    await followed.reflector.synced;
    expect(Object.keys(followed.held())).toHaveLength(10);
    expect([server.lists, followed.troubles]).toEqual([16, []]);
    expect(followed.sleeps).toEqual([500, 1_000, 500, 1_000, 500, 1_000]);
  });

  test('starts over when a page fails again and again', async () => {
    const server = await startWatchServer();
    const fails = first(5);
    server.list = tenPages((page, _request, response) => {
      if (page !== 2 || !fails()) return false;
      answer(response, 500, { reason: 'InternalError' });
      return true;
    });
    const followed = await follow(server);
    await followed.reflector.synced;
    expect(followed.sleeps).toEqual([500, 1_000, 2_000, 4_000, 500]);
    expect([server.lists, followed.troubles]).toEqual([6 + 10, ['InternalError (500)']]);
  });

  test('waits as long as a page was told to, within bounds', async () => {
    const server = await startWatchServer();
    const seconds = ['20', '86400'];
    server.list = tenPages((page, _request, response) => {
      const wait = page === 5 ? seconds.shift() : undefined;
      if (wait !== undefined) answer(response, 429, { code: 429 }, { 'retry-after': wait });
      return wait !== undefined;
    });
    const followed = await follow(server);
    await followed.reflector.synced;
    expect(followed.sleeps).toEqual([20_000, 30_000]);
  });

  test('waits as long as its first page was told to', async () => {
    const server = await startWatchServer();
    const refused = first(1);
    server.list = tenPages((_page, _request, response) => {
      const isRefused = refused();
      if (isRefused) answer(response, 429, { code: 429 }, { 'retry-after': '20' });
      return isRefused;
    });
    const followed = await follow(server);
    await followed.reflector.synced;
    expect(followed.sleeps).toEqual([20_000]);
  });

  test('asks for half as many objects where a page is too large', async () => {
    const server = await startWatchServer();
    const limits: (string | null)[] = [];
    server.list = tenPages((_page, request, response) => {
      const limit = request.query.get('limit');
      limits.push(limit);
      if (Number(limit) <= 25) return false;
      response.on('error', () => {});
      response.end('x'.repeat(20 * 1024 * 1024));
      return true;
    });
    const followed = await follow(server);
    await followed.reflector.synced;
    expect(limits.slice(0, 4)).toEqual(['100', '50', '25', '25']);
    expect([Object.keys(followed.held()).length, followed.sleeps]).toEqual([10, []]);
  });

  test('comes to its end by the fresh tokens of the server when its own expire, and watches from where it began', async () => {
    const server = await startWatchServer();
    const expires = new Set([3, 4, 5, 6]);
    server.list = tenPages((page, _request, response) => {
      if (!expires.delete(page)) return false;
      answer(response, 410, { code: 410, reason: 'Expired', metadata: { continue: String(page) } });
      return true;
    });
    const followed = await follow(server);
    await followed.reflector.synced;
    await watching(server, 1);
    expect([Object.keys(followed.held()).length, server.lists, followed.sleeps]).toEqual([10, 14, []]);
    expect(server.watches[0]?.version).toBe('50');
  });

  test('passes over an object that cannot be projected, and says so', async () => {
    const server = await startWatchServer();
    server.list = { items: [item('bad', 3, 'unbearable'), item('good', 4)], version: 7 };
    const followed = await follow(server);
    await followed.reflector.synced;
    expect([followed.held(), followed.faults.length]).toEqual([{ 'ns/good': '4' }, 1]);
  });
});
