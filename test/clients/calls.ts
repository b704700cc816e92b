/**
 * One call of a client library for each captcha type that it supports, with every option it has for a type that we have
 * too, and that type as our tasks spell it. Names of methods and options are the libraries' own.
 */
import type { Captcha } from '../../src/api/captchatask.ts';
import { AGENT, CHALLENGE, COOKIES, GT, IMAGE, PAGE, PROXY_ADDRESS, SITE_KEY } from './values.ts';

export interface Call {
  /** The type, as people call it; the same for all clients. */
  name: string;
  call: string;
  args: unknown[];
  kwargs: Record<string, unknown>;
  /** The same task as ours; absent where only `Custom` could express it. */
  spec?: Captcha;
  /** Whether it goes through the proxy. */
  proxy?: true;
}

type Rest = Partial<Pick<Call, 'args' | 'kwargs' | 'spec' | 'proxy'>>;
const call = (name: string, method: string, rest: Rest): Call => ({
  name,
  call: method,
  args: [],
  kwargs: {},
  ...rest,
});

const site = { siteKey: SITE_KEY, pageURL: PAGE };
const instructions = 'type the red letters';
const image: Captcha = {
  type: 'Image',
  image: {
    body: IMAGE,
    numeric: 3,
    minLength: 4,
    maxLength: 6,
    phrase: true,
    caseSensitive: true,
    language: 'en',
    instructions,
  },
};
const grid: Captcha = { type: 'Grid', grid: { body: IMAGE, rows: 3, columns: 3, instructions: 'bicycles' } };
const v2: Captcha = { type: 'RecaptchaV2', recaptchaV2: { ...site, cookies: COOKIES, userAgent: AGENT } };
const invisible: Captcha = { type: 'RecaptchaV2', recaptchaV2: { ...site, invisible: true } };
const v2Enterprise: Captcha = {
  type: 'RecaptchaV2',
  recaptchaV2: { ...site, enterprise: true, action: 'login', cookies: COOKIES, userAgent: AGENT },
};
const bound = { cookies: COOKIES, userAgent: AGENT };
const v3: Captcha = { type: 'RecaptchaV3', recaptchaV3: { ...site, action: 'login', minScore: '0.3' } };
const v3Enterprise: Captcha = { type: 'RecaptchaV3', recaptchaV3: { ...v3.recaptchaV3, ...site, enterprise: true } };
const geeTestV3: Captcha = { type: 'GeeTestV3', geeTestV3: { gt: GT, challenge: CHALLENGE, pageURL: PAGE } };
const geeTestV4: Captcha = { type: 'GeeTestV4', geeTestV4: { captchaID: GT, pageURL: PAGE } };
const turnstile: Captcha = { type: 'Turnstile', turnstile: { ...site } };
const friendly: Captcha = { type: 'FriendlyCaptcha', friendlyCaptcha: { ...site } };
const fox: Captcha = { type: 'CaptchaFox', captchaFox: { ...site, userAgent: AGENT } };
const lemin: Captcha = {
  type: 'Lemin',
  lemin: { captchaID: 'CROPPED_1', divID: 'lemin-cropped-captcha', pageURL: PAGE },
};
const leminServed: Captcha = {
  type: 'Lemin',
  lemin: { captchaID: 'CROPPED_1', divID: 'lemin-cropped-captcha', pageURL: PAGE, apiServer: 'api.leminnow.com' },
};
const extras = { cookies: COOKIES, user_agent: AGENT };

/** The provider's own client, `captchaai`: all it has. */
export const OFFICIAL: readonly Call[] = [
  call('Image', 'normal', {
    args: [IMAGE],
    kwargs: { numeric: 3, min_len: 4, max_len: 6, phrase: 1, case_sensitive: 1, lang: 'en', instructions },
    spec: image,
  }),
  call('Grid', 'grid', { args: [IMAGE, 'bicycles', '3x3'], spec: grid }),
  call('BLS', 'bls', {
    args: [Array<string>(9).fill(IMAGE), '664'],
    spec: {
      type: 'BLS',
      bls: { instructions: '664', images: Array<string>(9).fill(`data:image/png;base64,${IMAGE}`) },
    },
  }),
  call('reCAPTCHA v2', 'recaptcha_v2', { args: [SITE_KEY, PAGE], kwargs: extras, spec: v2 }),
  call('reCAPTCHA v2 invisible', 'recaptcha_v2', { args: [SITE_KEY, PAGE, true], spec: invisible }),
  call('reCAPTCHA v2 Enterprise', 'recaptcha_v2', {
    args: [SITE_KEY, PAGE, false, true, 'login'],
    kwargs: extras,
    spec: v2Enterprise,
  }),
  call('reCAPTCHA v3', 'recaptcha_v3', {
    args: [SITE_KEY, PAGE, 'login'],
    kwargs: { min_score: 0.3, ...extras },
    spec: { type: 'RecaptchaV3', recaptchaV3: { ...site, action: 'login', minScore: '0.3', ...bound } },
  }),
  call('reCAPTCHA v3 Enterprise', 'recaptcha_v3', {
    args: [SITE_KEY, PAGE, 'login', true],
    kwargs: { min_score: 0.3 },
    spec: v3Enterprise,
  }),
  call('Turnstile', 'turnstile', {
    args: [SITE_KEY, PAGE],
    kwargs: extras,
    spec: { type: 'Turnstile', turnstile: { ...site, ...bound } },
  }),
  call('Cloudflare Challenge', 'cloudflare_challenge', {
    args: [PAGE],
    kwargs: { ...extras, proxy: PROXY_ADDRESS, proxytype: 'HTTP' },
    spec: { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL: PAGE, ...bound } },
    proxy: true,
  }),
  call('GeeTest v3', 'geetest', {
    args: [GT, CHALLENGE, PAGE],
    kwargs: extras,
    spec: { type: 'GeeTestV3', geeTestV3: { gt: GT, challenge: CHALLENGE, pageURL: PAGE, ...bound } },
  }),
  call('CaptchaFox', 'captchafox', {
    args: [SITE_KEY, PAGE],
    kwargs: { ...extras, proxy: PROXY_ADDRESS, proxytype: 'HTTP' },
    spec: { type: 'CaptchaFox', captchaFox: { ...site, ...bound } },
    proxy: true,
  }),
  call('Friendly Captcha', 'friendly_captcha', {
    args: [SITE_KEY, PAGE],
    kwargs: { version: 'v1' },
    spec: { type: 'FriendlyCaptcha', friendlyCaptcha: { ...site, version: 'v1' } },
  }),
  call('Lemin', 'lemin', {
    args: ['CROPPED_1', 'lemin-cropped-captcha', PAGE],
    kwargs: { api_server: 'api.leminnow.com' },
    spec: leminServed,
  }),
];

const proxy = { type: 'HTTP', uri: PROXY_ADDRESS };

/** What both Python clients of the family have, by the same names. `imagePath`: the image as a file. */
const shared = (imagePath: string): Call[] => [
  call('Image', 'normal', {
    args: [IMAGE],
    kwargs: { numeric: 3, minLen: 4, maxLen: 6, phrase: 1, caseSensitive: 1, lang: 'en', hintText: instructions },
    spec: image,
  }),
  call('Image as a file', 'normal', { args: [imagePath] }),
  call('Grid', 'grid', { args: [IMAGE], kwargs: { rows: 3, cols: 3, hintText: 'bicycles' }, spec: grid }),
  call('reCAPTCHA v2', 'recaptcha', {
    args: [SITE_KEY, PAGE],
    kwargs: { cookies: COOKIES, userAgent: AGENT },
    spec: v2,
  }),
  call('reCAPTCHA v2 with everything', 'recaptcha', {
    args: [SITE_KEY, PAGE],
    kwargs: { datas: 's-value', domain: 'recaptcha.net', invisible: 1, proxy },
    spec: {
      type: 'RecaptchaV2',
      recaptchaV2: { ...site, dataS: 's-value', domain: 'recaptcha.net', invisible: true },
    },
    proxy: true,
  }),
  call('reCAPTCHA v2 Enterprise', 'recaptcha', {
    args: [SITE_KEY, PAGE],
    kwargs: { enterprise: 1, action: 'login', cookies: COOKIES, userAgent: AGENT },
    spec: v2Enterprise,
  }),
  call('reCAPTCHA v3', 'recaptcha', {
    args: [SITE_KEY, PAGE],
    kwargs: { version: 'v3', action: 'login', score: 0.3 },
    spec: v3,
  }),
  call('reCAPTCHA v3 Enterprise', 'recaptcha', {
    args: [SITE_KEY, PAGE],
    kwargs: { version: 'v3', enterprise: 1, action: 'login', score: 0.3 },
    spec: v3Enterprise,
  }),
  call('Turnstile', 'turnstile', {
    args: [SITE_KEY, PAGE],
    kwargs: { action: 'managed', data: 'cdata', pagedata: 'pagedata', useragent: AGENT },
    spec: {
      type: 'Turnstile',
      turnstile: { ...site, action: 'managed', data: 'cdata', pageData: 'pagedata', userAgent: AGENT },
    },
  }),
  call('GeeTest v3', 'geetest', {
    args: [GT, CHALLENGE, PAGE],
    kwargs: { apiServer: 'api-na.geetest.com' },
    spec: {
      type: 'GeeTestV3',
      geeTestV3: { gt: GT, challenge: CHALLENGE, pageURL: PAGE, apiServer: 'api-na.geetest.com' },
    },
  }),
  call('GeeTest v4', 'geetest_v4', { args: [GT, PAGE], spec: geeTestV4 }),
  call('question in words', 'text', { args: ['three and four?'], kwargs: { lang: 'en' } }),
  call('FunCaptcha', 'funcaptcha', { args: [SITE_KEY, PAGE], kwargs: { surl: 'https://client-api.arkoselabs.com' } }),
  call('hCaptcha', 'hcaptcha', { args: [SITE_KEY, PAGE] }),
  call('KeyCaptcha', 'keycaptcha', { args: ['10', 's', 'w1', 'w2', PAGE] }),
  call('coordinates', 'coordinates', { args: [IMAGE], kwargs: { hintText: 'click the cat' } }),
  call('rotate', 'rotate', { args: [[imagePath]], kwargs: { angle: 40 } }),
  call('canvas', 'canvas', { args: [IMAGE], kwargs: { hintText: 'draw around the cat' } }),
];

/** `solvecaptcha-python`: all it has. */
export const SOLVECAPTCHA = shared;

/** `2captcha-python`: all it has. */
export const TWOCAPTCHA = (imagePath: string): Call[] => [
  ...shared(imagePath),
  call('CaptchaFox', 'captchafox', { args: [SITE_KEY, PAGE, AGENT, proxy], spec: fox, proxy: true }),
  call('Friendly Captcha', 'friendly_captcha', { args: [SITE_KEY, PAGE], spec: friendly }),
  call('Lemin', 'lemin', {
    args: ['CROPPED_1', 'lemin-cropped-captcha', PAGE],
    kwargs: { apiServer: 'api.leminnow.com' },
    spec: leminServed,
  }),
  call('rotate as text', 'rotate', { args: [IMAGE] }),
  call('audio', 'audio', { args: [imagePath.replace(/gif$/, 'mp3'), 'en'] }),
  call('Capy', 'capy', { args: [SITE_KEY, PAGE] }),
  call('ATB', 'atb_captcha', { args: ['app', 'https://cap.aisecurius.com', PAGE] }),
  call('Amazon WAF', 'amazon_waf', { args: [SITE_KEY, 'iv', 'context', PAGE] }),
  call('MTCaptcha', 'mtcaptcha', { args: ['MTPublic-1', PAGE] }),
  call('Tencent', 'tencent', { args: ['190014885', PAGE] }),
  call('Cutcaptcha', 'cutcaptcha', { args: ['misery', 'SAb83IIB', PAGE] }),
  call('VK image', 'vkimage', { args: [IMAGE, '[5,19,4]'] }),
  call('VK', 'vkcaptcha', { args: ['https://id.vk.com/not_robot_captcha', AGENT, proxy] }),
  call('Prosopo', 'prosopo', { args: [SITE_KEY, PAGE] }),
  call('Temu', 'temu', { args: [IMAGE, IMAGE, IMAGE, IMAGE] }),
  call('DataDome', 'datadome', { args: ['https://geo.captcha-delivery.com/captcha/', PAGE, AGENT, proxy] }),
  call('CyberSiARA', 'cybersiara', { args: ['OXR2LVNvCuXykkZbB8KZIfh162sNT8S2', PAGE, AGENT] }),
  call('Yandex', 'yandex_smart', { args: ['ysc1_1', PAGE] }),
  call('Altcha', 'altcha', { args: [PAGE], kwargs: { challenge_url: `${PAGE}&altcha` } }),
  call('Binance', 'binance', { args: [PAGE, 'register', 'cb4bfa7023'] }),
  call('Yidun', 'yidun', { args: [SITE_KEY, PAGE] }),
  call('Hunt', 'hunt', { args: [PAGE, 'https://example.com/captcha/solver.js'] }),
  call('Alibaba', 'alibaba', { args: [PAGE, '7tt5spe2', '1ebn73'] }),
  call('TSPD', 'tspd', { args: [PAGE, 'TS386a400d029=082', 'PCFET0NUWVBFIGh0bWw+', proxy] }),
  call('Basilisk', 'basilisk', { args: [PAGE, SITE_KEY] }),
  call('Imperva', 'imperva', { args: [PAGE, '/Built-with-the-For', 'incap_ses_1=1', proxy] }),
  call('drag and drop', 'drag_and_drop', { args: [IMAGE, [IMAGE, IMAGE]] }),
];

const npm = (name: string, method: string, params: Record<string, unknown>, rest: Rest = {}): Call =>
  call(name, method, { args: [params], ...rest });
const page = { pageurl: PAGE };
const recaptcha = { ...page, googlekey: SITE_KEY };
const proxied = { proxy: PROXY_ADDRESS, proxytype: 'HTTP' };
const sitekeyed = { ...page, sitekey: SITE_KEY };

/** `@2captcha/captcha-solver`: all it has. */
export const NPM: readonly Call[] = [
  npm(
    'Image',
    'imageCaptcha',
    {
      body: IMAGE,
      numeric: 3,
      min_len: 4,
      max_len: 6,
      phrase: 1,
      regsense: 1,
      lang: 'en',
      textinstructions: instructions,
    },
    { spec: image },
  ),
  npm('Grid', 'grid', { body: IMAGE, rows: 3, cols: 3, textinstructions: 'bicycles' }, { spec: grid }),
  npm('reCAPTCHA v2', 'recaptcha', { ...recaptcha, cookies: COOKIES, userAgent: AGENT }, { spec: v2 }),
  npm(
    'reCAPTCHA v2 Enterprise',
    'recaptcha',
    { ...recaptcha, enterprise: 1, action: 'login', cookies: COOKIES, userAgent: AGENT },
    { spec: v2Enterprise },
  ),
  npm('reCAPTCHA v3', 'recaptcha', { ...recaptcha, version: 'v3', action: 'login', min_score: 0.3 }, { spec: v3 }),
  npm('Turnstile', 'cloudflareTurnstile', sitekeyed, { spec: turnstile }),
  npm('GeeTest v3', 'geetest', { ...page, gt: GT, challenge: CHALLENGE }, { spec: geeTestV3 }),
  npm('GeeTest v4', 'geetestV4', { ...page, captcha_id: GT }, { spec: geeTestV4 }),
  npm('CaptchaFox', 'captchaFox', { ...sitekeyed, userAgent: AGENT, ...proxied }, { spec: fox, proxy: true }),
  npm('Friendly Captcha', 'friendlyCaptcha', sitekeyed, { spec: friendly }),
  npm('Lemin', 'lemin', { ...page, captcha_id: 'CROPPED_1', div_id: 'lemin-cropped-captcha' }, { spec: lemin }),
  npm('hCaptcha', 'hcaptcha', sitekeyed),
  npm('Yandex', 'yandexSmart', sitekeyed),
  npm('FunCaptcha', 'funCaptcha', { ...page, publickey: SITE_KEY }),
  npm('Amazon WAF', 'amazonWaf', { ...sitekeyed, iv: 'iv', context: 'context' }),
  npm('coordinates', 'coordinates', { body: IMAGE, textinstructions: 'click the cat' }),
  npm('Capy', 'capyPuzzle', { ...page, captchakey: SITE_KEY }),
  npm('DataDome', 'dataDome', {
    ...page,
    captcha_url: 'https://geo.captcha-delivery.com/',
    userAgent: AGENT,
    ...proxied,
  }),
  npm('CyberSiARA', 'cyberSiARA', { ...page, master_url_id: 'OXR2LVNv', userAgent: AGENT }),
  npm('MTCaptcha', 'mtCaptcha', sitekeyed),
  npm('Cutcaptcha', 'cutCaptcha', { ...page, misery_key: 'misery', api_key: 'SAb83IIB' }),
  npm('bounding box', 'boundingBox', { image: IMAGE, textinstructions: 'the cat' }),
  npm('question in words', 'text', { textcaptcha: 'three and four?' }),
  npm('canvas', 'canvas', { body: IMAGE, textinstructions: 'draw around the cat' }),
  npm('rotate', 'rotate', { body: IMAGE, angle: 40 }),
  npm('KeyCaptcha', 'keyCaptcha', {
    ...page,
    userId: '10',
    sessionId: 's',
    webServerSign: 'w1',
    webServerSign2: 'w2',
  }),
  npm('Tencent', 'tencent', { ...page, appId: '190014885' }),
  npm('ATB', 'atbCaptcha', { ...page, appId: 'app', apiServer: 'https://cap.aisecurius.com' }),
  npm('Prosopo', 'prosopo', sitekeyed),
  npm('VK image', 'vkimage', { body: IMAGE, steps: '[5,19,4]' }),
  npm('VK', 'vkcaptcha', { redirect_uri: 'https://id.vk.com/not_robot_captcha', userAgent: AGENT, ...proxied }),
  npm('Temu', 'temu', { body: IMAGE, part1: IMAGE, part2: IMAGE, part3: IMAGE }),
  npm('Altcha', 'altcha', { ...page, challengeUrl: `${PAGE}&altcha` }),
  npm('Binance', 'binance', { ...sitekeyed, validateId: 'cb4bfa7023' }),
  npm('audio', 'audio', { body: IMAGE, lang: 'en' }),
  npm('Yidun', 'yidun', sitekeyed),
  npm('Alibaba', 'alibaba', { ...page, sceneId: '7tt5spe2', prefix: '1ebn73' }),
  npm('TSPD', 'tspd', { ...page, tspdCookie: 'TS386a400d029=082', htmlPageBase64: 'PCFET0NUWVBFIGh0bWw+', ...proxied }),
  npm('Basilisk', 'basilisk', sitekeyed),
  npm('Hunt', 'hunt', { ...page, apiGetLib: 'https://example.com/captcha/solver.js' }),
  npm('drag and drop', 'dragAndDrop', { body: IMAGE, images: [IMAGE] }),
];
