/** What each word of the provider means, wherever it is read. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { classifyCode, listedCode, looksLikeCode, PROVIDER_CODES } from '../../../src/core/provider-codes.ts';
import { anyText } from '../../support/any-text.ts';

describe('the table', () => {
  test('lists every code once', () => {
    const codes = PROVIDER_CODES.map((row) => row.code);
    expect(new Set(codes).size).toBe(codes.length);
  });

  test('gives a documented time to every block, and to nothing that is not one', () => {
    for (const row of PROVIDER_CODES) {
      const blocks = row.class === 'blocked' || row.class === 'addressBlocked';
      expect(row.blockMs !== undefined, row.code).toBe(blocks);
    }
  });

  test.each(['in', 'res', 'callback'] as const)('classifies every listed code, read from %s', (endpoint) => {
    for (const row of PROVIDER_CODES) {
      const meaning = classifyCode(row.code, endpoint);
      const refusalClass = endpoint === 'in' ? row.class : (row.classOfResult ?? row.class);
      expect(meaning, row.code).toMatchObject({ kind: 'refused', class: refusalClass, code: row.code });
      expect(meaning?.kind === 'refused' ? meaning.retryAfterMs : undefined).toBe(row.blockMs);
    }
  });

  test.each([
    ['ERROR_WRONG_USER_KEY', 'keyRejected'],
    ['ERROR_KEY_DOES_NOT_EXIST', 'keyRejected'],
    ['ERROR_ZERO_BALANCE', 'busy'],
    ['ERROR_NO_SLOT_AVAILABLE', 'busy'],
    ['IP_BANNED', 'addressBlocked'],
    ['ERROR: 1004', 'addressBlocked'],
    ['ERROR_IP_NOT_ALLOWED', 'addressNotAllowed'],
    ['ERROR: 1001', 'blocked'],
    ['ERROR_BAD_PROXY', 'proxy'],
    ['ERROR_CAPTCHA_UNSOLVABLE', 'retriable'],
    ['ERROR_BAD_DUPLICATES', 'retriable'],
    ['ERROR_BAD_TOKEN_OR_PAGEURL', 'permanent'],
    ['ERROR_WRONG_CAPTCHA_ID', 'permanent'],
    ['ERROR_IMAGE_DIMENSIONS_TOO_LARGE', 'permanent'],
    ['ERROR_UPLOAD', 'permanent'],
    ['ERROR_SITEKEY', 'permanent'],
    ['ERROR_METHOD_CALL', 'permanent'],
    ['ERROR_IP_ADDRES', 'callbackRefused'],
    ['ERROR_ACCOUNT_SUSPENDED', 'accountExhausted'],
    ['ERROR_SERVER_ERROR', 'transient'],
  ])('%s is %s', (code, refusalClass) => {
    expect(listedCode(code)?.class).toBe(refusalClass);
  });
});

describe('a word about the call', () => {
  test.each(['res', 'callback'] as const)('fails no task that was accepted, read from %s', (endpoint) => {
    for (const code of ['ERROR_METHOD_CALL', 'ERROR_EMPTY_ACTION']) {
      expect(classifyCode(code, endpoint), code).toMatchObject({ class: 'transient' });
    }
  });
});

describe('a word', () => {
  test.each(['CAPCHA_NOT_READY', 'CAPTCHA_NOT_READY', ' CAPCHA_NOT_READY\n'])('%j means pending', (word) => {
    for (const endpoint of ['in', 'res', 'callback'] as const) {
      expect(classifyCode(word, endpoint)).toEqual({ kind: 'pending' });
    }
  });

  test.each(['ERROR:1001', 'ERROR : 1001', 'ERROR:+1001', ' ERROR: 1001 '])('%j is the block ERROR: 1001', (word) => {
    expect(classifyCode(word, 'callback')).toMatchObject({
      class: 'blocked',
      code: 'ERROR: 1001',
      retryAfterMs: 600_000,
    });
  });

  test('that is not listed is unlisted, never permanent', () => {
    expect(classifyCode('ERROR_BRAND_NEW', 'in')).toEqual({
      kind: 'refused',
      class: 'unlisted',
      code: 'ERROR_BRAND_NEW',
    });
    expect(classifyCode('ERROR: 4711', 'res')).toEqual({ kind: 'refused', class: 'unlisted', code: 'ERROR: 4711' });
  });

  test('keeps no free text of the provider, which may quote the key', () => {
    const secret = 'your key 0123456789abcdef is wrong';
    expect(classifyCode(secret, 'in')).toEqual({ kind: 'refused', class: 'unlisted', code: 'UNLISTED' });
    expect(classifyCode(`ERROR_${'A'.repeat(70)}`, 'in')).toMatchObject({ code: 'UNLISTED' });
  });

  test('is always fit for a status field, and never throws', () => {
    fc.assert(
      fc.property(anyText(), fc.constantFrom('in' as const, 'res' as const), (word, endpoint) => {
        const meaning = classifyCode(word, endpoint);
        if (meaning.kind === 'refused') expect(meaning.code).toMatch(/^[A-Za-z0-9_: ]{1,64}$/);
      }),
    );
  });
});

describe('in a callback', () => {
  test('nothing at all means not ready', () => {
    expect(classifyCode('', 'callback')).toEqual({ kind: 'pending' });
    expect(classifyCode('  ', 'callback')).toEqual({ kind: 'pending' });
  });

  test('an unknown word that says ERROR is a refusal', () => {
    expect(classifyCode('ERROR_BRAND_NEW', 'callback')).toMatchObject({ class: 'unlisted' });
  });

  test.each([
    '03AGdBq27',
    'W9H5K',
    'error_in_lower_case',
    'HELLO_WORLD',
    'ERROR',
    'ERRORS',
    '[1,4]',
    'an ERROR_WORD inside',
  ])('%j is a solution', (word) => {
    expect(classifyCode(word, 'callback')).toBeUndefined();
  });
});

describe('the shape of a code', () => {
  test.each(['ERROR_X', 'MAX_USER_TURN', 'IP_BANNED', 'ERROR: 1001', 'CAPCHA_NOT_READY'])('%s has it', (word) => {
    expect(looksLikeCode(word)).toBe(true);
  });
  test.each(['', 'OK', '<html>', 'Service unavailable', 'error_x', '12345', 'ERROR'])('%j has it not', (word) => {
    expect(looksLikeCode(word)).toBe(false);
  });
});
