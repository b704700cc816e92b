/** While the Kubernetes API is away: what is answered, what is kept, and that everything arrives once it is back. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import type { SpoolFile, SpoolFiles } from '../../src/callback/spool/files.ts';
import type { ApiRequest } from '../../src/core/protocol.ts';
import { CAPTCHA_ID, T0, aTask } from '../support/builders.ts';
import { failingFiles } from '../support/failing-files.ts';
import { createModelApi, outage, refusal } from '../support/model-api.ts';
import type { ModelApi } from '../support/model-api.ts';
import { hangingCall, startSidecar, takeDown, temporaryDirectory } from '../support/sidecar.ts';
import type { Sidecar, SidecarOptions } from '../support/sidecar.ts';
import { waitUntil } from '../support/wait-until.ts';

let api: ModelApi;
let spoolDir: string;
let running: Sidecar[] = [];

async function start(options: SidecarOptions = {}): Promise<Sidecar> {
  const sidecar = await startSidecar({ api, spoolDir, ...options });
  running.push(sidecar);
  return sidecar;
}
async function stop(sidecar: Sidecar): Promise<void> {
  running = running.filter((other) => other !== sidecar);
  await sidecar.stop();
}
function seedTask(n: number): CaptchaTask {
  const uid = `b7b2a1c0-0000-4000-8000-${String(n).padStart(12, '0')}`;
  const task = aTask().named(`task-${n}`).uid(uid).intended(T0).submitted(T0).build();
  api.seed(CAPTCHA_TASK.plural, task);
  return task;
}
const solutionOf = (task: CaptchaTask): string | undefined =>
  api.read<CaptchaTask>(CAPTCHA_TASK.plural, task.metadata.name)?.status?.solution?.value;
const deliver = async (sidecar: Sidecar, task: CaptchaTask, code = `code-${task.metadata.name}`): Promise<number> =>
  (await sidecar.get(`${sidecar.pathFor(task)}?id=${CAPTCHA_ID}&code=${code}`)).status;
/** A disk whose fsyncs end when they are let go. */
function hangingFiles(): { files: SpoolFiles; letGo(): void } {
  const files = failingFiles();
  const { promise: hanging, resolve: letGo } = Promise.withResolvers<void>();
  const create = async (path: string): Promise<SpoolFile> => ({ ...(await files.create(path)), sync: () => hanging });
  return { files: { ...files, create }, letGo };
}
const emptied = (sidecar: Sidecar): Promise<boolean> =>
  waitUntil('the spool to be empty', () => sidecar.server.spoolStats().records === 0);

beforeEach(async () => {
  api = createModelApi(Date.now);
  spoolDir = await temporaryDirectory();
});
afterEach(async () => {
  // One that does not stop must not be the trouble of every test after it.
  const stopping = running;
  running = [];
  for (const sidecar of stopping) await sidecar.stop();
  await rm(spoolDir, { recursive: true, force: true });
});

test('every callback is answered 200, and applied after the API is back without anyone touching anything', async () => {
  const sidecar = await start();
  const tasks = Array.from({ length: 100 }, (_, n) => seedTask(n));
  const bringBack = takeDown(api);
  const answers = await Promise.all(tasks.map((task) => deliver(sidecar, task)));
  expect(new Set(answers)).toEqual(new Set([200]));
  expect(sidecar.server.spoolStats().records).toBe(100);
  bringBack();
  await emptied(sidecar);
  expect(tasks.map(solutionOf)).toEqual(tasks.map((task) => `code-${task.metadata.name}`));
  expect(sidecar.results.filter((result) => result === 'spooled')).toHaveLength(100);
  expect(sidecar.results.filter((result) => result === 'accepted')).toHaveLength(100);
  expect(api.writes).toHaveLength(100);
});

test('an API that hangs costs each of the first callbacks its budget, and later ones nothing', async () => {
  let calls = 0;
  const sidecar = await start({
    execute(_, signal) {
      calls++;
      return hangingCall(signal);
    },
    limits: { apiBudgetMs: 100, drainOnStopMs: 100 },
  });
  const tasks = Array.from({ length: 10 }, (_, n) => seedTask(n));
  for (const task of tasks) expect(await deliver(sidecar, task)).toBe(200);
  // Three to learn that it is down; the drainer's probes are the only ones after that.
  expect(calls).toBeLessThan(8);
  expect(sidecar.server.spoolStats().records).toBe(10);
});

test('an answer of the API that comes after the budget counts once, and nobody asks again', async () => {
  const requests: ApiRequest[] = [];
  const gate = Promise.withResolvers<void>();
  const sidecar = await start({
    execute: async (request) => {
      requests.push(request);
      await gate.promise;
      return api.handle(request);
    },
    limits: { apiBudgetMs: 50 },
  });
  const task = seedTask(1);
  expect(await deliver(sidecar, task)).toBe(200);
  expect(sidecar.results).toEqual(['spooled']);
  gate.resolve();
  await emptied(sidecar);
  expect(sidecar.results).toEqual(['spooled', 'accepted']);
  expect(requests.map((request) => request.verb)).toEqual(['get', 'patchStatus']);
  expect(solutionOf(task)).toBe('code-task-1');
});

test('what a stopped sidecar could not apply is applied by the next one on the same directory', async () => {
  const bringBack = takeDown(api);
  const first = await start({ limits: { drainOnStopMs: 100 } });
  const tasks = Array.from({ length: 20 }, (_, n) => seedTask(n));
  await Promise.all(tasks.map((task) => deliver(first, task)));
  await stop(first);
  bringBack();
  const second = await start();
  await emptied(second);
  expect(tasks.map(solutionOf)).toEqual(tasks.map((task) => `code-${task.metadata.name}`));
});

test('a sidecar that is told to stop first applies what it holds, when the API lets it', async () => {
  const sidecar = await start();
  const bringBack = takeDown(api);
  const tasks = Array.from({ length: 20 }, (_, n) => seedTask(n));
  await Promise.all(tasks.map((task) => deliver(sidecar, task)));
  bringBack();
  await stop(sidecar);
  expect(tasks.map(solutionOf)).toEqual(tasks.map((task) => `code-${task.metadata.name}`));
  expect(readdirSync(spoolDir)).toEqual(['lock']);
});

test('starts and answers while the API is down', async () => {
  const bringBack = takeDown(api);
  const sidecar = await start();
  expect(sidecar.server.ready()).toBe(true);
  expect(await deliver(sidecar, seedTask(1))).toBe(200);
  bringBack();
  await emptied(sidecar);
});

test('one task whose writes fail holds nobody up, and stays until it can be applied', async () => {
  const sidecar = await start();
  const [stuck, ...others] = Array.from({ length: 30 }, (_, n) => seedTask(n));
  const bringBack = takeDown(api);
  await Promise.all([stuck!, ...others].map((task) => deliver(sidecar, task)));
  bringBack();
  let refusing = true;
  api.faults.push((request) => (refusing && 'name' in request && request.name === 'task-0' ? outage() : undefined));
  await waitUntil('all others', () => others.every((task) => solutionOf(task) !== undefined));
  expect(sidecar.server.spoolStats().records).toBe(1);
  refusing = false;
  await emptied(sidecar);
  expect(solutionOf(stuck!)).toBe('code-task-0');
});

test('a callback that is in status already when the drainer comes is a duplicate, a contradicting one a conflict', async () => {
  const sidecar = await start();
  const other = await startSidecar({ api });
  const tasks = [seedTask(1), seedTask(2)];
  const bringBack = takeDown(api);
  for (const task of tasks) await deliver(sidecar, task);
  await waitUntil('the API to be known as down', () => sidecar.server.spoolStats().records === 2);
  bringBack();
  await deliver(other, tasks[0]!);
  await deliver(other, tasks[1]!, 'something-else');
  await emptied(sidecar);
  await other.stop();
  expect(tasks.map(solutionOf)).toEqual(['code-task-1', 'something-else']);
  const finals = [...sidecar.results, ...other.results].filter((result) => result !== 'spooled');
  expect(finals.filter((result) => result === 'accepted')).toHaveLength(2);
});

test('an API that is only forbidden to us for this task keeps the callback spooled or in a letter, never dropped', async () => {
  const sidecar = await start({ limits: { drainOnStopMs: 50 } });
  const task = seedTask(1);
  let refused = 0;
  api.faults.push(() => {
    refused++;
    return refusal(403, 'Forbidden');
  });
  expect(await deliver(sidecar, task)).toBe(200);
  await waitUntil('the drainer to have tried twice', () => refused >= 3);
  expect(sidecar.results).toEqual(['spooled']);
  expect(sidecar.server.spoolStats().records).toBe(1);
});

test('an API that refuses some tasks for good is up: those in front do not delay the others by a probe each', async () => {
  const sidecar = await start({ limits: { drainOnStopMs: 50 } });
  const tasks = Array.from({ length: 40 }, (_, n) => seedTask(n));
  const bringBack = takeDown(api);
  for (const task of tasks) expect(await deliver(sidecar, task)).toBe(200);
  bringBack();
  const last = tasks.at(-1)!;
  api.faults.push((request) =>
    'name' in request && request.name !== last.metadata.name ? refusal(403, 'Forbidden') : undefined,
  );
  await waitUntil('the last one', () => solutionOf(last) !== undefined, { boundMs: 10_000 });
  expect(sidecar.server.spoolStats().records).toBe(39);
});

describe('when neither the API nor the disk takes a callback', () => {
  test('it is answered 503 and counted as lost: the poll fallback will find it', async () => {
    const files = failingFiles();
    files.faults.sync = 'EIO';
    takeDown(api);
    const sidecar = await start({ files, limits: { drainOnStopMs: 50 } });
    expect(await deliver(sidecar, seedTask(1))).toBe(503);
    expect(sidecar.results).toEqual(['lost']);
    expect(sidecar.faults.map(({ fault }) => fault)).toContain('writeFailed');
  });

  test('a disk that hangs does not keep the provider waiting', async () => {
    const { files, letGo } = hangingFiles();
    takeDown(api);
    const sidecar = await start({ files, limits: { apiBudgetMs: 50, answerBudgetMs: 100, drainOnStopMs: 50 } });
    expect(await deliver(sidecar, seedTask(1))).toBe(503);
    expect(sidecar.results).toEqual([]);
    letGo();
    await waitUntil('the record to be durable', () => sidecar.results.length > 0);
    // Answered 503, and not lost: it counts by what came of it.
    expect(sidecar.results).toEqual(['spooled']);
    expect(sidecar.lateAnswers).toHaveLength(1);
  });

  test('what fails after the answer is lost', async () => {
    const files = failingFiles();
    const { promise: hanging, resolve: letGo } = Promise.withResolvers<void>();
    const sync = (): Promise<void> => hanging.then(() => Promise.reject(Object.assign(new Error(), { code: 'EIO' })));
    const create = async (path: string): Promise<SpoolFile> => ({ ...(await files.create(path)), sync });
    takeDown(api);
    const sidecar = await start({
      files: { ...files, create },
      limits: { apiBudgetMs: 50, answerBudgetMs: 100, drainOnStopMs: 50 },
    });
    expect(await deliver(sidecar, seedTask(1))).toBe(503);
    letGo();
    await waitUntil('the write to fail', () => sidecar.results.length > 0);
    expect(sidecar.results).toEqual(['lost']);
    expect(sidecar.lateAnswers).toEqual([]);
  });

  test('what may never be written is kept in a dead letter, also without the disk', async () => {
    const files = failingFiles();
    files.faults.list = 'EROFS';
    const sidecar = await start({ files, limits: { drainOnStopMs: 50 } });
    api.faults.push((request) =>
      request.verb !== 'create' && JSON.stringify(request).includes('code-task-1')
        ? refusal(403, 'Forbidden')
        : undefined,
    );
    expect(await deliver(sidecar, seedTask(1))).toBe(200);
    expect(sidecar.results).toEqual(['dead_lettered']);
    expect(api.all('deadletters')).toHaveLength(1);
  });

  test('the API may still take it until the answer is due, although the disk refused at once', async () => {
    const files = failingFiles();
    files.faults.list = 'EROFS';
    const { promise: gate, resolve: letGo } = Promise.withResolvers<void>();
    const sidecar = await start({
      files,
      execute: async (request) => {
        await gate;
        return api.handle(request);
      },
      limits: { apiBudgetMs: 50, answerBudgetMs: 30_000, drainOnStopMs: 50 },
    });
    const task = seedTask(1);
    const answer = deliver(sidecar, task);
    await waitUntil('the disk to refuse', () => sidecar.deferrals.includes('apiSlow'));
    letGo();
    expect(await answer).toBe(200);
    expect(sidecar.results).toEqual(['accepted']);
    expect(solutionOf(task)).toBe('code-task-1');
  });

  test('the next ones find out by themselves that the API is back', async () => {
    const files = failingFiles();
    files.faults.list = 'EROFS';
    const sidecar = await start({ files, limits: { drainOnStopMs: 50 } });
    const bringBack = takeDown(api);
    for (let n = 0; n < 5; n++) expect(await deliver(sidecar, seedTask(n))).toBe(503);
    bringBack();
    const task = seedTask(9);
    await waitUntil('a callback to be taken', async () => (await deliver(sidecar, task)) === 200, { everyMs: 100 });
    expect(solutionOf(task)).toBe('code-task-9');
    expect(await deliver(sidecar, seedTask(10))).toBe(200);
  });

  test('a refusal in between shows that the API is there', async () => {
    const files = failingFiles();
    files.faults.list = 'EROFS';
    const sidecar = await start({ files, limits: { drainOnStopMs: 50 } });
    const forbidden = ['task-2', 'task-5'];
    api.faults.push((request) =>
      'name' in request && forbidden.includes(request.name) ? refusal(403, 'Forbidden') : outage(),
    );
    for (let n = 0; n < 6; n++) expect(await deliver(sidecar, seedTask(n))).toBe(503);
    expect(sidecar.deferrals).not.toContain('apiDown');
  });

  test('one callback a second asks, not each of them', async () => {
    const files = failingFiles();
    files.faults.list = 'EROFS';
    const sidecar = await start({ files, limits: { drainOnStopMs: 50 } });
    let asked = 0;
    api.faults.push(() => {
      asked++;
      return outage();
    });
    const tasks = Array.from({ length: 30 }, (_, n) => seedTask(n));
    for (const task of tasks.slice(0, 3)) await deliver(sidecar, task);
    const startMs = performance.now();
    const before = asked;
    for (const task of tasks.slice(3)) expect(await deliver(sidecar, task)).toBe(503);
    expect(asked - before).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - startMs) / 1_000));
  });

  test('an event loop that was held up beyond the answer’s time sets no timer to a negative one', async () => {
    const { files, letGo } = hangingFiles();
    takeDown(api);
    const warnings: string[] = [];
    const collect = ({ name }: Error): void => void warnings.push(name);
    process.on('warning', collect);
    const sidecar = await start({ files, limits: { answerBudgetMs: -10, drainOnStopMs: 50 } });
    expect(await deliver(sidecar, seedTask(1))).toBe(503);
    letGo();
    process.off('warning', collect);
    expect(warnings).toEqual([]);
  });

  test('a slow disk may take what the API left of the time for an answer', async () => {
    const { files, letGo } = hangingFiles();
    takeDown(api);
    const sidecar = await start({ files, limits: { answerBudgetMs: 30_000, drainOnStopMs: 50 } });
    const answer = deliver(sidecar, seedTask(1));
    // Longer than the quarter of a second that a disk used to get.
    await delay(400);
    letGo();
    expect(await answer).toBe(200);
    expect(sidecar.results).toEqual(['spooled']);
  });

  test('a broken disk changes nothing while the API answers', async () => {
    const files = failingFiles();
    files.faults.list = 'EROFS';
    const sidecar = await start({ files });
    const task = seedTask(1);
    expect(await deliver(sidecar, task)).toBe(200);
    expect(solutionOf(task)).toBe('code-task-1');
    expect(sidecar.faults).toEqual([{ fault: 'unavailable', code: 'EROFS' }]);
  });
});

test('a record that is damaged on disk makes its task due for a poll when its token still verifies', async () => {
  takeDown(api);
  const first = await start({ limits: { drainOnStopMs: 50 } });
  const [damaged, sound] = [seedTask(1), seedTask(2)];
  await deliver(first, damaged, 'damaged-code');
  await deliver(first, sound);
  await stop(first);
  const segment = join(
    spoolDir,
    readdirSync(spoolDir).find((name) => name.endsWith('.spool'))!,
  );
  const bytes = readFileSync(segment);
  bytes[bytes.indexOf('damaged-code')]! ^= 1;
  writeFileSync(segment, bytes);
  api.faults = [];
  const second = await start();
  await waitUntil('the damaged one to be due', () => {
    const status = api.read<CaptchaTask>(CAPTCHA_TASK.plural, 'task-1')!.status!;
    return Date.parse(status.submission!.pollAfterTime!) > T0 + 3_600_000;
  });
  await emptied(second);
  expect(solutionOf(damaged)).toBeUndefined();
  expect(solutionOf(sound)).toBe('code-task-2');
  expect(second.faults).toEqual([{ fault: 'damaged', code: 'checksum' }]);
});

test('a refused callback asks for its poll even when the API comes back only later', async () => {
  const bringBack = takeDown(api);
  const sidecar = await start();
  const task = seedTask(1);
  expect((await sidecar.get(`${sidecar.pathFor(task)}?id=x`)).status).toBe(400);
  await waitUntil('the request to be on disk', () => sidecar.server.spoolStats().records === 1);
  bringBack();
  await emptied(sidecar);
  expect(api.writes).toHaveLength(1);
  expect(sidecar.results).toEqual(['invalid']);
});

test('whoever learned one callback URL cannot fill the spool with it, and repeats of what is kept need no disk', async () => {
  const sidecar = await start({ limits: { drainOnStopMs: 50 } });
  takeDown(api);
  const [leaked, other] = [seedTask(1), seedTask(2)];
  expect(await deliver(sidecar, leaked, 'right')).toBe(200);
  const guesses = await Promise.all(Array.from({ length: 50 }, (_, n) => deliver(sidecar, leaked, `guess-${n}`)));
  expect(guesses.filter((status) => status === 200)).toHaveLength(7);
  expect(await deliver(sidecar, leaked, 'right')).toBe(200);
  expect(sidecar.results.filter((result) => result === 'duplicate')).toHaveLength(1);
  expect(sidecar.faults.at(-1)).toEqual({ fault: 'full', code: 'task' });
  expect(await deliver(sidecar, other)).toBe(200);
  expect(sidecar.server.spoolStats().records).toBe(9);
});

test('a task that is gone is asked for once, however often its callback URL is used', async () => {
  const sidecar = await start();
  const task = seedTask(1);
  api.remove(CAPTCHA_TASK.plural, task.metadata.name);
  let asked = 0;
  api.faults.push(() => void asked++);
  expect(await deliver(sidecar, task)).toBe(200);
  const first = asked;
  for (let n = 0; n < 5; n++) expect(await deliver(sidecar, task, `guess-${n}`)).toBe(200);
  expect(asked).toBe(first);
  expect(new Set(sidecar.results)).toEqual(new Set(['late']));
});

test('three sidecars that get the same callbacks at once have one effect for each task', async () => {
  const sidecars = await Promise.all([startSidecar({ api }), startSidecar({ api }), startSidecar({ api })]);
  const tasks = Array.from({ length: 100 }, (_, n) => seedTask(n));
  const answers = await Promise.all(tasks.flatMap((task) => sidecars.map((sidecar) => deliver(sidecar, task))));
  expect(new Set(answers)).toEqual(new Set([200]));
  expect(api.writes).toHaveLength(100);
  const results = sidecars.flatMap((sidecar) => sidecar.results);
  expect(results.filter((result) => result === 'accepted')).toHaveLength(100);
  expect(results.filter((result) => result === 'duplicate')).toHaveLength(200);
  await Promise.all(sidecars.map((sidecar) => sidecar.stop()));
});
