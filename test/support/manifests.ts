/**
 * Valid manifests of all captcha types, each with every optional field that its type has, so that tests which walk
 * them meet every field of the schema. Plain objects as a user would write them: no defaults, no status.
 */
import { API_VERSION, type CaptchaType } from '../../src/api/names.ts';

/** A JSON object; the tests change it freely. */
export type Json = Record<string, unknown>;

const pageURL = 'https://example.com/login?next=%2F';
const siteKey = '6Le-wvkSAAAAAPBMRTvw0Q4Muexq9bi0DJwx_mJ-';
const userAgent = 'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101';
const cookies = 'a:1;b:2';
/** One pixel. */
const body = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const proxy = { type: 'HTTP', secretRef: { name: 'proxy', key: 'address' } };

/** `spec.captcha` of each type. */
export const CAPTCHAS: Record<CaptchaType, Json> = {
  RecaptchaV2: {
    type: 'RecaptchaV2',
    recaptchaV2: {
      siteKey,
      pageURL,
      invisible: true,
      enterprise: false,
      action: 'login',
      dataS: 'data-s-value',
      domain: 'recaptcha.net',
      cookies,
      userAgent,
    },
  },
  RecaptchaV3: {
    type: 'RecaptchaV3',
    recaptchaV3: { siteKey, pageURL, action: 'login', minScore: '0.3', enterprise: true, cookies, userAgent },
  },
  Turnstile: {
    type: 'Turnstile',
    turnstile: {
      siteKey: '0x4AAAAAAA',
      pageURL,
      action: 'managed',
      data: 'cdata',
      pageData: 'pagedata',
      cookies,
      userAgent,
    },
  },
  CloudflareChallenge: { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL, cookies, userAgent } },
  GeeTestV3: {
    type: 'GeeTestV3',
    geeTestV3: {
      gt: '81388ea1fc187e0c335c0a8907ff2625',
      challenge: '8a1f4e5ad1e6f3c1',
      pageURL,
      apiServer: 'api-na.geetest.com',
      cookies,
      userAgent,
    },
  },
  GeeTestV4: { type: 'GeeTestV4', geeTestV4: { captchaID: '647f5ed2ed8acb4be36784e01556bb71', pageURL } },
  Image: {
    type: 'Image',
    image: {
      body,
      numeric: 3,
      minLength: 4,
      maxLength: 6,
      phrase: false,
      caseSensitive: true,
      math: false,
      language: 'en',
      instructions: 'type the red letters',
    },
  },
  Grid: {
    type: 'Grid',
    grid: { body, rows: 3, columns: 3, instructions: 'select all buses', previousID: '7383820914' },
  },
  BLS: { type: 'BLS', bls: { instructions: '664', images: Array.from({ length: 9 }, () => body) } },
  CaptchaFox: { type: 'CaptchaFox', captchaFox: { siteKey: 'sk_11111111', pageURL, cookies, userAgent } },
  FriendlyCaptcha: { type: 'FriendlyCaptcha', friendlyCaptcha: { siteKey: 'FCMGEMUD', pageURL, version: 'v2' } },
  Lemin: {
    type: 'Lemin',
    lemin: {
      captchaID: 'CROPPED_0000000_00000000000000000000000000000000',
      divID: 'lemin-cropped-captcha',
      pageURL,
      apiServer: 'api.leminnow.com',
    },
  },
  Custom: { type: 'Custom', custom: { method: 'friendly_captcha', parameters: { sitekey: 'FCMG', pageurl: pageURL } } },
};

const NEED_PROXY: ReadonlySet<CaptchaType> = new Set(['CloudflareChallenge', 'CaptchaFox']);

/** A task with every field of `spec` that its type allows. */
export function taskManifest(type: CaptchaType, change: { name?: string; spec?: Json } = {}): Json {
  return {
    apiVersion: API_VERSION,
    kind: 'CaptchaTask',
    metadata: { name: change.name ?? type.toLowerCase() },
    spec: {
      captcha: structuredClone(CAPTCHAS[type]),
      ...(NEED_PROXY.has(type) ? { proxy: structuredClone(proxy) } : {}),
      ...change.spec,
    },
  };
}

/** Every field of `spec` besides `captcha`. */
export const FULL_SPEC: Json = {
  delivery: 'Callback',
  callbackTimeoutSeconds: 120,
  activeDeadlineSeconds: 600,
  backoffLimit: 1,
  ttlSecondsAfterFinished: 3600,
  suspend: false,
  apiKeySecretRef: { name: 'captchaai', key: 'api-key' },
  proxy,
  solutionSecretName: 'login-solution',
};

const time = '2026-01-01T00:00:00Z';
const condition = {
  type: 'Solved',
  status: 'Unknown',
  observedGeneration: 1,
  lastTransitionTime: time,
  reason: 'AwaitingCallback',
  message: 'waiting for the callback',
};

/** A status with every field of the schema; not one that the operator would write. */
export const FULL_TASK_STATUS: Json = {
  observedGeneration: 1,
  phase: 'Submitted',
  startTime: time,
  completionTime: time,
  attempts: 1,
  unknownSubmissions: 0,
  submission: {
    attempt: 1,
    intentTime: time,
    intentBy: 'operator-0/1',
    pingback: true,
    submittedTime: time,
    captchaID: '7383820914',
    pollAfterTime: time,
    endTime: time,
    code: 'ERROR_CAPTCHA_UNSOLVABLE',
  },
  solution: {
    value: 'solution',
    userAgent,
    source: 'Callback',
    attempt: 1,
    captchaID: '7383820914',
    receivedTime: time,
    freshUntilTime: time,
    expiresTime: time,
  },
  failure: { class: 'Permanent', code: 'ERROR_PAGEURL', message: 'the provider refused the page address' },
  deadLetter: { name: 'login-1', time, confirmed: true },
  conditions: [condition],
};

export function letterManifest(change: { name?: string; spec?: Json } = {}): Json {
  return {
    apiVersion: API_VERSION,
    kind: 'DeadLetter',
    metadata: { name: change.name ?? 'letter' },
    spec: {
      taskRef: { name: 'login', uid: 'b7b2a1c0-0000-4000-8000-000000000001' },
      attempt: 1,
      captchaID: '7383820914',
      stage: 'WriteSecret',
      source: 'Callback',
      payload: { code: 'solution', userAgent },
      error: { class: 'Conflict', message: 'the Secret login-solution belongs to someone else' },
      receivedTime: time,
      contentExpiresTime: time,
      ...change.spec,
    },
  };
}

export const FULL_LETTER_STATUS: Json = {
  phase: 'Pending',
  attempts: 3,
  nextRetryTime: time,
  lastError: { class: 'Conflict', message: 'the Secret login-solution belongs to someone else' },
  completionTime: time,
  redrives: 1,
  lastRedrive: { value: '1767225600', time, attempts: 2 },
  conditions: [{ ...condition, type: 'Resolved', reason: 'Pending' }],
};
