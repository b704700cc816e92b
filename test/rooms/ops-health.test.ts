/** The health and metrics listeners on real sockets. */
import { once } from 'node:events';
import { get } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';

import { checkWatches, createCallRecord, startHealthServer, startMetricsServer } from '../../src/ops/health.ts';
import type { Listener } from '../../src/ops/health.ts';
import { createMetrics } from '../../src/ops/metrics.ts';
import { waitUntil } from '../support/wait-until.ts';

const open: Listener[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close()));
});
const LOOPBACK = { host: '127.0.0.1', port: 0 };

async function health(live: readonly string[], ready: readonly string[]): Promise<string> {
  const listener = await startHealthServer({ bind: LOOPBACK, live: () => live, ready: () => ready });
  open.push(listener);
  return `http://127.0.0.1:${listener.port}`;
}

describe('the health listener', () => {
  test('answers 200 when there is no complaint', async () => {
    const base = await health([], []);
    for (const path of ['/healthz', '/readyz', '/healthz?verbose']) {
      const reply = await fetch(base + path);
      expect([reply.status, await reply.text()]).toEqual([200, 'ok\n']);
    }
  });

  test('says on /readyz what a person should know, and stays ready', async () => {
    const remark = 'captchatasks in namespace shut cannot be watched';
    const options = { bind: LOOPBACK, live: () => [], ready: () => [] };
    const listener = await startHealthServer({ ...options, remarks: () => [remark] });
    open.push(listener);
    const ask = (path: string) => fetch(`http://127.0.0.1:${listener.port}${path}`);
    const ready = await ask('/readyz');
    expect([ready.status, await ready.text()]).toEqual([200, `ok\n${remark}\n`]);
    expect(await (await ask('/healthz')).text()).toBe('ok\n');
  });

  test('answers 503 with the complaints, each check for itself', async () => {
    const base = await health([], ['callback keys are not loaded', 'the listener is not up']);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    const reply = await fetch(`${base}/readyz`);
    expect(reply.status).toBe(503);
    expect(await reply.text()).toBe('callback keys are not loaded\nthe listener is not up\n');
  });

  test('knows no other path and no other method', async () => {
    const base = await health([], []);
    expect((await fetch(`${base}/metrics`)).status).toBe(404);
    expect((await fetch(`${base}/constructor`)).status).toBe(404);
    expect((await fetch(`${base}/healthz`, { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await fetch(`${base}/healthz`, { method: 'HEAD' })).status).toBe(200);
    for (const path of ['/healthz/', '/HEALTHZ', '/%68ealthz/x']) expect((await fetch(base + path)).status).toBe(404);
  });

  test('rejects when its port is taken, and names the port', async () => {
    const base = await health([], []);
    const port = Number(new URL(base).port);
    const again = startHealthServer({ bind: { host: '127.0.0.1', port }, live: () => [], ready: () => [] });
    await expect(again).rejects.toThrow(new RegExp(`EADDRINUSE.*${port}`));
  });

  test('closes although a client keeps its connection open', async () => {
    const listener = await startHealthServer({ bind: LOOPBACK, live: () => [], ready: () => [] });
    const socket = connect(listener.port, '127.0.0.1');
    await once(socket, 'connect');
    const ended = once(socket, 'close');
    socket.on('error', () => {});
    socket.resume();
    await listener.close();
    await ended;
  });
});

/** Serves health in a thread of its own, whose event loop is blocked while the shared number is 1. */
const BLOCKABLE = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData.module).then(async ({ startHealthServer }) => {
    const bind = { host: '127.0.0.1', port: 0 };
    const listener = await startHealthServer({ bind, live: () => [], ready: () => [] });
    parentPort.on('message', () => {
      Atomics.store(workerData.blocked, 0, 1);
      Atomics.notify(workerData.blocked, 0);
      Atomics.wait(workerData.blocked, 0, 1);
    });
    parentPort.postMessage(listener.port);
  });
`;

test('a blocked event loop fails the liveness probe by not answering', async () => {
  const blocked = new Int32Array(new SharedArrayBuffer(4));
  const module = new URL('../../src/ops/health.ts', import.meta.url).href;
  const worker = new Worker(BLOCKABLE, { eval: true, workerData: { blocked, module } });
  const [port] = (await once(worker, 'message')) as [number];
  const probe = (): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(500), headers: { connection: 'close' } });
  expect((await probe()).status).toBe(200);
  worker.postMessage('block', []);
  Atomics.wait(blocked, 0, 0);
  await expect(probe()).rejects.toThrow(/timeout/);
  Atomics.store(blocked, 0, 0);
  Atomics.notify(blocked, 0);
  expect((await probe()).status).toBe(200);
  await worker.terminate();
});

describe('the metrics listener', () => {
  test('answers 500 without a word where the page cannot be made', async () => {
    const metrics = { contentType: 'text/plain', text: () => Promise.reject(new Error('canary')) };
    const listener = await startMetricsServer({ bind: LOOPBACK, metrics });
    open.push(listener);
    const reply = await fetch(`http://127.0.0.1:${listener.port}/metrics`);
    expect([reply.status, await reply.text()]).toEqual([500, 'Internal Server Error']);
  });

  test('serves the page of the process', async () => {
    const metrics = createMetrics({ process: 'operator', version: '0' });
    const listener = await startMetricsServer({ bind: LOOPBACK, metrics });
    open.push(listener);
    const reply = await fetch(`http://127.0.0.1:${listener.port}/metrics`);
    expect(reply.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await reply.text()).toContain('captcha_operator_submissions_total{outcome="accepted"} 0');
    metrics.stop();
  });
});

/** Sockets that connect, say nothing and come back as soon as they are closed. */
function besiege(port: number, count: number): () => void {
  const sockets = new Set<Socket>();
  let over = false;
  const knock = (): void => {
    if (over) return;
    const socket = connect(port, '127.0.0.1');
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      setImmediate(knock);
    });
    socket.resume();
  };
  for (let started = 0; started < count; started++) knock();
  return () => {
    over = true;
    for (const socket of sockets) socket.destroy();
  };
}

/** What a prober without a kept connection sees: the status, or how its connection failed. */
function probe(url: string): Promise<number | string> {
  return new Promise((resolve) => {
    const call = get(url, { agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    call.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

describe('strangers who hold connections and say nothing', () => {
  test('do not keep a probe from its answer', async () => {
    const base = await health([], []);
    const end = besiege(Number(new URL(base).port), 80);
    const seen: (number | string)[] = [];
    for (let round = 0; round < 30; round++)
      seen.push(await probe(`${base}/${round % 2 === 0 ? 'healthz' : 'readyz'}`));
    end();
    expect(seen).toEqual(seen.map(() => 200));
  });

  test('do not keep a scrape from its page', async () => {
    const metrics = {
      contentType: 'text/plain',
      text: () => Promise.resolve('up 1'),
    };
    const listener = await startMetricsServer({ bind: LOOPBACK, metrics });
    open.push(listener);
    const end = besiege(listener.port, 80);
    const seen: (number | string)[] = [];
    for (let round = 0; round < 10; round++) seen.push(await probe(`http://127.0.0.1:${listener.port}/metrics`));
    end();
    expect(seen).toEqual(seen.map(() => 200));
  });

  test('are cut soon', async () => {
    const base = await health([], []);
    const socket = connect(Number(new URL(base).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    await waitUntil('the silent connection to be closed', () => socket.destroyed, { boundMs: 10_000 });
  });
});

const MINUTE = 60_000;
function at(nowMs: number, silentForMs: number, calls: { since?: number; last?: number }) {
  const record = createCallRecord();
  if (calls.since !== undefined) record.succeeded(nowMs - calls.since);
  if (calls.last !== undefined) record.succeeded(nowMs - calls.last);
  const watches = () => [
    { name: 'captchatasks', lastSignMs: nowMs - silentForMs },
    { name: 'deadletters', lastSignMs: nowMs - 1_000 },
  ];
  return { check: checkWatches({ watches, calls: record, nowMs: () => nowMs }), record };
}

describe('liveness', () => {
  test('fails when a watch is silent for 3 min while other calls succeed', () => {
    const { check } = at(10 * MINUTE, 3 * MINUTE + 1, { since: 5 * MINUTE, last: 1_000 });
    expect(check()).toEqual(['the watch of captchatasks is silent while other calls succeed']);
  });

  test('does not fail before that', () => {
    expect(at(10 * MINUTE, 3 * MINUTE, { since: 5 * MINUTE, last: 1_000 }).check()).toEqual([]);
  });

  test('does not fail while the API is down, nor right after it came back', () => {
    const down = at(10 * MINUTE, 9 * MINUTE, { since: 5 * MINUTE, last: 1_000 });
    down.record.failed();
    expect(down.check()).toEqual([]);
    down.record.succeeded(10 * MINUTE);
    expect(down.check()).toEqual([]);
  });

  test('does not fail where nothing else was asked lately', () => {
    expect(at(10 * MINUTE, 9 * MINUTE, {}).check()).toEqual([]);
    expect(at(10 * MINUTE, 9 * MINUTE, { since: 8 * MINUTE, last: 2 * MINUTE }).check()).toEqual([]);
  });
});
