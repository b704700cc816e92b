/** Reading callbacks: what they may look like, what is refused, and that no text is changed on its way. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_SOLUTION_BYTES } from '../../../../src/api/names.ts';
import { jsonMembers } from '../../../../src/core/callback/parse.ts';
import { parseCallback } from '../../../../src/core/callback/parse.ts';
import type { CallbackFault, RawCallback } from '../../../../src/core/callback/parse.ts';
import { anyText } from '../../../support/any-text.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const get = (query: string): RawCallback => ({ method: 'GET', query });
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const post = (contentType: string | undefined, body: string, query = ''): RawCallback => ({
  method: 'POST',
  query,
  ...(contentType === undefined ? {} : { contentType }),
  body: bytes(body),
});
const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';
const someText = anyText(200);
const anyId = fc.bigInt({ min: 0n, max: 99_999_999_999_999_999_999n }).map(String);

describe('a callback keeps its text to the last byte', () => {
  test('in a percent-encoded query', () => {
    fc.assert(
      fc.property(anyId, someText, (id, code) => {
        const parsed = parseCallback(get(`id=${id}&code=${encodeURIComponent(code)}`));
        expect(parsed).toEqual({ ok: true, callback: { id, code } });
      }),
    );
  });

  test('in a form', () => {
    fc.assert(
      fc.property(anyId, someText, (id, code) => {
        const parsed = parseCallback(post(FORM, new URLSearchParams({ id, code }).toString()));
        expect(parsed).toEqual({ ok: true, callback: { id, code } });
      }),
    );
  });

  test('in JSON, with every digit of a numeric id', () => {
    fc.assert(
      fc.property(anyId, someText, (id, code) => {
        const parsed = parseCallback(
          post(JSON_TYPE, `{ "id" : ${id} , "other":{"code":"}"},"code":${JSON.stringify(code)}}`),
        );
        expect(parsed).toEqual({ ok: true, callback: { id, code } });
      }),
    );
  });
});

describe('a plus sign', () => {
  test('in a raw query keeps both readings until the type is known', () => {
    expect(parseCallback(get('id=1&code=a+b%2Bc'))).toEqual({
      ok: true,
      callback: { id: '1', code: 'a+b+c', spacedCode: 'a b+c' },
    });
  });
  test('in a form is a space', () => {
    expect(parseCallback(post(FORM, 'id=1&code=a+b'))).toEqual({ ok: true, callback: { id: '1', code: 'a b' } });
  });
});

describe('what a code may be in JSON', () => {
  test.each([
    ['text', '"x"', 'x'],
    ['a number, digit by digit', '0.10', '0.10'],
    ['an object, as compact JSON', '{ "a" : [1, 2] }', '{"a":[1,2]}'],
    ['a list', '[1, 4]', '[1,4]'],
    ['null, which says nothing', 'null', ''],
  ])('%s', (_, source, code) => {
    expect(parseCallback(post(JSON_TYPE, `{"id":"1","code":${source}}`))).toEqual({
      ok: true,
      callback: { id: '1', code },
    });
  });
});

test('query and body may each say a part, or the same', () => {
  const expected = { ok: true, callback: { id: '1', code: 'a b' } };
  expect(parseCallback(post(FORM, 'code=a+b', 'id=1'))).toEqual(expected);
  expect(parseCallback(post(FORM, 'id=1&code=a+b', 'id=1&code=a+b'))).toEqual(expected);
  expect(parseCallback({ method: 'POST', query: 'id=1&code=a%20b' })).toEqual(expected);
});

test('other parameters are ignored, repeated or broken as they may be', () => {
  expect(parseCallback(get('x=1&x=2&y=%zz&%zz=1&&id=1&code=c&'))).toEqual({
    ok: true,
    callback: { id: '1', code: 'c' },
  });
});

test('a code of exactly the limit passes, one byte more does not', () => {
  const code = 'é'.repeat(MAX_SOLUTION_BYTES / 2);
  expect(parseCallback(get(`id=1&code=${encodeURIComponent(code)}`)).ok).toBe(true);
  expect(parseCallback(get(`id=1&code=${encodeURIComponent(code)}a`))).toEqual({
    ok: false,
    status: 413,
    fault: 'tooLarge',
  });
});

describe('a callback is refused', () => {
  const refused: [string, RawCallback, CallbackFault][] = [
    ['without an id', get('code=x'), 'badId'],
    ['with an empty id', get('id=&code=x'), 'badId'],
    ['with an id of 21 digits', get(`id=${'9'.repeat(21)}&code=x`), 'badId'],
    ['with digits of another script', get('id=%D9%A1&code=x'), 'badId'],
    ['with a sign', get('id=-1&code=x'), 'badId'],
    ['with an exponent', post(JSON_TYPE, '{"id":1e3,"code":"x"}'), 'badId'],
    ['with a line break behind the id', get('id=1%0A&code=x'), 'badId'],
    ['with a parameter twice', get('id=1&code=x&code=y'), 'repeatedParameter'],
    ['with a parameter twice, once empty', get('id=1&code=&code=y'), 'repeatedParameter'],
    ['with a JSON member twice', post(JSON_TYPE, '{"id":"1","code":"x","code":"y"}'), 'repeatedParameter'],
    ['with a JSON member twice, once escaped', post(JSON_TYPE, '{"id":"1","\\u0069d":"2"}'), 'repeatedParameter'],
    ['with query and body at odds', post(FORM, 'id=1&code=x', 'code=y'), 'disagreeingParameters'],
    ['with two ids', post(FORM, 'id=1&code=x', 'id=2'), 'disagreeingParameters'],
    ['with broken percent-encoding', get('id=1&code=%'), 'badEncoding'],
    ['with an overlong encoding', get('id=1&code=%c0%af'), 'badEncoding'],
    ['with half a surrogate pair', get('id=1&code=%ed%a0%80'), 'badEncoding'],
    ['with half a surrogate pair in JSON', post(JSON_TYPE, '{"id":"1","code":"\\ud800"}'), 'badBody'],
    [
      'with a body that is no UTF-8',
      { method: 'POST', query: '', contentType: JSON_TYPE, body: Uint8Array.of(0xff) },
      'badEncoding',
    ],
    ['with JSON that is none', post(JSON_TYPE, '{id:1}'), 'badBody'],
    ['with a JSON list', post(JSON_TYPE, '[]'), 'badBody'],
    [
      'with a code nested deeper than it could be written',
      post(JSON_TYPE, `{"id":"1","code":${nested(30_000)}}`),
      'badBody',
    ],
    ['with a code of true', post(JSON_TYPE, '{"id":"1","code":true}'), 'badBody'],
    ['with a body of another type', post('multipart/form-data; boundary=x', '--x'), 'unsupportedMediaType'],
    ['with a body on GET', { method: 'GET', query: 'id=1&code=x', body: bytes('code=y') }, 'bodyNotAllowed'],
  ];
  test.each(refused)('%s', (_, raw, fault) => {
    expect(parseCallback(raw)).toEqual({ ok: false, status: 400, fault });
  });

  test('or read, but never throws, whatever was sent', () => {
    const contentType = fc.constantFrom(FORM, JSON_TYPE, 'text/plain', '', `${FORM};charset=x`);
    const junk = fc.oneof(
      fc.string(),
      fc.json(),
      fc.array(fc.tuple(someText, someText), { maxLength: 5 }).map((pairs) => new URLSearchParams(pairs).toString()),
      fc.string({ unit: fc.constantFrom(...'{}[]",:\\ui%&=+1'.split('')) }),
    );
    fc.assert(
      fc.property(junk, junk, contentType, (query, body, type) => {
        const parsed = parseCallback(post(type, body, query));
        expect(parsed.ok ? /^\d{1,20}$/.test(parsed.callback.id) : parsed.status >= 400).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});

test('the walk over JSON members finds what JSON.parse finds', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 2), (object, indent) => {
      const text = JSON.stringify(object, undefined, indent);
      const members = jsonMembers(text)!.map(({ name, source }) => [name, JSON.parse(source)] as const);
      expect(members).toEqual(Object.entries(JSON.parse(text) as object));
    }),
  );
});
