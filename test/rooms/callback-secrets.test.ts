/** No token, code or key in logs (debug level included), metrics or error texts, on any path a callback can take. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reportTo } from '../../src/callback/report.ts';
import { startCallbackServer } from '../../src/callback/server.ts';
import type { CallbackServer } from '../../src/callback/server.ts';
import { CAPTCHA_TASK } from '../../src/api/names.ts';
import type { ApiReply, ApiRequest } from '../../src/core/protocol.ts';
import { createLogger } from '../../src/ops/log.ts';
import { createMetrics } from '../../src/ops/metrics.ts';
import type { Metrics } from '../../src/ops/metrics.ts';
import { CAPTCHA_ID, T0, aTask } from '../support/builders.ts';
import { createModelApi, outage, refusal } from '../support/model-api.ts';
import type { ModelApi } from '../support/model-api.ts';
import { callbackPath, ring, temporaryDirectory } from '../support/sidecar.ts';
import { waitUntil } from '../support/wait-until.ts';

const CODE = 'canary-solution-7f3a';
let api: ModelApi;
let spoolDir: string;
let lines: string[];
let metrics: Metrics;
let server: CallbackServer;

async function start(execute: (request: ApiRequest) => ApiReply = (request) => api.handle(request)): Promise<void> {
  server = await startCallbackServer({
    address: { host: '127.0.0.1', port: 0 },
    spoolDir,
    keys: ring,
    client: { execute: (request) => Promise.resolve().then(() => execute(request as ApiRequest)) },
    hooks: reportTo(
      metrics,
      createLogger({ level: 'debug', component: 'callback', write: (line) => lines.push(line) }),
    ),
    limits: { drainOnStopMs: 50 },
  });
}
const send = async (path: string, init: { method?: string; body?: string; headers?: object } = {}): Promise<string> => {
  // A connection that is kept would be waited for when the sidecar stops.
  const headers = { connection: 'close', ...init.headers };
  const reply = await fetch(`http://127.0.0.1:${server.port}${path}`, { ...init, headers });
  return `${JSON.stringify([...reply.headers])} ${await reply.text()}`;
};

beforeEach(async () => {
  api = createModelApi(Date.now);
  spoolDir = await temporaryDirectory();
  lines = [];
  metrics = createMetrics({ process: 'callback', version: 'test' });
});
afterEach(async () => {
  await server.stop();
  metrics.stop();
  await rm(spoolDir, { recursive: true, force: true });
});

/** Everything that left the sidecar except what went to the API and to its own spool. */
async function expectNoSecrets(tokens: readonly string[], said: readonly string[]): Promise<void> {
  const told = [...lines, ...said, await metrics.text()].join('\n');
  expect(told).not.toContain(CODE);
  for (const token of tokens) {
    expect(told).not.toContain(token);
    expect(told).not.toContain(token.slice(-24));
  }
}

test('when it is applied, repeated, contradicted, late, refused, unauthorized or ignored', async () => {
  const task = aTask().intended(T0).submitted(T0).build();
  api.seed(CAPTCHA_TASK.plural, task);
  await start();
  const path = callbackPath(task);
  const good = `${path}?id=${CAPTCHA_ID}&code=${CODE}`;
  const said = [
    await send(`${path}?id=${CAPTCHA_ID}x&code=${CODE}`),
    await send(`${path}?id=1&code=${CODE}&code=${CODE}`),
    await send(good),
    await send(good),
    await send(`${good}-other`),
    await send(good.replace('.login.', '.other.')),
    await send(`${path}?id=${CAPTCHA_ID}&code=`),
    await send(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: `{"code":"${CODE}"` }),
    await send(path, { method: 'PUT', body: CODE }),
  ];
  api.remove(CAPTCHA_TASK.plural, 'login');
  said.push(await send(good));
  await expectNoSecrets([path.slice('/v1/callback/'.length)], said);
  expect(lines.join('')).toContain('callback applied');
});

test('when it is spooled, damaged on disk, drained, kept in a dead letter, or the code itself crashes', async () => {
  const tasks = ['a', 'b', 'c'].map((name, n) =>
    aTask().named(name).uid(`b7b2a1c0-0000-4000-8000-00000000000${n}`).intended(T0).submitted(T0).build(),
  );
  for (const task of tasks) api.seed(CAPTCHA_TASK.plural, task);
  const paths = tasks.map((task) => callbackPath(task));
  await start(() => outage());
  const said = await Promise.all(paths.map((path) => send(`${path}?id=${CAPTCHA_ID}&code=${CODE}`)));
  await server.stop();

  const segment = join(
    spoolDir,
    readdirSync(spoolDir).find((name) => name.endsWith('.spool'))!,
  );
  const bytes = readFileSync(segment);
  bytes[bytes.indexOf(CODE) + 3]! ^= 1;
  writeFileSync(segment, bytes);
  const refusesTheSolution = (request: ApiRequest): ApiReply =>
    request.verb !== 'create' && JSON.stringify(request).includes(CODE)
      ? refusal(403, 'Forbidden', `no: ${CODE}`)
      : api.handle(request);
  await start(refusesTheSolution);
  await waitUntil('the spool to be empty', () => server.spoolStats().records === 0);
  expect(api.all('deadletters').length).toBeGreaterThan(0);
  await server.stop();

  await start(() => {
    throw new TypeError(`bug near ${CODE} and ${paths[0]!}`);
  });
  said.push(await send(`${paths[0]!}?id=${CAPTCHA_ID}&code=${CODE}`));
  await expectNoSecrets(
    paths.map((path) => path.slice('/v1/callback/'.length)),
    said,
  );
  expect(lines.join('')).toContain('spool fault');
  expect(lines.join('')).toContain('unexpected error');
});
