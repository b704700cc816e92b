/**
 * One task of every captcha type, and both Enterprise variants, with the result that the simulator gives for it: the
 * rows of every test that says "each type". The value of a Lemin answer depends on the provider.
 */
import type { Captcha } from '../../src/api/captchatask.ts';

/** The agent that the solver is asked to use, and that results are bound to. */
export const AGENT = 'Mozilla/5.0 (X11; Linux x86_64)';
const pageURL = 'https://example.com/login';
export const KIND_PROXY = { type: 'HTTP' as const, address: 'user:pass@198.51.100.7:3128' };
/** A GIF of 300 by 10, as far as anybody looks. */
const body = Buffer.concat([Buffer.from('GIF89a'), Buffer.from([44, 1, 10, 0]), Buffer.alloc(200)]).toString('base64');

const site = { siteKey: 'K', pageURL, userAgent: AGENT };
const token = (id: string): string => `03token-${id}_AbC-dEf+gHi/jKl=`;
const geeTestV3 = (id: string): string =>
  `{"challenge":"c","validate":"validate${id}","seccode":"validate${id}|jordan"}`;
const geeTestV4 = (id: string): RegExp =>
  new RegExp(
    `^\\{"captcha_id":"i","lot_number":"lot${id}","pass_token":".+","gen_time":".+","captcha_output":".+"\\}$`,
  );

export interface Kind {
  captcha: Captcha;
  /** The whole value. */
  value: (id: string) => string | RegExp;
  /** The result is bound to a user agent, which is found in the full answer only. */
  agent?: true;
}
export const KINDS: Readonly<Record<string, Kind>> = {
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

/** Whether this is the whole value that belongs to the id. */
export function isResult({ value }: Kind, captchaID: string, found: string | undefined): boolean {
  const wanted = value(captchaID);
  return typeof wanted === 'string' ? found === wanted : wanted.test(found ?? '');
}
