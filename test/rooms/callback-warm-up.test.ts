/** What a started sidecar tries out before it says that it is ready, and what does not keep it from being ready. */
import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import type { SpoolFile, SpoolFiles } from '../../src/callback/spool/files.ts';
import { createSpool } from '../../src/callback/spool/spool.ts';
import { warmUpToken } from '../../src/callback/warm-up.ts';
import type { ApiReply, ApiRequest } from '../../src/core/protocol.ts';
import { CAPTCHA_ID, T0, aTask } from '../support/builders.ts';
import { failingFiles } from '../support/failing-files.ts';
import { createModelApi } from '../support/model-api.ts';
import type { ModelApi } from '../support/model-api.ts';
import { hangingCall, startSidecar, takeDown, temporaryDirectory } from '../support/sidecar.ts';
import type { Sidecar, SidecarOptions } from '../support/sidecar.ts';
import { waitUntil } from '../support/wait-until.ts';

let api: ModelApi;
let spoolDir: string;
const running: Sidecar[] = [];
/** What was done, in order. */
let done: string[];
const task = aTask().intended(T0).submitted(T0).build();

async function start(options: SidecarOptions): Promise<Sidecar> {
  const limits = { warmUpMs: 60_000, drainOnStopMs: 50, ...options.limits };
  const sidecar = await startSidecar({ api, spoolDir, warmUpNamespace: 'default', ...options, limits });
  running.push(sidecar);
  return sidecar;
}
/** A disk that notes what is written and fsynced to a segment when `gate` lets it pass. */
function slowFiles(gate: Promise<void> = Promise.resolve()): SpoolFiles {
  const files = failingFiles();
  const create = async (path: string): Promise<SpoolFile> => {
    const file = await files.create(path);
    const write = async (bytes: Uint8Array, position: number): Promise<void> => {
      if (Buffer.from(bytes).includes('captcha-operator-warm-up')) done.push('record');
      await file.write(bytes, position);
    };
    const sync = (): Promise<void> => gate.then(() => file.sync()).then(() => void done.push('fsync'));
    return { ...file, write, sync };
  };
  return { ...files, create };
}
const hang = (_request: ApiRequest, signal: AbortSignal | undefined): Promise<ApiReply> => hangingCall(signal);
const ignore = (): void => undefined;
const isReady = (sidecar: Sidecar): Promise<boolean> => waitUntil('readiness', () => sidecar.server.ready());
const deliver = async (sidecar: Sidecar): Promise<number> =>
  (await sidecar.get(`${sidecar.pathFor(task)}?id=${CAPTCHA_ID}&code=x`)).status;

beforeEach(async () => {
  api = createModelApi(Date.now);
  api.seed(CAPTCHA_TASK.plural, task);
  spoolDir = await temporaryDirectory();
  done = [];
});
afterEach(async () => {
  for (const sidecar of running.splice(0)) await sidecar.stop();
  await rm(spoolDir, { recursive: true, force: true });
});

test('is ready when the API was asked once and a record was on disk once, and nothing of it stays', async () => {
  const { promise: gate, resolve: letGo } = Promise.withResolvers<void>();
  const execute = async (request: ApiRequest): Promise<ApiReply> => {
    await gate;
    done.push(request.verb);
    return api.handle(request);
  };
  const sidecar = await start({ execute, files: slowFiles(gate) });
  await new Promise(setImmediate);
  expect(sidecar.server.ready()).toBe(false);
  letGo();
  await isReady(sidecar);
  expect(done.filter((one) => one === 'get')).toHaveLength(1);
  expect(done.slice(done.indexOf('record'))).toContain('fsync');
  expect(sidecar.server.spoolStats().records).toBe(0);
  expect([sidecar.results, sidecar.faults, api.writes]).toEqual([[], [], []]);
  await sidecar.stop();
  expect(readdirSync(spoolDir)).toEqual(['lock']);
});

test('answers before it is ready', async () => {
  let first = true;
  const execute = (request: ApiRequest): Promise<ApiReply> => {
    if (!first) return Promise.resolve(api.handle(request));
    first = false;
    return new Promise(() => undefined);
  };
  const sidecar = await start({ execute });
  expect(await deliver(sidecar)).toBe(200);
  expect(sidecar.server.ready()).toBe(false);
});

test('is ready while the API is down', async () => {
  takeDown(api);
  const sidecar = await start({});
  await isReady(sidecar);
  expect(await deliver(sidecar)).toBe(200);
});

test('is ready after a bound although the API hangs', async () => {
  await isReady(await start({ execute: hang, limits: { warmUpMs: 50 } }));
});

test('is ready after a bound although the disk hangs', async () => {
  const { promise: gate, resolve: letGo } = Promise.withResolvers<void>();
  await isReady(await start({ files: slowFiles(gate), limits: { warmUpMs: 50 } }));
  letGo();
});

test('what a process that was killed meanwhile left in the spool is no task’s, and goes without a trace', async () => {
  const bounds = { maxBytes: 1e6, maxRecords: 10, maxRecordsPerTask: 8, segmentBytes: 1e5 };
  const left = createSpool({
    directory: spoolDir,
    ...bounds,
    onEntry: ignore,
    onFault: ignore,
    onTokenCandidates: ignore,
  });
  await left.append({ kind: 'due', token: warmUpToken('default'), receivedTime: T0 });
  await left.close();
  const sidecar = await start({});
  await isReady(sidecar);
  await waitUntil('the spool to be empty', () => sidecar.server.spoolStats().records === 0);
  expect([sidecar.results, sidecar.faults, sidecar.crashes, api.writes]).toEqual([[], [], [], []]);
});
