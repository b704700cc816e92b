/** Every captcha type as the provider's form fields. */
import { describe, expect, test } from 'vitest';
import type { Captcha } from '../../../src/api/captchatask.ts';
import { encodeSubmission, type SubmitRequest } from '../../../src/provider/encode.ts';

const pageURL = 'https://example.com/login?a=1&b=2';
const visitor = { cookies: 'a:1;b:2', userAgent: 'UA' };

function fieldsOf(spec: Captcha, more: Partial<SubmitRequest> = {}): Record<string, string> {
  const body = encodeSubmission({ apiKey: 'KEY', spec, ...more });
  const { key, json, ...fields } = Object.fromEntries(new URLSearchParams(body));
  expect({ key, json }).toEqual({ key: 'KEY', json: '1' });
  return fields;
}

describe('the fields of', () => {
  test('RecaptchaV2', () => {
    const all = {
      siteKey: 'K',
      pageURL,
      invisible: true,
      enterprise: true,
      action: 'login',
      dataS: 's',
      domain: 'recaptcha.net',
      cookies: 'a:b',
      userAgent: 'UA',
    };
    expect(fieldsOf({ type: 'RecaptchaV2', recaptchaV2: all })).toEqual({
      method: 'userrecaptcha',
      googlekey: 'K',
      pageurl: pageURL,
      invisible: '1',
      enterprise: '1',
      action: 'login',
      'data-s': 's',
      domain: 'recaptcha.net',
      cookies: 'a:b',
      userAgent: 'UA',
    });
  });

  test('RecaptchaV3', () => {
    const all = { siteKey: 'K', pageURL, action: 'login', minScore: '0.3', enterprise: true, ...visitor };
    expect(fieldsOf({ type: 'RecaptchaV3', recaptchaV3: all })).toEqual({
      method: 'userrecaptcha',
      version: 'v3',
      googlekey: 'K',
      pageurl: pageURL,
      action: 'login',
      min_score: '0.3',
      enterprise: '1',
      ...visitor,
    });
  });

  test('Turnstile', () => {
    const all = { siteKey: 'K', pageURL, action: 'a', data: 'd', pageData: 'p', ...visitor };
    expect(fieldsOf({ type: 'Turnstile', turnstile: all })).toEqual({
      method: 'turnstile',
      sitekey: 'K',
      pageurl: pageURL,
      action: 'a',
      data: 'd',
      pagedata: 'p',
      ...visitor,
    });
  });

  test('CloudflareChallenge, with its proxy', () => {
    const spec: Captcha = { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL, ...visitor } };
    expect(fieldsOf(spec, { proxy: { type: 'HTTP', address: 'u:p@198.51.100.1:3128' } })).toEqual({
      method: 'cloudflare_challenge',
      pageurl: pageURL,
      ...visitor,
      proxy: 'u:p@198.51.100.1:3128',
      proxytype: 'HTTP',
    });
  });

  test('GeeTestV3 and GeeTestV4', () => {
    const v3 = { gt: 'g', challenge: 'c', pageURL, apiServer: 'api.geetest.com', ...visitor };
    expect(fieldsOf({ type: 'GeeTestV3', geeTestV3: v3 })).toEqual({
      method: 'geetest',
      gt: 'g',
      challenge: 'c',
      pageurl: pageURL,
      api_server: 'api.geetest.com',
      ...visitor,
    });
    expect(fieldsOf({ type: 'GeeTestV4', geeTestV4: { captchaID: 'i', pageURL } })).toEqual({
      method: 'geetest',
      version: '4',
      gt: 'i',
      pageurl: pageURL,
    });
  });

  test('Image', () => {
    const all = {
      body: 'aGVsbG8=',
      numeric: 0,
      minLength: 0,
      maxLength: 6,
      phrase: true,
      caseSensitive: true,
      math: true,
      language: 'en',
      instructions: 'the red letters',
    };
    expect(fieldsOf({ type: 'Image', image: all })).toEqual({
      method: 'base64',
      body: 'aGVsbG8=',
      numeric: '0',
      min_len: '0',
      max_len: '6',
      phrase: '1',
      regsense: '1',
      calc: '1',
      lang: 'en',
      textinstructions: 'the red letters',
    });
  });

  test('Grid, under the names of the provider and those of its family', () => {
    const all = { body: 'aGVsbG8=', rows: 4, columns: 4, instructions: 'buses', previousID: '7' };
    expect(fieldsOf({ type: 'Grid', grid: all })).toEqual({
      method: 'base64',
      body: 'aGVsbG8=',
      img_type: 'recaptcha',
      grid_size: '4x4',
      instructions: 'buses',
      recaptcha: '1',
      recaptcharows: '4',
      recaptchacols: '4',
      textinstructions: 'buses',
      previousID: '7',
    });
  });

  test('Grid of the first version, which may lack what is required now', () => {
    expect(fieldsOf({ type: 'Grid', grid: { body: 'aGVsbG8=', rows: 3 } })).toEqual({
      method: 'base64',
      body: 'aGVsbG8=',
      img_type: 'recaptcha',
      recaptcha: '1',
      recaptcharows: '3',
    });
  });

  test('BLS, its tiles as data URIs', () => {
    const images = [
      'iVBORw0',
      '/9j/4AA',
      'R0lGODl',
      'data:image/webp;base64,UklG',
      ...Array<string>(5).fill('iVBORw0'),
    ];
    const fields = fieldsOf({ type: 'BLS', bls: { instructions: '664', images } });
    expect(fields).toMatchObject({
      method: 'bls',
      instructions: '664',
      image_base64_1: 'data:image/png;base64,iVBORw0',
      image_base64_2: 'data:image/jpeg;base64,/9j/4AA',
      image_base64_3: 'data:image/gif;base64,R0lGODl',
      image_base64_4: 'data:image/webp;base64,UklG',
      image_base64_9: 'data:image/png;base64,iVBORw0',
    });
    expect(Object.keys(fields)).toHaveLength(11);
  });

  test('CaptchaFox, with its proxy', () => {
    const spec: Captcha = { type: 'CaptchaFox', captchaFox: { siteKey: 'sk_1', pageURL, ...visitor } };
    expect(fieldsOf(spec, { proxy: { type: 'HTTPS', address: '198.51.100.1:3128' } })).toEqual({
      method: 'captchafox',
      sitekey: 'sk_1',
      pageurl: pageURL,
      ...visitor,
      proxy: '198.51.100.1:3128',
      proxytype: 'HTTPS',
    });
  });

  test('FriendlyCaptcha', () => {
    const friendlyCaptcha = { siteKey: 'FC', pageURL, version: 'v2' } as const;
    expect(fieldsOf({ type: 'FriendlyCaptcha', friendlyCaptcha })).toEqual({
      method: 'friendly_captcha',
      sitekey: 'FC',
      pageurl: pageURL,
      version: 'v2',
    });
  });

  test('Lemin, whose server has a name in another style', () => {
    const lemin = { captchaID: 'CROPPED_1', divID: 'lemin-cropped-captcha', pageURL, apiServer: 'api.leminnow.com' };
    expect(fieldsOf({ type: 'Lemin', lemin })).toEqual({
      method: 'lemin',
      captcha_id: 'CROPPED_1',
      div_id: 'lemin-cropped-captcha',
      pageurl: pageURL,
      apiServer: 'api.leminnow.com',
    });
  });

  test('Custom, whose parameters never replace what belongs to the operator', () => {
    const parameters = {
      sitekey: 'K',
      KEY: 'stolen',
      Pingback: 'https://evil',
      json: '0',
      Method: 'x',
      ProxyType: 'y',
    };
    expect(fieldsOf({ type: 'Custom', custom: { method: 'hcaptcha', parameters } })).toEqual({
      method: 'hcaptcha',
      sitekey: 'K',
    });
    expect(fieldsOf({ type: 'Custom', custom: { method: 'hcaptcha' } })).toEqual({ method: 'hcaptcha' });
  });
});

describe('a submission', () => {
  test('leaves out what is false, empty or not set', () => {
    const spec: Captcha = {
      type: 'RecaptchaV2',
      recaptchaV2: { siteKey: 'K', pageURL, invisible: false, enterprise: false, action: '' },
    };
    expect(fieldsOf(spec)).toEqual({ method: 'userrecaptcha', googlekey: 'K', pageurl: pageURL });
  });

  test('names the callback URL', () => {
    const pingback = 'https://callbacks.example.com/v1/callback/tok.en_-~';
    expect(fieldsOf({ type: 'Custom', custom: { method: 'm' } }, { pingback })).toEqual({ method: 'm', pingback });
  });

  test('sends an image as bare base64, whatever form it came in', () => {
    const spec: Captcha = { type: 'Image', image: { bodyFrom: { secretKeyRef: { name: 's', key: 'k' } } } };
    expect(fieldsOf(spec, { image: new Uint8Array([0, 255, 254]) })['body']).toBe('AP/+');
    expect(fieldsOf(spec, { image: 'AP/+' })['body']).toBe('AP/+');
    expect(fieldsOf(spec, { image: 'data:image/png;base64,AP/+' })['body']).toBe('AP/+');
    expect(fieldsOf({ type: 'Image', image: { body: 'AP\n/+\n' } })['body']).toBe('AP/+');
  });

  test('has no encoding without its union member or its image', () => {
    expect(encodeSubmission({ apiKey: 'KEY', spec: { type: 'Turnstile' } })).toBeUndefined();
    expect(encodeSubmission({ apiKey: 'KEY', spec: { type: 'Image', image: {} } })).toBeUndefined();
    expect(encodeSubmission({ apiKey: 'KEY', spec: { type: 'Grid', grid: {} } })).toBeUndefined();
    expect(encodeSubmission({ apiKey: 'KEY', spec: { type: 'Nonsense' } as never })).toBeUndefined();
  });
});
