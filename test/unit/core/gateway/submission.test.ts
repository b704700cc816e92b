/** What clients submit, as a task; and that it is the inverse of what the operator sends. */
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Captcha } from '../../../../src/api/captchatask.ts';
import { CAPTCHA_TYPES, type CaptchaType } from '../../../../src/api/names.ts';
import {
  CALL_PARAMETERS,
  readSubmission,
  refusalOf,
  type Submission,
} from '../../../../src/core/gateway/submission.ts';
import { METHODS, type Parameter } from '../../../../src/core/methods.ts';
import { encodeSubmission } from '../../../../src/provider/encode.ts';
import { NPM, OFFICIAL, SOLVECAPTCHA, TWOCAPTCHA } from '../../../clients/calls.ts';
import { recordedBodies } from '../../../clients/record.ts';
import { PROXY_ADDRESS } from '../../../clients/values.ts';

const read = (fields: Record<string, string>): Submission => readSubmission(new Map(Object.entries(fields)));
const sent = (spec: Captcha, proxy?: { type: string; address: string }): string =>
  encodeSubmission({ apiKey: 'KEY', spec, ...(proxy === undefined ? {} : { proxy }) }) ?? '';
const readForm = (form: string): Submission => readSubmission(new Map(new URLSearchParams(form)));

const word = fc.stringMatching(/^[!-~]{1,20}$/);
const base64 = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('base64'));
const VALUES: Readonly<Record<Parameter['kind'], fc.Arbitrary<unknown>>> = {
  text: word,
  // What is not set and what is false are sent alike: the task that comes back has neither.
  flag: fc.constant(true),
  count: fc.integer({ min: 0, max: 20 }),
  image: base64,
  images: fc.array(
    base64.map((text) => `data:image/png;base64,${text}`),
    { minLength: 9, maxLength: 9 },
  ),
  size: fc.constantFrom(3, 4),
};

/** Any task of a type, from the rows of the table: what is required, and any choice of the rest. */
function taskOf(type: CaptchaType): fc.Arbitrary<Captcha> {
  if (type === 'Custom') {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,12}$/);
    // A method that the table does not have; and names that are the call's are not the captcha's.
    const method = name.map((text) => `x-${text}`);
    const parameters = fc.dictionary(
      name.map((text) => `p_${text}`),
      word,
      { maxKeys: 8 },
    );
    return fc
      .record({ method, parameters })
      .map((custom) => ({ type, custom: { ...custom, parameters: { ...custom.parameters } } }));
  }
  const row = METHODS.find((row) => row.type === type);
  if (row === undefined) throw new Error(`no row for ${type}`);
  const fields = Object.fromEntries(
    row.parameters.map(({ field, kind, required }) => [
      field,
      required === true ? VALUES[kind] : fc.option(VALUES[kind], { nil: undefined }),
    ]),
  );
  return fc.record(fields).map((member) => {
    const set = Object.fromEntries(Object.entries(member).filter(([, value]) => value !== undefined));
    // A grid is square, and has both sides or none.
    if (type === 'Grid') Object.assign(set, set['rows'] === undefined ? {} : { columns: set['rows'] });
    if (type === 'Grid' && set['rows'] === undefined) delete set['columns'];
    return { type, [row.member]: set };
  });
}

describe('a task that was sent by the operator reads as the same task', () => {
  test.each(CAPTCHA_TYPES)('%s', (type) => {
    fc.assert(
      fc.property(taskOf(type), fc.boolean(), (captcha, hasProxy) => {
        // A version of Friendly Captcha or a domain may be any text here: values are the schema's to judge.
        const proxy = { type: 'SOCKS5', address: PROXY_ADDRESS } as const;
        const back = readForm(sent(captcha, hasProxy ? proxy : undefined));
        expect(back).toEqual({ ok: true, captcha, ...(hasProxy ? { proxy } : {}) });
      }),
    );
  });
});

describe('what a client was recorded to send reads as the task that it means', () => {
  const clients = {
    captchaai: OFFICIAL,
    '2captcha-python': TWOCAPTCHA(''),
    'solvecaptcha-python': SOLVECAPTCHA(''),
    '@2captcha/captcha-solver': NPM,
  };
  const bodies = recordedBodies();
  const cases = Object.entries(clients).flatMap(([client, calls]) =>
    calls.flatMap(({ name, spec, proxy }) => (spec === undefined ? [] : [{ client, name, spec, proxy }])),
  );
  test.each(cases)('$client: $name', ({ client, name, spec, proxy }) => {
    const fields = bodies[client as keyof typeof bodies][name]?.fields ?? {};
    const expected = { ok: true, captcha: spec, ...(proxy ? { proxy: { type: 'HTTP', address: PROXY_ADDRESS } } : {}) };
    expect(read(fields)).toEqual(expected);
  });
});

const V2 = { method: 'userrecaptcha', googlekey: 'K', pageurl: 'https://example.com' };
const IMAGE = { method: 'base64', body: 'aGVsbG8=' };

describe('bad input gets the word of the family, and a text that names the parameter', () => {
  test.each([
    ['no method', {}, 'ERROR_BAD_PARAMETERS', 'method: missing'],
    ['no page', { ...V2, pageurl: '' }, 'ERROR_PAGEURL', 'pageurl: missing'],
    ['no key of reCAPTCHA', { ...V2, googlekey: '' }, 'ERROR_GOOGLEKEY', 'googlekey: missing'],
    ['no key of a site', { method: 'turnstile', pageurl: 'https://a' }, 'ERROR_SITEKEY', 'sitekey: missing'],
    ['no image', { method: 'base64' }, 'ERROR_EMPTY_CAPTCHA', 'body: missing'],
    [
      'a tile too few',
      { method: 'bls', instructions: '1', image_base64_1: 'aa' },
      'ERROR_BAD_PARAMETERS',
      'image_base64_2: missing',
    ],
    [
      'a parameter of another type',
      { ...V2, min_score: '0.3' },
      'ERROR_BAD_PARAMETERS',
      'min_score: not known for RecaptchaV2',
    ],
    [
      'a version that does not exist',
      { ...V2, version: 'v9' },
      'ERROR_BAD_PARAMETERS',
      'version: a value that is not known for RecaptchaV2',
    ],
    [
      'a flag that is none',
      { ...V2, invisible: 'yes' },
      'ERROR_BAD_PARAMETERS',
      'invisible: not of the form that it must have',
    ],
    [
      'a number that is none',
      { ...IMAGE, numeric: 'x' },
      'ERROR_BAD_PARAMETERS',
      'numeric: not of the form that it must have',
    ],
    [
      'two names that disagree',
      { ...IMAGE, regsense: '1', caseSensitive: '0' },
      'ERROR_BAD_PARAMETERS',
      'regsense: given twice, with different values',
    ],
    [
      'a grid of two sizes',
      { ...IMAGE, img_type: 'recaptcha', grid_size: '3x3', recaptcharows: '4' },
      'ERROR_BAD_PARAMETERS',
      'recaptcharows: given twice, with different values',
    ],
    [
      'a callback',
      { ...V2, pingback: 'https://a' },
      'ERROR_BAD_PARAMETERS',
      'pingback: not supported; poll res.php, perhaps with wait=',
    ],
    [
      'a proxy of no type',
      { ...V2, proxy: 'a:1' },
      'ERROR_BAD_PARAMETERS',
      'proxytype: missing, although there is a proxy',
    ],
    [
      'a type of no proxy',
      { ...V2, proxytype: 'HTTP' },
      'ERROR_BAD_PARAMETERS',
      'proxy: missing, although there is a proxytype',
    ],
    [
      'a name that no task can hold',
      { method: 'hcaptcha', Proxy: 'a:1' },
      'ERROR_BAD_PARAMETERS',
      'a parameter has a name that a task cannot hold',
    ],
    [
      'an image that Custom cannot hold',
      { ...IMAGE, canvas: '1', body: 'a'.repeat(16_385) },
      'ERROR_TOO_BIG_CAPTCHA_FILESIZE',
      'body: longer than 16384 characters, which this method may have here',
    ],
  ])('%s', (_what, fields, word, text) => {
    expect(read(fields as Record<string, string>)).toEqual({ ok: false, word, text });
  });

  test('never repeats a value', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('version', 'invisible', 'proxy', 'pingback', 'min_score'),
          fc.stringMatching(/^secret[a-z]{8}$/),
        ),
        (fields) => {
          const found = read({ ...V2, ...fields });
          if (!found.ok) expect(found.text).not.toContain('secret');
        },
      ),
    );
  });
});

describe('a method that the table does not have', () => {
  test('becomes Custom with every parameter', () => {
    const fields = { method: 'hcaptcha', sitekey: 'K', pageurl: 'https://a', soft_id: '1', json: '1', key: 'x' };
    const custom = { method: 'hcaptcha', parameters: { sitekey: 'K', pageurl: 'https://a' } };
    expect(read(fields)).toEqual({ ok: true, captcha: { type: 'Custom', custom } });
  });

  test('is also what the family asks for by its image method with a parameter of its own', () => {
    const fields = { ...IMAGE, method: 'post', coordinatescaptcha: '1' };
    const custom = { method: 'base64', parameters: { body: 'aGVsbG8=', coordinatescaptcha: '1' } };
    expect(read(fields)).toEqual({ ok: true, captcha: { type: 'Custom', custom } });
    const question = { method: 'post', parameters: { textcaptcha: 'three and four?' } };
    expect(read({ method: 'post', textcaptcha: 'three and four?' })).toEqual({
      ok: true,
      captcha: { type: 'Custom', custom: question },
    });
  });
});

test.each([...CALL_PARAMETERS, 'proxytype', 'pingback'])('docs/gateway.md says what becomes of %s', (name) => {
  const page = readFileSync(new URL('../../../../docs/gateway.md', import.meta.url), 'utf8');
  expect(page.split('\n').some((line) => line.startsWith('| ') && line.split(' | ')[0]?.includes(`\`${name}\``))).toBe(
    true,
  );
});

describe('an image', () => {
  test('loses the head of a data URI and its line breaks, and finds its plus signs again', () => {
    const found = read({ method: 'base64', body: 'data:image/png;base64,ab cd\r\nef==' });
    expect(found).toEqual({ ok: true, captcha: { type: 'Image', image: { body: 'ab+cdef==' } } });
  });
});

describe('a refusal of the API server', () => {
  test.each([
    ['spec.captcha.recaptchaV2.pageURL: Invalid value: in body should match', 'ERROR_PAGEURL'],
    ['spec.captcha.recaptchaV3.siteKey: Too long: may not be more than 256 bytes', 'ERROR_GOOGLEKEY'],
    ['spec.captcha.turnstile.siteKey: Invalid value', 'ERROR_SITEKEY'],
    ['spec.captcha.image.body: Too long: may not be more than 200000 bytes', 'ERROR_TOO_BIG_CAPTCHA_FILESIZE'],
    ['spec.captcha.bls.images[3]: Too long: may not be more than 20000 bytes', 'ERROR_TOO_BIG_CAPTCHA_FILESIZE'],
    ['spec.captcha.image.body: Invalid value: should match', 'ERROR_UPLOAD'],
    ['spec.proxy: Required value: spec.proxy is required', 'ERROR_BAD_PARAMETERS'],
  ])('%s', (message, word) => {
    expect(refusalOf(message)).toEqual({ ok: false, word, text: message });
  });
});
