/** What a reflector does about watches that open and do not work: however they fail, the store is not left behind. */
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { answer } from '../support/scripted-api.ts';
import { follow, item, releaseAll, startWatchServer, watching } from '../support/watch-server.ts';
import { waitUntil } from '../support/wait-until.ts';

afterEach(releaseAll);

const bookmark = (version: number) => ({ metadata: { resourceVersion: String(version) } });

test('lists when a watch that was opened stays silent, and again for as long as its watches are', async () => {
  const server = await startWatchServer();
  const followed = await follow(server, { silenceMs: 150 });
  await watching(server, 1);
  server.list = { items: [item('a', 30)], version: 40 };
  await waitUntil('the list to tell', () => followed.held()['ns/a'] === '30');
  server.list = { items: [item('b', 50)], version: 60 };
  await waitUntil('the next list to tell', () => followed.held()['ns/b'] === '50');
  expect(followed.deleted).toEqual(['ns/a']);
  expect(new Set(followed.causes)).toEqual(new Set(['silent']));
});

test('lists when a watch that told something falls silent', async () => {
  const server = await startWatchServer();
  const followed = await follow(server, { silenceMs: 150 });
  await watching(server, 1);
  server.send('BOOKMARK', bookmark(2));
  server.list = { items: [item('a', 30)], version: 40 };
  await waitUntil('the list to tell', () => followed.held()['ns/a'] === '30');
  expect([followed.causes[0], followed.interruptions[0]]).toEqual(['silent', true]);
});

test('takes neither an opened watch nor bytes without an event for a sign of life', async () => {
  const server = await startWatchServer();
  const followed = await follow(server, { silenceMs: 1_500 });
  await watching(server, 1);
  const heardMs = followed.reflector.lastActivityMs();
  server.send('NOISE', {});
  server.latest().write('\n');
  await waitUntil('the noise', () => followed.faults.length > 0);
  expect(followed.reflector.lastActivityMs()).toBe(heardMs);
  expect(followed.reflector.lastAnswerMs()).toBeGreaterThan(heardMs);
  expect(followed.reflector.watchingSinceMs()).toBeUndefined();
  const noise = setInterval(() => server.watches[0]?.response.write('{"type":"NOISE","object":{}}\n'), 20);
  await watching(server, 2);
  clearInterval(noise);
  expect([server.lists, followed.causes]).toEqual([2, ['silent']]);
});

test('counts every page and every event as a sign of life', async () => {
  const server = await startWatchServer();
  let atFirstPage = 0;
  server.list = (request, response) => {
    const isFirst = request.query.get('continue') === null;
    if (!isFirst) atFirstPage = followed.reflector.lastActivityMs();
    const metadata = { resourceVersion: '5', ...(isFirst && { continue: 'two' }) };
    answer(response, 200, { metadata, items: [] });
  };
  const followed = await follow(server);
  const startedMs = followed.reflector.lastActivityMs();
  await watching(server, 1);
  const listedMs = followed.reflector.lastActivityMs();
  expect(atFirstPage).toBeGreaterThan(startedMs);
  expect(listedMs).toBeGreaterThan(atFirstPage);
  server.send('ADDED', item('a', 8));
  await waitUntil('the event', () => followed.held()['ns/a']);
  expect(followed.reflector.lastActivityMs()).toBeGreaterThan(listedMs);
  expect(followed.reflector.watchingSinceMs()).toBe(followed.reflector.lastActivityMs());
});

test('lists when a bookmark is older than what it knows', async () => {
  const server = await startWatchServer();
  server.list = { items: [item('gone', 90)], version: 100 };
  const followed = await follow(server);
  await watching(server, 1);
  server.list = { items: [item('restored', 20)], version: 40 };
  server.send('BOOKMARK', bookmark(39));
  await waitUntil('the list to tell', () => followed.held()['ns/restored'] === '20');
  expect(followed.held()).toEqual({ 'ns/restored': '20' });
  await watching(server, 2);
  expect(server.watches[1]?.version).toBe('40');
});

const opensThen = (fail: (response: ServerResponse) => void) => (response: ServerResponse) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  fail(response);
};
const FAILING_WATCHES: [string, (response: ServerResponse) => void][] = [
  ['is reset', (response) => response.write(' ', () => response.destroy())],
  ['is a page of HTML', (response) => response.end('<html>log in</html>\n')],
  ['ends at once', (response) => response.end()],
];

test.each(FAILING_WATCHES)('slows down, and lists, when every watch opens and %s', async (_title, fail) => {
  const server = await startWatchServer();
  server.refusals = Array.from({ length: 40 }, () => opensThen(fail));
  const followed = await follow(server);
  await watching(server, 1);
  server.list = { items: [item('a', 30)], version: 40 };
  await waitUntil('the list to tell', () => followed.held()['ns/a'] === '30');
  await watching(server, 12);
  expect(followed.sleeps.slice(0, 4)).toEqual([500, 1_000, 2_000, 4_000]);
  expect(followed.sleeps.slice(7).every((delayMs) => delayMs === 30_000)).toBe(true);
});

const ERROR_500 = { kind: 'Status', code: 500, reason: 'InternalError', message: 'unable to decode an object' };

test('lists after an ERROR event, reports what is gone, and slows down when the errors go on', async () => {
  const server = await startWatchServer();
  server.list = { items: [item('gone', 1), item('kept', 2)], version: 2 };
  server.refusals = Array.from({ length: 40 }, () =>
    opensThen((response) => {
      response.write(`${JSON.stringify({ type: 'ADDED', object: item('event', 1_000) })}\n`);
      response.write(`${JSON.stringify({ type: 'ERROR', object: ERROR_500 })}\n`);
    }),
  );
  const followed = await follow(server);
  await watching(server, 1);
  server.list = { items: [item('kept', 2)], version: 2_000 };
  await waitUntil('the list to tell', () => followed.deleted.includes('ns/gone'));
  await watching(server, 10);
  expect(followed.sleeps.slice(0, 4)).toEqual([500, 1_000, 2_000, 4_000]);
  expect(Math.max(...followed.sleeps)).toBe(30_000);
  // A list before each watch; the next one may be on its way.
  expect([0, 1]).toContain(server.lists - server.watches.length);
  expect(followed.causes.slice(0, 3)).toEqual(['error', 'error', 'error']);
});

test('trusts watches again after one that lived for a minute', async () => {
  const server = await startWatchServer();
  const fail = opensThen((response) => response.write(`${JSON.stringify({ type: 'ERROR', object: ERROR_500 })}\n`));
  server.refusals = [fail, fail, fail];
  const sleeps: number[] = [];
  let nowMs = 0;
  const clock = { ...clockOf(0.5, sleeps), monotonicMs: () => nowMs };
  const { reflector } = await follow(server, { clock });
  await watching(server, 4);
  for (nowMs = 1_000; nowMs <= 62_000; nowMs += 30_500) {
    server.send('BOOKMARK', bookmark(nowMs));
    await waitUntil('the bookmark', () => reflector.lastActivityMs() === nowMs);
  }
  server.latest().destroy();
  await watching(server, 5);
  expect(sleeps).toEqual([500, 1_000, 2_000, 500]);
});

test('lists what was quiet for a while when its watch ends, and does not call it watched before it was told of it', async () => {
  const server = await startWatchServer();
  let nowMs = 0;
  const { reflector } = await follow(server, { clock: { ...clockOf(0.5), monotonicMs: () => nowMs } });
  await watching(server, 1);
  nowMs = 1_000;
  server.send('BOOKMARK', bookmark(2));
  await waitUntil('the bookmark', () => reflector.watchingSinceMs() === nowMs);
  nowMs = 20_000;
  server.latest().end();
  await watching(server, 2);
  expect([server.lists, reflector.watchingSinceMs()]).toEqual([2, undefined]);
});

test('resumes after an ERROR event that only asks for patience, as late as it asks', async () => {
  const server = await startWatchServer();
  const patience = { code: 429, reason: 'TooManyRequests', details: { retryAfterSeconds: 3 } };
  server.refusals = [
    opensThen((response) => response.write(`${JSON.stringify({ type: 'ERROR', object: patience })}\n`)),
  ];
  const followed = await follow(server);
  await watching(server, 2);
  expect([server.lists, followed.sleeps]).toEqual([1, [3_000]]);
});

test('begins anew with short waits once a watch has told something', async () => {
  const server = await startWatchServer();
  const reset = opensThen((response) => response.write(' ', () => response.destroy()));
  server.refusals = [reset, reset, reset];
  const followed = await follow(server);
  await watching(server, 4);
  server.send('BOOKMARK', bookmark(2));
  await waitUntil('the bookmark', () => followed.troubles.at(-1) === 'available');
  server.refusals = [reset];
  server.latest().destroy();
  await watching(server, 6);
  expect(followed.sleeps).toEqual([500, 1_000, 2_000, 500, 1_000]);
  expect(followed.troubles).toEqual(['Disconnected (0)', 'available', 'Disconnected (0)']);
});

test('lists where a refused watch was told to wait for so long that nothing is certain any more', async () => {
  const server = await startWatchServer();
  server.refusals = Array.from({ length: 2 }, () => (response: ServerResponse) => {
    answer(response, 429, { code: 429, reason: 'TooManyRequests' }, { 'retry-after': '20' });
  });
  const followed = await follow(server);
  await watching(server, 3);
  expect([followed.sleeps, server.lists]).toEqual([[20_000, 20_000], 2]);
});

test('says what the trouble is until a watch tells something', async () => {
  const server = await startWatchServer();
  server.refusals = [(response) => answer(response, 403, { code: 403, reason: 'Forbidden' })];
  const followed = await follow(server);
  await watching(server, 2);
  expect(followed.reflector.trouble()).toEqual({ status: 403, reason: 'Forbidden' });
  server.send('BOOKMARK', bookmark(2));
  await waitUntil('the bookmark', () => followed.reflector.trouble() === undefined);
  expect(followed.troubles).toEqual(['Forbidden (403)', 'available']);
});

const refuse = (response: ServerResponse) => answer(response, 403, { code: 403, reason: 'Forbidden' });

test.each([
  [3, 'says of a refusal that lasts, with its namespace, although the server was away before it'],
  [2, 'does not believe a server that refuses for a moment after it was away'],
])('(%i refusals) %s', async (refusals) => {
  const server = await startWatchServer();
  server.refusals = [(response) => response.destroy(), ...Array.from({ length: refusals }, () => refuse)];
  const told: unknown[] = [];
  const hooks = { onUnavailable: (trouble: object) => told.push(trouble) };
  await follow(server, { namespace: 'shut', hooks });
  await watching(server, 2 + refusals);
  const away = { namespace: 'shut', status: 0 };
  expect(told).toMatchObject(refusals === 3 ? [away, { namespace: 'shut', status: 403 }] : [away]);
});

test('knows when a watch last told something, however often its lists are answered', async () => {
  const server = await startWatchServer();
  const followed = await follow(server, { silenceMs: 100 });
  const startedMs = followed.reflector.lastEventMs();
  await watching(server, 3);
  expect(followed.reflector.lastActivityMs()).toBeGreaterThan(startedMs);
  expect(followed.reflector.lastEventMs()).toBe(startedMs);
  // The watch that is told may just be given up as silent.
  await waitUntil('the bookmark', () => {
    server.send('BOOKMARK', bookmark(2));
    return followed.reflector.lastEventMs() > startedMs;
  });
});

test('passes over events that it does not know, says so once, and reads on', async () => {
  const server = await startWatchServer();
  const followed = await follow(server);
  await watching(server, 1);
  for (let time = 0; time < 3; time++) server.send('PROGRESS', { metadata: { resourceVersion: '5' } });
  server
    .latest()
    .write('{"type":"ADDED"}\n{"type":"ADDED","object":null}\n{"type":"MODIFIED","object":{"kind":"x"}}\n{}\n');
  server.send('ADDED', item('a', 6));
  await waitUntil('the event after them', () => followed.held()['ns/a'] === '6');
  expect([server.watches.length, followed.faults.map(String)]).toEqual([
    1,
    ['Error: an event of an unknown type', 'Error: an event without an object'],
  ]);
});

test('asks for watches of 5 to 10 minutes, spread by chance', async () => {
  const server = await startWatchServer();
  const lives = [0, 0.5, 1].map(async (chance) => {
    const { reflector } = await follow(server, { clock: clockOf(chance) });
    return reflector.synced;
  });
  await Promise.all(lives);
  await watching(server, 3);
  const seconds = server.watches.map(({ query }) => Number(query.get('timeoutSeconds')));
  expect(seconds.toSorted((left, right) => left - right)).toEqual([300, 450, 600]);
});

test.each([
  [0, 350],
  [1, 650],
])('spreads its waits by chance: %d', async (chance, firstMs) => {
  const server = await startWatchServer();
  server.refusals = [(response) => response.destroy()];
  const sleeps: number[] = [];
  await follow(server, { clock: clockOf(chance, sleeps) });
  await watching(server, 2);
  expect(sleeps.map(Math.round)).toEqual([firstMs]);
});

function clockOf(chance: number, sleeps: number[] = []) {
  return {
    monotonicMs: () => performance.now(),
    random: () => chance,
    sleep: async (delayMs: number) => void sleeps.push(delayMs),
  };
}
