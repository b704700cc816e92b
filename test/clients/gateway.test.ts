/**
 * The gateway's callers as they are: unmodified clients submit every type they know to a gateway in front of the model
 * of the API, where a stand-in for the operator solves each task. What they submit becomes the task that they mean, and
 * what they are told is what they return. `test/cluster/gateway-clients.test.ts` has the same with everything real.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { KEY_A, startTestGateway, type GatewayUnderTest } from '../support/gateway.ts';
import { NPM, OFFICIAL, SOLVECAPTCHA, TWOCAPTCHA, type Call } from './calls.ts';
import { callClient, idOf, type Answer, type ClientName } from './run.ts';

const python = inject('python');
const path = 'path' in python ? python.path : '';
const unless = 'missing' in python ? ` (skipped: ${python.missing})` : '';

const JSON_RESULTS: Readonly<Record<string, string>> = {
  Grid: '[1,4,7]',
  BLS: '[1,4]',
  GeeTestV3: '{"challenge":"c","validate":"v","seccode":"s"}',
  GeeTestV4: '{"captcha_id":"c","lot_number":"l","pass_token":"p","gen_time":"1","captcha_output":"o"}',
  Lemin: '{"answer":"a","challenge_uuid":"u"}',
};

/** As the operator would, once the provider has answered. */
function solve(gateway: GatewayUnderTest): void {
  for (const task of gateway.tasks().filter(({ status }) => status?.phase === undefined)) {
    const { type, recaptchaV2, recaptchaV3 } = task.spec.captcha;
    const isBound = (recaptchaV2 ?? recaptchaV3)?.enterprise === true || /Cloudflare|Fox/.test(type);
    const solution = {
      value: JSON_RESULTS[type] ?? `token-of-${task.metadata.name}`,
      source: 'Poll',
      attempt: 1,
    } as const;
    const receivedTime = '2026-01-01T00:00:00Z';
    const agent = isBound ? { userAgent: 'Agent/1.0' } : {};
    gateway.finish(task, { phase: 'Solved', solution: { ...solution, ...agent, receivedTime } });
  }
}

const FIELDS: Readonly<Record<ClientName, string>> = {
  captchaai: 'solution',
  '2captcha-python': 'code',
  'solvecaptcha-python': 'code',
  '@2captcha/captcha-solver': 'data',
};

const meaning = (value: unknown): unknown =>
  typeof value === 'string' && /^[[{]/.test(value) ? (JSON.parse(value) as unknown) : value;

function judge(client: ClientName, calls: readonly Call[]): void {
  let gateway: GatewayUnderTest;
  let answers: Answer[];
  let tasks: CaptchaTask[];
  beforeAll(async () => {
    gateway = await startTestGateway();
    const place = await mkdtemp(join(tmpdir(), 'captcha-gateway-clients-'));
    const timer = setInterval(() => solve(gateway), 100);
    try {
      ({ answers } = await callClient(client, { url: gateway.url, key: KEY_A, python: path, place }));
      tasks = gateway.tasks();
    } finally {
      clearInterval(timer);
      await rm(place, { recursive: true, force: true });
    }
  });
  afterAll(async () => {
    await gateway.stop();
    expect(gateway.crashes).toEqual([]);
  });

  test.each(calls.map(({ name }) => name))('is told the solution of %s', (name) => {
    const { result = {}, error } = answers.find((one) => one.name === name) ?? { error: 'said nothing' };
    expect(error).toBeUndefined();
    const task = tasks.find(({ metadata }) => metadata.name === `gw-${idOf(client, result)}`);
    expect(meaning(result[FIELDS[client]])).toEqual(meaning(task?.status?.solution?.value));
    const wanted = calls.find((one) => one.name === name)?.spec;
    expect(task?.spec.captcha).toEqual(wanted ?? task?.spec.captcha);
  });

  test('makes one task for each call', () => {
    expect(tasks).toHaveLength(calls.length);
  });
}

const FILE = '/tmp/captcha.gif';
describe.skipIf(path === '')(`captchaai through the gateway${unless}`, () => judge('captchaai', OFFICIAL));
describe.skipIf(path === '')(`2captcha-python through the gateway${unless}`, () =>
  judge('2captcha-python', TWOCAPTCHA(FILE)),
);
describe.skipIf(path === '')(`solvecaptcha-python through the gateway${unless}`, () =>
  judge('solvecaptcha-python', SOLVECAPTCHA(FILE)),
);
describe('@2captcha/captcha-solver through the gateway', () => judge('@2captcha/captcha-solver', NPM));
