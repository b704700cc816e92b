/**
 * The provider's own client judges the `official` dialect: it must solve every type it has, and see in the simulator's
 * refusals what it would see in the provider's.
 */
import { afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import type { SimulatorOptions } from '../../dev/simulator/script.ts';
import { OFFICIAL } from './calls.ts';
import { bodiesOf, recordedBodies } from './record.ts';
import { drive, officialSettings, runClient, type Outcome } from './run.ts';
import { AGENT, CHALLENGE, KEY, PAGE, SITE_KEY } from './values.ts';

const python = inject('python');
const path = 'path' in python ? python.path : '';
const unless = 'missing' in python ? ` (skipped: ${python.missing})` : '';

/** What the client returns for a type, given the id; a token where nothing is said. */
const SOLUTIONS: Readonly<Record<string, (id: string) => unknown>> = {
  Image: (id) => `text${id.slice(-6)}`,
  Grid: () => [1, 4, 7],
  BLS: () => [1, 4, 7, 8],
  'Cloudflare Challenge': (id) => `clearance-${id}`,
  'GeeTest v3': (id) => ({ challenge: CHALLENGE, validate: `validate${id}`, seccode: `validate${id}|jordan` }),
  CaptchaFox: (id) => `fox-token-${id}`,
  Lemin: (id) => ({ answer: `0xabcx_${id}`, challenge_uuid: `uuid-${id}` }),
};
const BOUND_TO_AGENT = ['reCAPTCHA v2 Enterprise', 'reCAPTCHA v3 Enterprise', 'Cloudflare Challenge', 'CaptchaFox'];

describe.skipIf(path === '')(`captchaai against the official dialect${unless}`, () => {
  let outcomes: Outcome[];
  beforeAll(async () => {
    outcomes = await runClient('captchaai', path);
  });

  test.each(OFFICIAL.map(({ name }) => name))('solves %s, paid once', (name) => {
    const outcome = outcomes.find(({ call }) => call.name === name);
    expect(outcome?.error).toBeUndefined();
    const id = outcome?.line?.id ?? '';
    const solution = (SOLUTIONS[name] ?? ((id) => `03token-${id}_AbC-dEf+gHi/jKl=`))(id);
    expect(outcome?.result).toMatchObject({ task_id: id, solution });
    expect(outcome?.line).toMatchObject({ paid: true, polls: [{ answer: 'pending' }, { answer: 'solved' }] });
  });

  test('sends what was recorded of it (else run: npm run generate:client-docs)', () => {
    expect(bodiesOf(outcomes)).toEqual(recordedBodies().captchaai);
  });

  test('is told the user agent of exactly those answers that are bound to one', () => {
    const told = outcomes.filter(({ result }) => typeof result?.['user_agent'] === 'string');
    expect(told.map(({ call }) => call.name)).toEqual(BOUND_TO_AGENT);
    const asked = told.filter(({ line }) => line?.fields['userAgent'] === AGENT);
    expect(asked.map(({ result }) => result?.['user_agent'])).toEqual([AGENT, AGENT, AGENT]);
  });
});

async function solveOne(simulator: Simulator, change: Record<string, unknown> = {}): Promise<unknown> {
  const construct = { ...officialSettings(simulator), ...change };
  const calls = [{ name: 'v2', call: 'recaptcha_v2', args: [SITE_KEY, PAGE], kwargs: {} }];
  const [answer] = await drive(path, { module: 'captchaai', class: 'CaptchaAI', construct, calls });
  return answer?.error ?? 'solved';
}

describe.skipIf(path === '')(`captchaai meets${unless}`, () => {
  let simulator: Simulator | undefined;
  afterEach(async () => simulator?.stop());

  async function begin(options: SimulatorOptions = {}): Promise<Simulator> {
    simulator = await startSimulator({ dialect: 'official', ...options });
    await simulator.control.account(KEY, { threads: 2 });
    return simulator;
  }

  test('a key that does not exist as such, before it submits', async () => {
    const provider = await begin();
    await provider.control.account(KEY, { state: 'unknown' });
    expect(await solveOne(provider)).toMatch(/^InvalidKeyError/);
    expect((await provider.control.totals()).submissions).toBe(0);
  });

  test('a plan that has ended as such, and not as a busy account', async () => {
    const provider = await begin();
    await provider.control.account(KEY, { state: 'expired' });
    expect(await solveOne(provider)).toMatch(/^NoThreadsError/);
  });

  test('busy threads by waiting until one is free', async () => {
    const provider = await begin();
    await provider.control.account(KEY, { workingElsewhere: 2 });
    const run = solveOne(provider);
    // Once before it submits, and once more when it was refused: threads that are free by then look like no plan to it.
    const looks = async (): Promise<number> => (await provider.control.totals()).threadsinfo;
    await expect.poll(looks, { timeout: 10_000 }).toBeGreaterThan(1);
    expect((await provider.control.totals()).refused).toBeGreaterThan(0);
    await provider.control.account(KEY, { workingElsewhere: 0 });
    expect(await run).toBe('solved');
    expect((await provider.control.totals()).paid).toBe(1);
  });

  test('threads that are busy without a word by finding them busy itself', async () => {
    const provider = await begin({ switches: { poolFull: 'queue' } });
    await provider.control.account(KEY, { workingElsewhere: 2 });
    expect(await solveOne(provider, { auto_retry: false })).toMatch(/^ThreadLimitError/);
    expect((await provider.control.totals()).submissions).toBe(0);
  });

  test('a captcha that nobody could solve as such', async () => {
    const provider = await begin();
    await provider.control.script({ tasks: [{ result: { code: 'ERROR_CAPTCHA_UNSOLVABLE' } }] });
    expect(await solveOne(provider)).toMatch(/^UnsolvableError/);
  });

  test('plain words in spite of json=1', async () => {
    const provider = await begin({ switches: { bodies: 'plainWords' } });
    await provider.control.script({ submit: [{ code: 'ERROR_BAD_TOKEN_OR_PAGEURL' }] });
    expect(await solveOne(provider)).toMatch(/^ValidationError: Wrong sitekey/);
  });

  test('thread counts inside request by giving up: it knows them at the top level alone', async () => {
    const provider = await begin({ switches: { threadsinfo: 'nested' } });
    expect(await solveOne(provider)).toMatch(/^APIError: threadsinfo/);
  });

  test('an Enterprise answer in request by giving up: it knows result alone', async () => {
    const provider = await begin({ switches: { answerField: 'request' } });
    const construct = officialSettings(provider);
    const calls = [{ name: 'v2', call: 'recaptcha_v2', args: [SITE_KEY, PAGE, false, true], kwargs: {} }];
    const [answer] = await drive(path, { module: 'captchaai', class: 'CaptchaAI', construct, calls });
    expect(answer?.error).toMatch(/^APIError: API response missing 'result'/);
  });
});
