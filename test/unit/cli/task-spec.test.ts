/** From flags to the spec of a task. */
import { describe, expect, test } from 'vitest';
import { specOf } from '../../../src/cli/task-spec.ts';

const PAGE = 'https://a.example/login';
const TURNSTILE = { 'site-key': '0x4A', 'page-url': PAGE };
const wrong = (...args: Parameters<typeof specOf>): string => {
  const built = specOf(...args);
  return built.ok ? 'nothing' : built.wrong;
};

describe('a spec', () => {
  test('has the member that the type names, with what was given and no more', () => {
    const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4A', pageURL: PAGE } };
    expect(specOf('Turnstile', TURNSTILE, [])).toEqual({ ok: true, spec: { captcha } });
  });

  test('takes numbers, switches, and both ends of a switch', () => {
    const image = { body: 'aGk=', numeric: '1', phrase: true, math: false };
    expect(specOf('Image', image, [])).toHaveProperty('spec.captcha.image', {
      body: 'aGk=',
      numeric: 1,
      phrase: true,
      math: false,
    });
    expect(wrong('Image', { body: 'aGk=', numeric: 'one' }, [])).toBe('--numeric takes a whole number');
  });

  test('takes what stands beside the captcha, a Secret and its key as name/key', () => {
    const values = {
      ...TURNSTILE,
      'backoff-limit': '2',
      'api-key-secret-ref': 'captchaai/api-key',
      secret: 'login-solution',
    };
    const spec = {
      backoffLimit: 2,
      apiKeySecretRef: { name: 'captchaai', key: 'api-key' },
      solutionSecretName: 'login-solution',
    };
    expect(specOf('Turnstile', values, [])).toHaveProperty('spec', expect.objectContaining(spec));
    expect(wrong('Turnstile', { ...TURNSTILE, 'api-key-secret-ref': 'captchaai' }, [])).toBe(
      '--api-key-secret-ref takes name/key',
    );
  });

  test('takes a proxy in parts', () => {
    const values = { 'page-url': PAGE, 'proxy-type': 'HTTP', 'proxy-secret-ref': 'proxy/address' };
    const proxy = { type: 'HTTP', secretRef: { name: 'proxy', key: 'address' } };
    expect(specOf('CloudflareChallenge', values, [])).toHaveProperty('spec.proxy', proxy);
  });

  test('takes parameters of a method of its own, and values that hold equals signs', () => {
    const values = { method: 'new', parameters: ['a=1', 'b=x=y', 'c='] };
    const custom = { method: 'new', parameters: { a: '1', b: 'x=y', c: '' } };
    expect(specOf('Custom', values, [])).toHaveProperty('spec.captcha.custom', custom);
    expect(wrong('Custom', { method: 'new', parameters: ['a'] }, [])).toBe('--parameters takes name=value');
  });

  test('takes images from files: one as the body, nine as a list', () => {
    expect(specOf('Image', {}, ['aGk='])).toHaveProperty('spec.captcha.image', { body: 'aGk=' });
    const nine = Array.from({ length: 9 }, (_, index) => `tile${index}`);
    expect(specOf('BLS', { instructions: '5' }, nine)).toHaveProperty('spec.captcha.bls', {
      instructions: '5',
      images: nine,
    });
    expect(wrong('Image', {}, ['a', 'b'])).toBe('Image takes one --file');
    expect(wrong('Image', { body: 'a' }, ['b'])).toBe('--file and --body say the same');
  });

  test('names everything that is missing', () => {
    expect(wrong('Turnstile', {}, [])).toBe('Turnstile needs --site-key and --page-url');
    expect(wrong('BLS', {}, [])).toBe('BLS needs --instructions and --images');
  });
});
