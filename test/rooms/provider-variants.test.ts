/**
 * Every captcha type through our own client, against each provider that the simulator can be: the same task gives the
 * same result, with the user agent it is bound to and for one payment, however that provider words its replies. Where a
 * variant leaves no result to be had, the outcome that says so is named here.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Captcha } from '../../src/api/captchatask.ts';
import type { PollOutcome, SubmitOutcome } from '../../src/core/outcome.ts';
import { startSimulator } from '../../src/dev/simulator/index.ts';
import { DIALECTS, SWITCHES, type Dialect, type SwitchName } from '../../src/dev/simulator/switches.ts';
import { createProviderClient, type ProviderClient } from '../../src/provider/client.ts';
import { waitUntil } from '../support/wait-until.ts';

const KEY = '0123456789abcdef0123456789abcdef';
const timeout = { timeoutMs: 10_000 };
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64)';
const pageURL = 'https://example.com/login';
const proxy = { type: 'HTTP', address: 'user:pass@198.51.100.7:3128' };
/** A GIF of 300 by 10, as far as anybody looks. */
const body = Buffer.concat([Buffer.from('GIF89a'), Buffer.from([44, 1, 10, 0]), Buffer.alloc(200)]).toString('base64');

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const site = { siteKey: 'K', pageURL, userAgent: AGENT };
const token = (id: string): string => `03token-${id}_AbC-dEf+gHi/jKl=`;
const geeTestV3 = (id: string): string =>
  `{"challenge":"c","validate":"validate${id}","seccode":"validate${id}|jordan"}`;
const geeTestV4 = (id: string): RegExp =>
  new RegExp(
    `^\\{"captcha_id":"i","lot_number":"lot${id}","pass_token":".+","gen_time":".+","captcha_output":".+"\\}$`,
  );

interface Kind {
  captcha: Captcha;
  value: (id: string) => string | RegExp;
  /** The result is bound to a user agent, which is found in the full answer only. */
  agent?: true;
}
const KINDS: Readonly<Record<string, Kind>> = {
  v2: { captcha: { type: 'RecaptchaV2', recaptchaV2: site }, value: token },
  'v2 Enterprise': {
    captcha: { type: 'RecaptchaV2', recaptchaV2: { ...site, enterprise: true } },
    value: token,
    agent: true,
  },
  v3: { captcha: { type: 'RecaptchaV3', recaptchaV3: { ...site, action: 'login' } }, value: token },
  'v3 Enterprise': {
    captcha: { type: 'RecaptchaV3', recaptchaV3: { ...site, action: 'login', enterprise: true } },
    value: token,
    agent: true,
  },
  Turnstile: { captcha: { type: 'Turnstile', turnstile: site }, value: token },
  Challenge: {
    captcha: { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL, userAgent: AGENT } },
    value: (id) => `clearance-${id}`,
    agent: true,
  },
  GeeTestV3: { captcha: { type: 'GeeTestV3', geeTestV3: { gt: 'g', challenge: 'c', pageURL } }, value: geeTestV3 },
  GeeTestV4: { captcha: { type: 'GeeTestV4', geeTestV4: { captchaID: 'i', pageURL } }, value: geeTestV4 },
  Image: { captcha: { type: 'Image', image: { body } }, value: (id) => `text${id.slice(-6)}` },
  Grid: {
    captcha: { type: 'Grid', grid: { body, rows: 3, columns: 3, instructions: 'bicycles' } },
    value: () => '[1,4,7]',
  },
  BLS: {
    captcha: { type: 'BLS', bls: { instructions: '664', images: Array<string>(9).fill(body) } },
    value: () => '[1,4,7,8]',
  },
  CaptchaFox: { captcha: { type: 'CaptchaFox', captchaFox: site }, value: (id) => `fox-token-${id}`, agent: true },
  FriendlyCaptcha: {
    captcha: { type: 'FriendlyCaptcha', friendlyCaptcha: { siteKey: 'K', pageURL, version: 'v2' } },
    value: token,
  },
  Lemin: {
    captcha: { type: 'Lemin', lemin: { captchaID: 'i', divID: 'd', pageURL } },
    value: (id) => new RegExp(`^(\\{"answer":"0xabcx_${id}","challenge_uuid":"uuid-${id}"\\}|lemin-token-${id})$`),
  },
};

type Outcomes = Record<string, string>;

/** What comes of each kind: `solved`, `solved, no agent`, `wrong: …`, or how it was not. */
async function outcomes(
  dialect: Dialect,
  switches: object,
): Promise<{ found: Outcomes; accepted: number; paid: number }> {
  const simulator = await startSimulator({ dialect, switches, answerAfterMs: 5 });
  closers.push(() => simulator.stop());
  const client = createProviderClient({ baseUrl: simulator.url });
  closers.push(() => client.close());
  let accepted = 0;
  const solve = async ([name, kind]: [string, Kind]): Promise<[string, string]> => {
    const outcome = await client.submit({ apiKey: KEY, spec: kind.captcha, proxy }, timeout);
    if (outcome.kind !== 'accepted') return [name, said(outcome)];
    accepted += 1;
    return [name, await resultOf(client, kind, outcome.captchaID)];
  };
  const found = Object.fromEntries(await Promise.all(Object.entries(KINDS).map(solve)));
  return { found, accepted, paid: (await simulator.control.totals()).paid };
}

async function resultOf(client: ProviderClient, { captcha, value, agent }: Kind, captchaID: string): Promise<string> {
  const outcome = await waitUntil('an answer', async () => {
    const answer = await client.poll({ apiKey: KEY, captchaID, captcha }, timeout);
    return answer.kind === 'pending' ? undefined : answer;
  });
  if (outcome.kind !== 'solved') return said(outcome);
  const wanted = value(captchaID);
  const isRight = typeof wanted === 'string' ? outcome.value === wanted : wanted.test(outcome.value);
  if (!isRight) return `wrong: ${outcome.value}`;
  return agent === true && outcome.userAgent !== AGENT ? 'solved, no agent' : 'solved';
}

function said(outcome: SubmitOutcome | PollOutcome): string {
  if (outcome.kind === 'refused') return `refused: ${outcome.class}`;
  return 'cause' in outcome ? `${outcome.kind}: ${outcome.cause}` : outcome.kind;
}

const NAMES = Object.keys(KINDS);
const all = (word: string, names = NAMES): Outcomes => Object.fromEntries(names.map((name) => [name, word]));
const NO_V4 = { GeeTestV4: 'refused: permanent' };
const NO_AGENT = all(
  'solved, no agent',
  NAMES.filter((name) => KINDS[name]?.agent === true),
);

/** What a variant leaves no way to. Whatever is not named here is solved. */
const OF_VARIANT: Readonly<Record<string, Outcomes>> = {
  // Nobody tells the agent: the token is kept all the same.
  'userAgent=absent': NO_AGENT,
  'gridAnswer=text': { Grid: 'unreadable' },
  'geetestV4=method': NO_V4,
  'geetestV4=unsupported': NO_V4,
  // No id that could be asked for: unknown, and never taken for a refusal.
  'ids=inResult': all('unknown: unreadable'),
  'ids=uuid': all('unknown: unreadable'),
  // We ask by POST with the key in the body.
  'pollVerb=get': all('unreachable: http4xx'),
  'pollVerb=queryOnly': all('refused: keyRejected'),
};

/** The family has another method for GeeTest v4; where it overlooks that fields are missing, it answers as for v3. */
const V4_OF_FAMILY: Readonly<Record<string, string>> = {
  'geetestV4=version': 'solved',
  'requiredFields=lenient': 'unreadable',
};

function expected(dialect: Dialect, variant?: string): Outcomes {
  const ofVariant = OF_VARIANT[variant ?? ''] ?? {};
  const ofFamily = { GeeTestV4: V4_OF_FAMILY[variant ?? ''] ?? 'refused: permanent' };
  return { ...all('solved'), ...ofVariant, ...(dialect === 'family' ? ofFamily : {}) };
}

/** About threads, callbacks and what only other clients send. */
const BESIDE_THE_POINT: ReadonlySet<string> = new Set([
  'threadsinfo',
  'poolFull',
  'pingback',
  'pingbackRefusal',
  'pingbackVerb',
  'ownershipFile',
  'jsonDefault',
  'jsonBodies',
  'unknownMethod',
]);
const VARIANTS = (Object.keys(SWITCHES) as SwitchName[])
  .filter((name) => !BESIDE_THE_POINT.has(name))
  .flatMap((name) => SWITCHES[name].values.map((value) => [name, value] as const));

describe.each(DIALECTS)('of the provider in the dialect %s', (dialect) => {
  it('every type is solved and paid for once', async () => {
    const { found, accepted, paid } = await outcomes(dialect, {});
    expect(found).toEqual(expected(dialect));
    expect(paid).toBe(accepted);
  });

  it.each(VARIANTS)('with %s=%s every type comes to its end and is paid for once', async (name, value) => {
    const { found, accepted, paid } = await outcomes(dialect, { [name]: value });
    expect(found).toEqual(expected(dialect, `${name}=${value}`));
    if (!name.startsWith('ids')) expect(paid).toBe(accepted);
  });
});
