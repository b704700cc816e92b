/** The provider client against the simulator over a real socket: every type and shape, accounts, threads, ids. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Captcha } from '../../src/api/captchatask.ts';
import type { PollOutcome } from '../../src/core/outcome.ts';
import { SIMULATED_USER_AGENT } from '../../dev/simulator/answers.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import type { SimulatorOptions } from '../../dev/simulator/script.ts';
import { createProviderClient, type ProviderClient, type SubmitRequest } from '../../src/provider/client.ts';
import { waitUntil } from '../support/wait-until.ts';

const KEY = '0123456789abcdef0123456789abcdef';
const options = { timeoutMs: 10_000 };
const pageURL = 'https://example.com/login';
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

const counted: string[] = [];
let simulator: Simulator;
let client: ProviderClient;

const count = ({ operation, code }: { operation: string; code: string }): unknown =>
  counted.push(`${operation} ${code}`);

async function begin(settings: SimulatorOptions = {}): Promise<void> {
  simulator = await startSimulator(settings);
  client = createProviderClient({ baseUrl: simulator.url, hooks: { onRequest: count } });
}
async function end(): Promise<void> {
  client.close();
  await simulator.stop();
}
afterEach(() => {
  counted.length = 0;
});

const v2: Captcha = { type: 'RecaptchaV2', recaptchaV2: { siteKey: '6Le-wvkSAAAAAPBM', pageURL } };

const page = (name: string): Captcha => ({
  type: 'Turnstile',
  turnstile: { siteKey: 'K', pageURL: `https://example.com/${name}` },
});
const keyOf = (digit: number): string => String(digit).repeat(32);
const submit = (apiKey: string): Promise<unknown> => client.submit({ apiKey, spec: v2 }, options);

async function accepted(spec: Captcha, more: Partial<SubmitRequest> = {}): Promise<string> {
  const outcome = await client.submit({ apiKey: KEY, spec, ...more }, options);
  if (outcome.kind !== 'accepted') throw new Error(JSON.stringify(outcome));
  return outcome.captchaID;
}

async function answerOf(captchaID: string, spec: Captcha): Promise<PollOutcome> {
  return waitUntil('an answer', async () => {
    const outcome = await client.poll({ apiKey: KEY, captchaID, captcha: spec }, options);
    return outcome.kind === 'pending' ? undefined : outcome;
  });
}

describe('every captcha type', () => {
  beforeAll(() => begin());
  afterAll(end);

  const proxy = { type: 'HTTP', address: 'user:pass@198.51.100.7:3128' };
  const specs: [Captcha, (id: string) => object][] = [
    [v2, (id) => ({ value: `03token-${id}_AbC-dEf+gHi/jKl=` })],
    [
      { type: 'RecaptchaV3', recaptchaV3: { siteKey: 'K', pageURL, action: 'login' } },
      (id) => ({ value: `03token-${id}_AbC-dEf+gHi/jKl=` }),
    ],
    [
      { type: 'Turnstile', turnstile: { siteKey: 'K', pageURL } },
      (id) => ({ value: `03token-${id}_AbC-dEf+gHi/jKl=` }),
    ],
    [
      { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL } },
      (id) => ({ value: `clearance-${id}`, userAgent: SIMULATED_USER_AGENT }),
    ],
    [
      { type: 'GeeTestV3', geeTestV3: { gt: 'g', challenge: 'c', pageURL } },
      (id) => ({ value: `{"challenge":"c","validate":"validate${id}","seccode":"validate${id}|jordan"}` }),
    ],
    [
      { type: 'GeeTestV4', geeTestV4: { captchaID: 'i', pageURL } },
      (id) => ({ value: expect.stringContaining(`"lot_number":"lot${id}"`) }),
    ],
    [{ type: 'Image', image: { body: PNG } }, (id) => ({ value: `text${id.slice(-6)}` })],
    [
      { type: 'Grid', grid: { body: PNG, rows: 3, columns: 3, instructions: 'bicycles' } },
      () => ({ value: '[1,4,7]' }),
    ],
    [{ type: 'BLS', bls: { instructions: '664', images: Array<string>(9).fill(PNG) } }, () => ({ value: '[1,4,7,8]' })],
    [
      { type: 'CaptchaFox', captchaFox: { siteKey: 'K', pageURL } },
      (id) => ({ value: `fox-token-${id}`, userAgent: SIMULATED_USER_AGENT }),
    ],
    [
      { type: 'FriendlyCaptcha', friendlyCaptcha: { siteKey: 'K', pageURL, version: 'v2' } },
      (id) => ({ value: `03token-${id}_AbC-dEf+gHi/jKl=` }),
    ],
    [
      { type: 'Lemin', lemin: { captchaID: 'i', divID: 'd', pageURL } },
      (id) => ({ value: `{"answer":"0xabcx_${id}","challenge_uuid":"uuid-${id}"}` }),
    ],
    [
      { type: 'Custom', custom: { method: 'captchafox', parameters: { sitekey: 'K', pageurl: pageURL } } },
      (id) => ({ value: `fox-token-${id}`, userAgent: SIMULATED_USER_AGENT }),
    ],
  ];
  test.each(specs)('$type is accepted, solved and read', async (spec, result) => {
    const id = await accepted(spec, { proxy });
    expect(await answerOf(id, spec)).toMatchObject({ kind: 'solved', ...result(id) });
    const { submissions } = await simulator.control.ledger({ field: 'proxytype', equals: 'HTTP' });
    expect(submissions.at(-1)).toMatchObject({ paid: true, key: KEY.slice(-4), answer: 'accepted' });
  });

  test('takes an image of a megabyte', async () => {
    const image = new Uint8Array(1_000_000).fill(7);
    const spec: Captcha = { type: 'Image', image: { bodyFrom: { secretKeyRef: { name: 's', key: 'k' } } } };
    expect(await accepted(spec, { image })).toMatch(/^\d+$/);
  });

  test('that cannot be encoded is refused without a call', async () => {
    const before = (await simulator.control.totals()).requests;
    const outcome = await client.submit({ apiKey: KEY, spec: { type: 'Image', image: {} } }, options);
    expect(outcome).toEqual({ kind: 'refused', class: 'permanent', code: 'INVALID_TASK' });
    expect((await simulator.control.totals()).requests).toBe(before);
    expect(counted).toEqual([]);
  });
});

describe('a scripted task', () => {
  beforeAll(() => begin({ switches: { ids: 'string' }, idsAfter: '90071992547409931000' }));
  afterAll(end);

  test('is pending for as long as the script says, and every poll is in the books', async () => {
    await simulator.control.script(
      { tasks: [{ polls: [{ notReady: true }, { notReady: true }] }] },
      { field: 'pageurl', contains: '/slow' },
    );
    const id = await accepted(page('slow'));
    expect(id).toMatch(/^90071992547409931\d{3}$/);
    await answerOf(id, page('slow'));
    const { submissions } = await simulator.control.ledger({ field: 'pageurl', equals: 'https://example.com/slow' });
    expect(submissions[0]?.polls.map((poll) => poll.answer).slice(0, 2)).toEqual(['pending', 'pending']);
    expect(submissions[0]?.polls.at(-1)?.answer).toBe('solved');
    expect(new Set(counted)).toEqual(new Set(['submit ok', 'poll pending', 'poll ok']));
  });

  test('may fail the first attempt and solve the second', async () => {
    const script = { tasks: [{ result: { code: 'ERROR_CAPTCHA_UNSOLVABLE' } }, {}] };
    await simulator.control.script(script, { field: 'pageurl', equals: 'https://example.com/hard' });
    const first = await answerOf(await accepted(page('hard')), page('hard'));
    expect(first).toMatchObject({ kind: 'refused', class: 'retriable', code: 'ERROR_CAPTCHA_UNSOLVABLE' });
    expect(await answerOf(await accepted(page('hard')), page('hard'))).toMatchObject({ kind: 'solved' });
  });

  test('may be refused before it is accepted, and only the accepted one is paid for', async () => {
    await simulator.control.script(
      { submit: [{ code: 'ERROR_NO_SLOT_AVAILABLE' }, { accept: true }] },
      { field: 'pageurl', equals: 'https://example.com/busy' },
    );
    expect(await client.submit({ apiKey: KEY, spec: page('busy') }, options)).toMatchObject({ class: 'busy' });
    await accepted(page('busy'));
    const { submissions } = await simulator.control.ledger({ field: 'pageurl', equals: 'https://example.com/busy' });
    expect(submissions.map(({ answer, paid }) => ({ answer, paid }))).toEqual([
      { answer: 'refused', paid: false },
      { answer: 'accepted', paid: true },
    ]);
  });

  test('that nobody submitted is unknown to the provider', async () => {
    const poll = { apiKey: KEY, captchaID: '1', captcha: { type: 'Image' } } as const;
    expect(await client.poll(poll, options)).toMatchObject({ class: 'permanent', code: 'ERROR_WRONG_CAPTCHA_ID' });
  });
});

describe('an account', () => {
  beforeAll(() => begin({ banAfterWrongKeys: 4, answerAfterMs: 60_000 }));
  afterAll(end);

  test('with a full thread pool answers busy, and says how many threads it has', async () => {
    const key = keyOf(1);
    expect(await client.threads({ apiKey: key }, options)).toEqual({ threads: 0, working: 0 });
    await simulator.control.account(key, { threads: 2 });
    expect(await client.threads({ apiKey: key }, options)).toEqual({ threads: 2, working: 0 });
    expect(await client.threads({ apiKey: 'short' }, options)).toBeUndefined();
    expect(counted).toEqual(['threads ok', 'threads ok', 'threads ERROR_WRONG_USER_KEY']);
    expect([await submit(key), await submit(key)]).toMatchObject([{ kind: 'accepted' }, { kind: 'accepted' }]);
    expect(await submit(key)).toMatchObject({ class: 'busy', code: 'ERROR_ZERO_BALANCE' });
    await simulator.control.account(key, { busyCode: 'ERROR_NO_SLOT_AVAILABLE' });
    expect(await submit(key)).toMatchObject({ class: 'busy', code: 'ERROR_NO_SLOT_AVAILABLE' });
  });

  test('that is blocked answers so until its time is over', async () => {
    const key = keyOf(2);
    await simulator.control.account(key, { block: { code: 'ERROR: 1001', forMs: 600_000, on: 'in' } });
    expect(await submit(key)).toMatchObject({ class: 'blocked', code: 'ERROR: 1001', retryAfterMs: 600_000 });
    await simulator.control.advanceClock(600_000);
    expect(await submit(key)).toMatchObject({ kind: 'accepted' });
  });

  test('may refuse this address', async () => {
    await simulator.control.account(keyOf(3), { state: 'addressNotAllowed' });
    expect(await submit(keyOf(3))).toMatchObject({ class: 'addressNotAllowed' });
  });

  test('with a wrong key is refused, and wrong keys get the whole address banned for 5 min', async () => {
    await simulator.control.account(keyOf(4), { state: 'unknown' });
    expect(await submit('short')).toMatchObject({ class: 'keyRejected', code: 'ERROR_WRONG_USER_KEY' });
    expect(await submit(keyOf(4))).toMatchObject({ class: 'keyRejected', code: 'ERROR_KEY_DOES_NOT_EXIST' });
    await submit(keyOf(4));
    expect(await submit(keyOf(5))).toMatchObject({ class: 'addressBlocked', code: 'IP_BANNED' });
    const poll = { apiKey: keyOf(5), captchaID: '1', captcha: { type: 'Image' } } as const;
    expect(await client.poll(poll, options)).toMatchObject({ class: 'addressBlocked' });
    await simulator.control.advanceClock(5 * 60_000);
    expect(await submit(keyOf(5))).toMatchObject({ kind: 'accepted' });
  });
});

describe('an outage', () => {
  beforeAll(() => begin());
  afterAll(end);

  test('refuses connections, and the provider is found again at the same place', async () => {
    await simulator.control.outage(300);
    const first = await client.submit({ apiKey: KEY, spec: v2 }, options);
    expect(first).toEqual({ kind: 'unreachable', cause: 'connectionRefused' });
    await waitUntil('the provider to listen again', async () => {
      const outcome = await client.submit({ apiKey: KEY, spec: v2 }, options);
      return outcome.kind === 'accepted';
    });
    expect((await simulator.control.totals()).paid).toBe(1);
  });
});
