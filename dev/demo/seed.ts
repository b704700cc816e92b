/**
 * The demo's samples: one CaptchaTask for each path a task can take, what the provider simulator shall do with it, and
 * the end it must reach. Values only; `run.ts` applies them. To show another path, add a sample here.
 */
import { API_VERSION } from '../../src/api/names.ts';
import type { CaptchaTaskSpec } from '../../src/api/captchatask.ts';
import type { Match, Script } from '../simulator/script.ts';
import { DEMO_API_KEY } from '../fleet.ts';

export const DEMO_NAMESPACE = 'demo';

/** What must be seen at the end. */
export interface Expectation {
  phase: 'Solved' | 'Failed';
  source?: 'Callback' | 'Poll' | 'DeadLetter';
  attempts: number;
  reason: string;
}

export interface Sample {
  name: string;
  /** In a few words, for the table. */
  shows: string;
  spec: Pick<CaptchaTaskSpec, 'captcha'> & Partial<CaptchaTaskSpec>;
  /** What the provider does; absent: it answers and calls back once. */
  script?: Script;
  expect: Expectation;
  /** How many submissions the provider must have been paid for. */
  paid: number;
}

const SITE_KEY = '6Le-wvkSAAAAAPBMRTvw0Q4Muexq9bi0DJwx_mJ-';

function pageOf(name: string): string {
  return `https://shop.example/${name}`;
}

function turnstile(name: string): CaptchaTaskSpec['captcha'] {
  return { type: 'Turnstile', turnstile: { siteKey: '0x4AAAAAAADnPIDROrmt1Wwj', pageURL: pageOf(name) } };
}

function recaptchaV2(name: string): CaptchaTaskSpec['captcha'] {
  return { type: 'RecaptchaV2', recaptchaV2: { siteKey: SITE_KEY, pageURL: pageOf(name) } };
}

/**
 * Secrets that samples refer to. `own-key` comes late on purpose; `basket-solution` belongs to somebody else. The host
 * of the callbacks is not registered with the account of `other-account`.
 */
export const OTHER_ACCOUNT_SECRET = { name: 'other-account', data: { 'api-key': 'other0key0other0key0other0key000' } };
export const PROXY_SECRET = { name: 'proxy', data: { address: 'user:password@192.0.2.10:3128' } };
export const LATE_KEY_SECRET = { name: 'own-key', data: { 'api-key': DEMO_API_KEY } };
export const FOREIGN_SECRET = { name: 'basket-solution', data: { value: 'somebody else wrote this' } };

export const SAMPLES: readonly Sample[] = [
  {
    name: 'callback',
    shows: 'solved by its callback',
    spec: { captcha: turnstile('callback') },
    expect: { phase: 'Solved', source: 'Callback', attempts: 1, reason: 'Solved' },
    paid: 1,
  },
  {
    name: 'lost-callback',
    shows: 'callback lost: polled after 3 s (default 120 s)',
    spec: { captcha: recaptchaV2('lost-callback'), callbackTimeoutSeconds: 3 },
    script: { tasks: [{ pingbacks: [] }] },
    expect: { phase: 'Solved', source: 'Poll', attempts: 1, reason: 'Solved' },
    paid: 1,
  },
  {
    name: 'twice',
    shows: 'callback delivered twice: applied once',
    spec: {
      captcha: { type: 'RecaptchaV3', recaptchaV3: { siteKey: SITE_KEY, pageURL: pageOf('twice'), action: 'login' } },
    },
    script: { tasks: [{ pingbacks: [{}, { afterMs: 500 }] }] },
    expect: { phase: 'Solved', source: 'Callback', attempts: 1, reason: 'Solved' },
    paid: 1,
  },
  {
    name: 'early',
    shows: 'callback before the submit call returned',
    spec: { captcha: turnstile('early') },
    script: { tasks: [{ solveAfterMs: 0, pingbacks: [{ beforeReply: true }] }] },
    expect: { phase: 'Solved', source: 'Callback', attempts: 1, reason: 'Solved' },
    paid: 1,
  },
  {
    name: 'wrong-page',
    shows: 'permanent error: failed, nothing paid',
    spec: { captcha: recaptchaV2('wrong-page') },
    script: { submit: [{ code: 'ERROR_BAD_TOKEN_OR_PAGEURL' }] },
    expect: { phase: 'Failed', attempts: 1, reason: 'ProviderRejected' },
    paid: 0,
  },
  {
    name: 'second-try',
    shows: 'unsolvable at first: submitted once more (backoffLimit 1)',
    spec: { captcha: recaptchaV2('second-try'), backoffLimit: 1 },
    script: { tasks: [{ result: { code: 'ERROR_CAPTCHA_UNSOLVABLE' } }, {}] },
    expect: { phase: 'Solved', source: 'Callback', attempts: 2, reason: 'Solved' },
    paid: 2,
  },
  {
    name: 'challenge',
    shows: 'callback cannot carry the result: fetched at once',
    spec: {
      captcha: { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL: pageOf('challenge') } },
      proxy: { type: 'HTTP', secretRef: { name: PROXY_SECRET.name, key: 'address' } },
    },
    expect: { phase: 'Solved', source: 'Poll', attempts: 1, reason: 'Solved' },
    paid: 1,
  },
  {
    name: 'enterprise',
    shows: 'reCAPTCHA Enterprise: fetched with the user agent it is bound to',
    spec: {
      captcha: {
        type: 'RecaptchaV2',
        recaptchaV2: { siteKey: SITE_KEY, pageURL: pageOf('enterprise'), enterprise: true },
      },
    },
    expect: { phase: 'Solved', source: 'Poll', attempts: 1, reason: 'Solved' },
    paid: 1,
  },
  {
    name: 'waits-for-key',
    shows: 'API key Secret missing, created after 3 s',
    spec: {
      captcha: turnstile('waits-for-key'),
      apiKeySecretRef: { name: LATE_KEY_SECRET.name, key: 'api-key' },
    },
    expect: { phase: 'Solved', source: 'Callback', attempts: 1, reason: 'Solved' },
    paid: 1,
  },
  {
    name: 'unregistered',
    shows: 'callback host refused: sent without, polled',
    spec: {
      captcha: {
        type: 'RecaptchaV3',
        recaptchaV3: { siteKey: SITE_KEY, pageURL: pageOf('unregistered'), action: 'login' },
      },
      apiKeySecretRef: { name: OTHER_ACCOUNT_SECRET.name, key: 'api-key' },
    },
    script: { submit: [{ code: 'ERROR_IP_ADDRES' }, { accept: true }] },
    expect: { phase: 'Solved', source: 'Poll', attempts: 1, reason: 'Solved' },
    paid: 1,
  },
  {
    name: 'blocked',
    shows: 'Secret is not ours: dead letter, retried once it is gone',
    spec: { captcha: turnstile('blocked'), solutionSecretName: FOREIGN_SECRET.name },
    expect: { phase: 'Solved', source: 'DeadLetter', attempts: 1, reason: 'Solved' },
    paid: 1,
  },
];

/** What a program submits through the gateway, which makes the task; its name there is made of an id. */
export const GATEWAY_SAMPLE: Sample = {
  name: 'gateway',
  shows: 'through the gateway, by a program that knows no Kubernetes',
  spec: { captcha: recaptchaV2('gateway') },
  expect: { phase: 'Solved', source: 'Callback', attempts: 1, reason: 'Solved' },
  paid: 1,
};
export const GATEWAY_WISH = { key: 'demo0gateway0key0demo0gateway0ke', siteKey: SITE_KEY, pageURL: pageOf('gateway') };

export function manifestOf(sample: Sample): object {
  const metadata = { name: sample.name, namespace: DEMO_NAMESPACE };
  return { apiVersion: API_VERSION, kind: 'CaptchaTask', metadata, spec: sample.spec };
}

/** Which submissions a sample's script is for: each sample has a page of its own. */
export function matchOf(sample: Sample): Match {
  return { field: 'pageurl', equals: pageOf(sample.name) };
}
