/** The provider's many shapes of a result become one text per type. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Captcha } from '../../../src/api/captchatask.ts';
import { CAPTCHA_TYPES, type CaptchaType } from '../../../src/api/names.ts';
import * as solution from '../../../src/core/solution.ts';
import { firstPollDelayMs, isHint, lifetimeSeconds, plusIsSpace } from '../../../src/core/solution.ts';
import { anyText } from '../../support/any-text.ts';

type Read = ReturnType<typeof solution.solutionOf>;
const solutionOf = (type: CaptchaType, answer: unknown, userAgent?: unknown): Read =>
  solution.solutionOf({ type }, answer, userAgent);
const UNREADABLE = { kind: 'unreadable' };
const grid = (rows: number, columns: number): Pick<Captcha, 'type' | 'grid'> => ({
  type: 'Grid',
  grid: { rows, columns },
});

const solved = (value: string, userAgent?: string): object =>
  userAgent === undefined ? { kind: 'solved', value } : { kind: 'solved', value, userAgent };

describe('a token', () => {
  test.each(['RecaptchaV2', 'RecaptchaV3', 'Turnstile', 'CaptchaFox', 'FriendlyCaptcha', 'Lemin', 'Custom'] as const)(
    'of %s is stored as received',
    (type) => {
      expect(solutionOf(type, '03AGd-_+/=|x')).toEqual(solved('03AGd-_+/=|x'));
    },
  );
  test('is never judged by its length', () => {
    expect(solutionOf('RecaptchaV3', 'x')).toEqual(solved('x'));
    expect(solutionOf('Turnstile', 'x'.repeat(20_000))).toEqual(solved('x'.repeat(20_000)));
  });
  test.each(['RecaptchaV2', 'Turnstile', 'CaptchaFox', 'FriendlyCaptcha', 'Image'] as const)(
    'or text of %s is not in an object or a list',
    (type) => {
      for (const answer of [{}, { token: 'x' }, [], ['x']]) expect(solutionOf(type, answer)).toEqual(UNREADABLE);
    },
  );
  test('of Custom may be whatever is not empty', () => {
    expect(solutionOf('Custom', { a: 1 })).toEqual(solved('{"a":1}'));
    expect(solutionOf('Custom', [])).toEqual(solved('[]'));
    expect(solutionOf('Custom', {})).toEqual(UNREADABLE);
  });
  test('carries the user agent that came with it', () => {
    expect(solutionOf('CaptchaFox', 'fox', 'Mozilla/5.0')).toEqual(solved('fox', 'Mozilla/5.0'));
    expect(solutionOf('Custom', 'fox', 'Mozilla/5.0')).toEqual(solved('fox', 'Mozilla/5.0'));
  });
});

describe('a recognised text', () => {
  test('stays text when it looks like a number', () => {
    expect(solutionOf('Image', '0042')).toEqual(solved('0042'));
    expect(solutionOf('Image', 42)).toEqual(solved('42'));
  });
  test('keeps its inner spaces', () => {
    expect(solutionOf('Image', 'two words')).toEqual(solved('two words'));
  });
});

describe('cells', () => {
  test.each([
    ['a list', [1, 4, 7]],
    ['a list of texts', ['1', '4', '7']],
    ['JSON text', '[1, 4, 7]'],
    ['the click form', 'click:1/4/7'],
    ['numbers with commas', '1,4,7'],
  ])('of grid and BLS from %s are one compact list', (_shape, request) => {
    expect(solutionOf('Grid', request)).toEqual(solved('[1,4,7]'));
    expect(solutionOf('BLS', request)).toEqual(solved('[1,4,7]'));
  });
  test('may be none', () => {
    expect(solutionOf('Grid', [])).toEqual(solved('[]'));
  });
  test('may be none, in a word', () => {
    expect(solutionOf('Grid', 'No_matching_images')).toEqual(solved('[]'));
  });
  test.each([
    ['a recognised text', 'ABC123'],
    ['a text of digits', '1234'],
    ['a sentence', 'no buses here'],
    ['a list of words', ['bus', 'car']],
    ['a list with something else in it', [1, null]],
    ['a list in a list', [[1, 4]]],
    ['a fraction', [1.5]],
    ['a number below zero', [-1]],
    ['an object', { cells: [1, 4] }],
    ['an empty object', {}],
  ])('are not in %s', (_what, answer) => {
    expect(solutionOf('Grid', answer)).toEqual(UNREADABLE);
    expect(solutionOf('BLS', answer)).toEqual(UNREADABLE);
  });
  test('outside the picture are none', () => {
    expect(solution.solutionOf(grid(3, 3), [9])).toEqual(solved('[9]'));
    expect(solution.solutionOf(grid(3, 3), [10])).toEqual(UNREADABLE);
    expect(solution.solutionOf(grid(4, 4), '[16]')).toEqual(solved('[16]'));
    expect(solution.solutionOf(grid(4, 4), 'click:17')).toEqual(UNREADABLE);
    expect(solution.solutionOf({ type: 'Grid', grid: {} }, [400])).toEqual(solved('[400]'));
    expect(solution.solutionOf({ type: 'Grid', grid: {} }, [401])).toEqual(UNREADABLE);
    expect(solutionOf('BLS', [9])).toEqual(solved('[9]'));
    expect(solutionOf('BLS', [10])).toEqual(UNREADABLE);
  });
});

describe('GeeTest', () => {
  const v3 = '{"challenge":"c","validate":"v","seccode":"v|jordan"}';
  test.each([
    ['an object', { seccode: 'v|jordan', validate: 'v', challenge: 'c' }],
    ['prefixed names', { geetest_challenge: 'c', geetest_validate: 'v', geetest_seccode: 'v|jordan' }],
    ['JSON text', '{"geetest_seccode":"v|jordan","geetest_validate":"v","geetest_challenge":"c"}'],
    ['the plain form', 'challenge:c,validate:v,seccode:v|jordan'],
  ])('v3 from %s is one compact object', (_shape, request) => {
    expect(solutionOf('GeeTestV3', request)).toEqual(solved(v3));
  });

  test('v4 keeps its five fields in a fixed order, and what else came', () => {
    const fields = { extra: 1, captcha_output: 'o', gen_time: '17', pass_token: 'p', lot_number: 'l', captcha_id: 'i' };
    const value = '{"captcha_id":"i","lot_number":"l","pass_token":"p","gen_time":"17","captcha_output":"o","extra":1}';
    expect(solutionOf('GeeTestV4', fields)).toEqual(solved(value));
    expect(solutionOf('GeeTestV4', JSON.stringify(fields))).toEqual(solved(value));
  });

  test('with a field missing is kept as received', () => {
    expect(solutionOf('GeeTestV3', { challenge: 'c' })).toEqual(solved('{"challenge":"c"}'));
  });
  test.each([
    ['a text', 'whatever'],
    ['a list', [1]],
    ['an empty object', {}],
    ['another object', { x: 1 }],
  ])('is not in %s', (_what, answer) => {
    expect(solutionOf('GeeTestV3', answer)).toEqual(UNREADABLE);
    expect(solutionOf('GeeTestV4', answer)).toEqual(UNREADABLE);
  });
});

describe('the answer of Lemin', () => {
  const value = '{"answer":"0xaxakx0xaxaakx","challenge_uuid":"e0348984"}';
  test.each([
    ['an object', { challenge_uuid: 'e0348984', answer: '0xaxakx0xaxaakx' }],
    ['JSON text', ' {"challenge_uuid": "e0348984", "answer": "0xaxakx0xaxaakx"}'],
  ])('from %s is one compact object', (_shape, answer) => {
    expect(solutionOf('Lemin', answer)).toEqual(solved(value));
  });
  test.each([
    ['an empty object', {}],
    ['JSON of something else', '{"x":1}'],
    ['a list', [1]],
    ['JSON of a list', '[1]'],
  ])('is not in %s', (_shape, answer) => {
    expect(solutionOf('Lemin', answer)).toEqual(UNREADABLE);
  });
});

describe('a clearance', () => {
  const agent = 'Mozilla/5.0 (X11; Linux x86_64)';
  test.each([
    ['the cookie with its agent beside it', 'abc', agent],
    ['the cookie by name', 'cf_clearance=abc', agent],
    ['the plain form', `cf_clearance=abc;user_agent=${agent}`, undefined],
    ['the plain form with a space', `cf_clearance=abc; userAgent=${agent}`, undefined],
    ['JSON text', JSON.stringify({ cookies: { cf_clearance: 'abc' }, userAgent: agent }), undefined],
    ['an object', { cookies: { cf_clearance: 'abc' }, user_agent: agent }, undefined],
    ['a flat object', { cf_clearance: 'abc' }, agent],
  ])('from %s is the cookie text and the agent it is bound to', (_shape, request, userAgent) => {
    expect(solutionOf('CloudflareChallenge', request, userAgent)).toEqual(solved('abc', agent));
  });
  test('without an agent is still a result', () => {
    expect(solutionOf('CloudflareChallenge', 'abc')).toEqual(solved('abc'));
  });
  test('in a shape that nobody foresaw is kept as received', () => {
    expect(solutionOf('CloudflareChallenge', 'a=1; b=2')).toEqual(solved('a=1; b=2'));
  });
  test.each([
    ['an empty object', {}],
    ['another object', { x: 1 }],
    ['a list', ['abc']],
    ['no cookie', 'cf_clearance='],
  ])('is not in %s', (_what, answer) => {
    expect(solutionOf('CloudflareChallenge', answer, agent)).toEqual(UNREADABLE);
  });
});

describe('any result', () => {
  test('is missing when there is nothing in it', () => {
    for (const type of CAPTCHA_TYPES) {
      for (const request of [undefined, null, '', true, false]) expect(solutionOf(type, request), type).toBeUndefined();
    }
  });

  test('never throws and is never empty', () => {
    const shapes = fc.oneof(fc.jsonValue(), anyText(), fc.json());
    fc.assert(
      fc.property(fc.constantFrom(...CAPTCHA_TYPES), shapes, (type, request) => {
        const first = solutionOf(type, request);
        if (first?.kind === 'solved') expect(first.value).not.toBe('');
      }),
      { numRuns: 2_000 },
    );
  });

  test.each(['GeeTestV3', 'GeeTestV4', 'Lemin', 'Grid', 'BLS'] as const)(
    'of %s is the same text however often it is normalised',
    (type) => {
      fc.assert(
        fc.property(fc.oneof(fc.jsonValue(), fc.string()), (request) => {
          const once = solutionOf(type, request);
          if (once?.kind === 'solved') expect(solutionOf(type, once.value)).toEqual(once);
        }),
      );
    },
  );
});

describe('facts by type', () => {
  test.each([
    ['RecaptchaV2', 120],
    ['RecaptchaV3', 120],
    ['Turnstile', 300],
    ['GeeTestV3', 60],
    ['CloudflareChallenge', undefined],
    ['GeeTestV4', undefined],
    ['Image', undefined],
    ['Grid', undefined],
    ['BLS', undefined],
    ['CaptchaFox', undefined],
    ['FriendlyCaptcha', undefined],
    ['Lemin', undefined],
    ['Custom', undefined],
  ] as const)('%s lives %s seconds', (type, seconds) => {
    expect(lifetimeSeconds(type)).toBe(seconds);
  });

  test('the first poll comes after 5 to 20 s', () => {
    for (const type of CAPTCHA_TYPES) {
      expect(firstPollDelayMs(type), type).toBeGreaterThanOrEqual(5_000);
      expect(firstPollDelayMs(type), type).toBeLessThanOrEqual(20_000);
    }
  });

  test('a callback is only a hint where the result needs more than one text', () => {
    const hints = CAPTCHA_TYPES.filter((type) => isHint({ type }));
    expect(hints).toEqual(['CloudflareChallenge', 'GeeTestV3', 'GeeTestV4', 'CaptchaFox', 'Lemin', 'Custom']);
  });

  test('a callback is only a hint where the token of Enterprise is bound to a user agent', () => {
    const site = { siteKey: 'K', pageURL: 'https://example.com' };
    for (const enterprise of [true, false]) {
      expect(isHint({ type: 'RecaptchaV2', recaptchaV2: { ...site, enterprise } })).toBe(enterprise);
      expect(isHint({ type: 'RecaptchaV3', recaptchaV3: { ...site, enterprise } })).toBe(enterprise);
    }
  });

  test('a plus is a space in texts and lists, never in tokens', () => {
    expect(CAPTCHA_TYPES.filter(plusIsSpace)).toEqual(['Image', 'Grid', 'BLS']);
  });
});
