/**
 * Secrets stay where they belong: API keys, a proxy's password, solutions, callback tokens and callback keys are planted,
 * tasks take every path that handles them, well and badly, with the logs at their most talkative; then every log line,
 * event, metric and status text is searched. Solutions may stand in `status.solution.value` and in a letter's payload, a
 * proxy's address in the `spec` of the task that names it there.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import { admin, pathOf } from '../support/cluster.ts';
import { pageOf, reasonOf, startWorld, type World } from '../support/processes.ts';

const PROXY = 'canary-proxy-user:canary-proxy-password@203.0.113.7:3128';
const INLINE_PROXY = 'canary-inline-user:canary-inline-password@203.0.113.8:3128';
const GOOD_KEY = 'canary0good0key0canary0good0key0';
const BAD_KEY = 'canary0bad00key0canary0bad00key0';
const SOLUTION = 'canary-solution';
const CANARIES = [PROXY, 'canary-proxy-password', INLINE_PROXY, 'canary-inline-password', GOOD_KEY, BAD_KEY, SOLUTION];

let world: World;
let tokens: string[];

beforeAll(async () => {
  const env = { LOG_LEVEL: 'debug' };
  world = await startWorld({ operatorEnv: env, sidecarEnv: env });
  await world.createSecret('proxy', { address: PROXY });
  await world.createSecret('good', { 'api-key': GOOD_KEY });
  await world.createSecret('bad', { 'api-key': BAD_KEY });
  await world.createSecret('foreign', { value: 'somebody else’s' });
  await world.simulator.control.account(BAD_KEY, { state: 'wrong' });
  await takeEveryPath();
  tokens = await plantedTokens();
});

afterAll(async () => {
  await world?.stop();
});

async function takeEveryPath(): Promise<void> {
  const solved = { tasks: [{ result: { request: SOLUTION } }] };
  const proxied = (name: string, from: object = { secretRef: { name: 'proxy', key: 'address' } }): object => ({
    captcha: { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL: pageOf(world.namespace, name) } },
    proxy: { type: 'HTTP', ...from },
  });
  await world.apply('plain', { spec: { apiKeySecretRef: { name: 'good', key: 'api-key' } }, script: solved });
  await world.apply('proxied', { spec: proxied('proxied'), script: solved });
  await world.apply('bad-proxy', { spec: proxied('bad-proxy'), script: { submit: [{ code: 'ERROR_BAD_PROXY' }] } });
  await world.apply('inline', { spec: proxied('inline', { address: INLINE_PROXY }), script: solved });
  await world.apply('bad-inline', {
    spec: proxied('bad-inline', { address: INLINE_PROXY }),
    script: { submit: [{ code: 'ERROR_BAD_PROXY' }] },
  });
  await world.apply('bad-key', { spec: { apiKeySecretRef: { name: 'bad', key: 'api-key' } } });
  await world.apply('lettered', { spec: { solutionSecretName: 'foreign' }, script: solved });
  await world.apply('lost', {
    spec: { callbackTimeoutSeconds: 1 },
    script: { tasks: [{ ...solved.tasks[0], pingbacks: [] }] },
  });
  await world.apply('garbled', {
    script: { submit: [{ fault: 'truncatedJson', accept: true }], ...solved },
  });
  for (const name of ['plain', 'proxied', 'inline', 'lost', 'garbled']) await world.untilPhase(name, 'Solved');
  for (const name of ['bad-proxy', 'bad-inline', 'bad-key']) await world.untilPhase(name, 'Failed');
  await world.until('lettered', 'is dead-lettered', (task) => reasonOf(task) === 'DeadLettered');
  await sendBadCallbacks();
}

/** Late, different, contradictory, too large, and with a token that is wrong by one character. */
async function sendBadCallbacks(): Promise<void> {
  const [submission] = await world.submissions('plain');
  const url = submission?.pingback ?? '';
  const other = `${url.slice(0, -1)}${url.endsWith('A') ? 'B' : 'A'}`;
  for (const query of [
    `?id=${submission?.id}&code=${SOLUTION}-different`,
    `?id=not-a-number&code=${SOLUTION}`,
    `?id=1&id=2&code=${SOLUTION}`,
    `?id=${submission?.id}&code=${SOLUTION}${'x'.repeat(13_000)}`,
  ]) {
    for (const target of [url, other]) await (await fetch(`${target}${query}`)).body?.cancel();
  }
}

async function plantedTokens(): Promise<string[]> {
  const names = ['plain', 'proxied', 'inline', 'lettered', 'lost', 'garbled'];
  const submissions = await Promise.all(names.map((name) => world.submissions(name)));
  return submissions.flat().map((submission) => new URL(submission.pingback ?? '').pathname.split('/').at(-1) ?? '');
}

async function callbackKeys(): Promise<string[]> {
  const text = await readFile(world.fleet.callbackKeysFile, 'utf8');
  return text.split('\n').flatMap((line) => line.split(':').slice(1));
}

async function expectClean(where: string, text: string): Promise<void> {
  expect(text.length, `${where} is empty, so nothing was searched`).toBeGreaterThan(100);
  const secrets = [...CANARIES, ...tokens, ...(await callbackKeys())];
  const encoded = secrets.flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64'),
  ]);
  expect(encoded.filter((secret) => secret !== '' && text.includes(secret))).toEqual([]);
}

async function list<T>(path: string): Promise<T[]> {
  return objectOf<{ items: T[] }>(await admin.get(path)).items;
}

describe('no secret is in', () => {
  test('any log line', async () => {
    expect(tokens.length).toBeGreaterThan(3);
    await expectClean('the log', world.fleet.logText());
  });

  test('any metric', async () => {
    const members = [...world.fleet.operators, ...world.fleet.sidecars];
    const pages = await Promise.all(members.map(async (member) => (await fetch(member.metricsURL)).text()));
    await expectClean('the metrics', pages.join('\n'));
  });

  test('any event', async () => {
    const events = await list<object>(`/apis/events.k8s.io/v1/namespaces/${world.namespace}/events`);
    await expectClean('the list of events', JSON.stringify(events));
  });

  test('any task, its solution and what its owner wrote into it aside', async () => {
    const tasks = await list<CaptchaTask>(pathOf('captchatasks', world.namespace));
    expect(JSON.stringify(tasks), 'the solution was planted').toContain(SOLUTION);
    for (const { spec, status } of tasks) {
      delete status?.solution?.value;
      delete spec.proxy?.address;
    }
    await expectClean('the list of tasks', JSON.stringify(tasks));
  });

  test('any letter, its payload aside', async () => {
    const letters = await list<DeadLetter>(pathOf('deadletters', world.namespace));
    expect(JSON.stringify(letters), 'the solution was planted').toContain(SOLUTION);
    const rest = letters.map(({ spec: { payload: _payload, ...spec }, ...letter }) => ({ ...letter, spec }));
    await expectClean('the list of letters', JSON.stringify(rest));
  });
});
