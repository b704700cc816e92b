/** What a reply proves: accepted, not accepted, or unknown; and that no reply can throw. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CAPTCHA_TYPES, type CaptchaType } from '../../../src/api/names.ts';
import type { PollOutcome } from '../../../src/core/outcome.ts';
import { PROVIDER_CODES } from '../../../src/core/provider-codes.ts';
import type { Exchange, Fault } from '../../../src/provider/http.ts';
import { REQUEST_CODES, requestCode } from '../../../src/core/provider-labels.ts';
import * as wire from '../../../src/provider/wire.ts';
import { submitOutcome, threadsOutcome } from '../../../src/provider/wire.ts';
import { anyText } from '../../support/any-text.ts';

const reply = (text: string, status = 200): Exchange => ({ kind: 'reply', status, text });
const json = (value: unknown): Exchange => reply(JSON.stringify(value));
const pollOutcome = (exchange: Exchange, type: CaptchaType): PollOutcome => wire.pollOutcome(exchange, { type });
const FAULTS: Fault[] = [
  'connectionRefused',
  'dns',
  'tls',
  'timeout',
  'aborted',
  'reset',
  'network',
  'redirect',
  'tooLarge',
];

describe('an accepted submission', () => {
  test.each([
    ['an integer above 2^31', '{"status":1,"request":7383820914}', '7383820914'],
    ['an integer above 2^53', '{"status":1,"request":90071992547409931234}', '90071992547409931234'],
    ['a string', '{"status":1,"request":"7383820914"}', '7383820914'],
    ['plain text', 'OK|7383820914', '7383820914'],
    ['plain text with a line end', 'OK|7383820914\r\n', '7383820914'],
    ['a text status', '{"status":"1","request":"12"}', '12'],
    ['a leading byte order mark and blanks', '\uFEFF {"status":1,"request":12}\n', '12'],
  ])('is recognised by %s', (_form, text, captchaID) => {
    expect(submitOutcome(reply(text))).toEqual({ kind: 'accepted', captchaID });
  });
});

describe('a submission is unknown when the reply', () => {
  const replies: [string, Exchange, string][] = [
    ['is empty', reply(''), 'empty'],
    ['is blank', reply(' \r\n'), 'empty'],
    ['is a page', reply('<html>502</html>'), 'unreadable'],
    ['is cut JSON', reply('{"status":1,"requ'), 'unreadable'],
    ['is a JSON list', reply('[1]'), 'unreadable'],
    ['has no status', json({ request: '12' }), 'unreadable'],
    ['has another status', json({ status: 2, request: '12' }), 'unreadable'],
    ['has an id that is none', json({ status: 1, request: 'abc' }), 'unreadable'],
    ['has a negative id', json({ status: 1, request: -5 }), 'unreadable'],
    ['has a fractional id', reply('{"status":1,"request":1.5}'), 'unreadable'],
    ['has an id of 21 digits', json({ status: 1, request: '1'.repeat(21) }), 'unreadable'],
    ['has an object for an id', json({ status: 1, request: { id: 1 } }), 'unreadable'],
    ['has an id in result only', json({ status: 1, request: '', result: '12' }), 'unreadable'],
    ['says OK and no more', reply('OK'), 'unreadable'],
    ['is the pending word', reply('CAPCHA_NOT_READY'), 'unreadable'],
    ['is a bare word that is not listed and does not say ERROR', reply('TASK_QUEUED'), 'unreadable'],
    ['is a 500', reply('{"status":0,"request":"ERROR_SERVER_ERROR"}', 500), 'http5xx'],
    ['is a 502', reply('<html>', 502), 'http5xx'],
    ['is a 504', reply('', 504), 'http5xx'],
    ['is a 304', reply('', 304), 'http3xx'],
    ['came only in part', { kind: 'cut', status: 200, fault: 'reset' }, 'reset'],
    ['was too large', { kind: 'cut', status: 200, fault: 'tooLarge' }, 'tooLarge'],
    ['redirects', { kind: 'failed', fault: 'redirect', sent: true }, 'http3xx'],
  ];
  test.each(replies)('%s', (_what, exchange, cause) => {
    expect(submitOutcome(exchange)).toEqual({ kind: 'unknown', cause });
  });
});

describe('a submission is not accepted when the reply', () => {
  test.each(PROVIDER_CODES)('says $code', ({ code, class: refusalClass }) => {
    expect(submitOutcome(json({ status: 0, request: code }))).toMatchObject({
      kind: 'refused',
      class: refusalClass,
      code,
    });
  });
  test('says status 0, whatever the word', () => {
    expect(submitOutcome(json({ status: 0, request: 'Something else' }))).toMatchObject({
      class: 'unlisted',
      code: 'UNLISTED',
    });
    expect(submitOutcome(json({ status: 0 }))).toMatchObject({ class: 'unlisted', code: 'UNLISTED' });
  });
  test('is a bare word that says ERROR', () => {
    expect(submitOutcome(reply('ERROR_BRAND_NEW'))).toMatchObject({ class: 'unlisted', code: 'ERROR_BRAND_NEW' });
  });
  test('says success and a listed error at once', () => {
    expect(submitOutcome(json({ status: 1, request: 'ERROR_ZERO_BALANCE' }))).toMatchObject({ class: 'busy' });
  });
  test.each([
    [429, 'http429'],
    [503, 'http503'],
    [400, 'http4xx'],
    [403, 'http4xx'],
    [404, 'http4xx'],
    [499, 'http4xx'],
  ])('has status %d, by the status alone', (status, cause) => {
    expect(submitOutcome(reply('<html>', status))).toEqual({ kind: 'unreachable', cause });
    expect(submitOutcome({ kind: 'cut', status, fault: 'reset' })).toEqual({ kind: 'unreachable', cause });
  });
  test('has status 413: this body is too large, and will be at every try', () => {
    const tooLarge = { kind: 'refused', class: 'permanent', code: 'HTTP_413' };
    expect(submitOutcome(reply('<html>', 413))).toEqual(tooLarge);
    expect(submitOutcome({ kind: 'cut', status: 413, fault: 'reset' })).toEqual(tooLarge);
    const worded = reply('{"status":0,"request":"ERROR_TOO_BIG_CAPTCHA_FILESIZE"}', 413);
    expect(submitOutcome(worded)).toMatchObject({ class: 'permanent', code: 'ERROR_TOO_BIG_CAPTCHA_FILESIZE' });
    expect(requestCode(submitOutcome(reply('', 413)))).toBe('http_413');
  });
  test('has a 4xx with a listed code, which says more than the status', () => {
    const exchange = reply('{"status":0,"request":"ERROR_WRONG_USER_KEY"}', 403);
    expect(submitOutcome(exchange)).toMatchObject({ kind: 'refused', class: 'keyRejected' });
  });
  test('asks to wait, and for how long', () => {
    expect(submitOutcome({ kind: 'reply', status: 429, text: '', retryAfterMs: 7_000 })).toMatchObject({
      retryAfterMs: 7_000,
    });
    const busy = { kind: 'reply', status: 429, text: 'ERROR_TOO_MUCH_REQUESTS', retryAfterMs: 7_000 } as const;
    expect(submitOutcome(busy)).toMatchObject({ class: 'busy', retryAfterMs: 7_000 });
  });
});

describe('a submission that failed on the way', () => {
  test.each(FAULTS)('(%s) is unknown unless it is proven that nothing was sent', (fault) => {
    expect(submitOutcome({ kind: 'failed', fault, sent: true }).kind).toBe('unknown');
    expect(submitOutcome({ kind: 'failed', fault, sent: false }).kind).toBe('unreachable');
  });
});

describe('a poll', () => {
  test('may be told to wait', () => {
    expect(pollOutcome(json({ status: 0, request: 'CAPCHA_NOT_READY' }), 'Image')).toEqual({ kind: 'pending' });
    expect(pollOutcome(reply('CAPCHA_NOT_READY'), 'Image')).toEqual({ kind: 'pending' });
    expect(pollOutcome(json({ status: 1, request: 'CAPCHA_NOT_READY' }), 'Image')).toEqual({ kind: 'pending' });
  });
  test('keeps every bar of a plain answer after the first', () => {
    expect(pollOutcome(reply('OK|a|b|c'), 'RecaptchaV2')).toEqual({ kind: 'solved', value: 'a|b|c' });
  });
  test('reads the user agent beside the answer', () => {
    const exchange = json({ status: 1, request: 'cookie', user_agent: 'UA' });
    expect(pollOutcome(exchange, 'CloudflareChallenge')).toEqual({ kind: 'solved', value: 'cookie', userAgent: 'UA' });
  });
  test.each([
    ['in result alone', { result: 'T' }],
    ['in result beside an empty text', { request: '', result: 'T' }],
    ['in result beside blanks', { request: ' ', result: 'T' }],
    ['in result beside null', { request: null, result: 'T' }],
    ['in result beside an empty object', { request: {}, result: 'T' }],
    ['in request, whatever result says', { request: 'T', result: 'other' }],
    ['in request beside an empty result', { request: 'T', result: '' }],
    ['in both', { request: 'T', result: 'T' }],
  ])('reads the answer and its user agent %s', (_where, fields) => {
    const solved = { kind: 'solved', value: 'T', userAgent: 'UA' };
    for (const type of ['RecaptchaV2', 'RecaptchaV3', 'CloudflareChallenge', 'Custom'] as const) {
      expect(pollOutcome(json({ status: 1, ...fields, user_agent: 'UA' }), type), type).toEqual(solved);
    }
  });
  test('reads an object, a list and JSON text in result like those in request', () => {
    const clearance = { cookies: { cf_clearance: 'C' }, userAgent: 'UA' };
    const solved = { kind: 'solved', value: 'C', userAgent: 'UA' };
    for (const result of [clearance, JSON.stringify(clearance)]) {
      expect(pollOutcome(json({ status: 1, result }), 'CloudflareChallenge')).toEqual(solved);
    }
    expect(pollOutcome(json({ status: 1, request: '', result: [1, 4] }), 'Grid')).toMatchObject({ value: '[1,4]' });
  });
  test.each(['user_agent', 'userAgent', 'useragent'])('reads the user agent by the name %s', (name) => {
    const solved = { kind: 'solved', value: 'T', userAgent: 'UA' };
    expect(pollOutcome(json({ status: 1, request: 'T', [name]: 'UA' }), 'Turnstile')).toEqual(solved);
    expect(pollOutcome(json({ status: 1, request: 'T', user_agent: '', [name]: 'UA' }), 'Turnstile')).toEqual(solved);
  });
  test('keeps an empty list in request, which says that no cell matches', () => {
    expect(pollOutcome(json({ status: 1, request: [] }), 'Grid')).toMatchObject({ value: '[]' });
  });
  test.each([0, 1])('takes a listed word in result for a word, with status %d', (status) => {
    expect(pollOutcome(json({ status, result: 'CAPCHA_NOT_READY' }), 'RecaptchaV2')).toEqual({ kind: 'pending' });
    expect(pollOutcome(json({ status, request: '', result: 'ERROR_CAPTCHA_UNSOLVABLE' }), 'Custom')).toMatchObject({
      kind: 'refused',
      class: 'retriable',
    });
  });
  test('that brings an answer without the shape of its type brings no result', () => {
    expect(pollOutcome(json({ status: 1, request: 'ABC123' }), 'Grid')).toEqual({ kind: 'unreadable' });
    expect(pollOutcome(json({ status: 1, result: {} }), 'CloudflareChallenge')).toEqual({ kind: 'unreadable' });
    expect(pollOutcome(reply('OK|whatever'), 'GeeTestV3')).toEqual({ kind: 'unreadable' });
    const grid = { type: 'Grid', grid: { rows: 3, columns: 3 } } as const;
    expect(wire.pollOutcome(json({ status: 1, request: [10] }), grid)).toEqual({ kind: 'unreadable' });
  });
  test('keeps the digits of a number that an image shows', () => {
    expect(pollOutcome(reply('{"status":1,"request":90071992547409931234}'), 'Image')).toMatchObject({
      value: '90071992547409931234',
    });
    expect(pollOutcome(reply('{"status":1,"request":1.50}'), 'Image')).toMatchObject({ value: '1.50' });
  });
  test('never ends a task by anything but an answer or a code', () => {
    const texts = [
      '',
      '<html>',
      '{"status":1',
      '{"status":1,"request":null}',
      '{"status":1,"request":""}',
      'null',
      '[]',
    ];
    for (const text of texts) {
      for (const type of CAPTCHA_TYPES) {
        expect(pollOutcome(reply(text), type), text).toEqual({ kind: 'unreachable', cause: 'unreadable' });
      }
    }
    for (const fault of FAULTS) {
      expect(pollOutcome({ kind: 'failed', fault, sent: true }, 'Image').kind).toBe('unreachable');
      expect(pollOutcome({ kind: 'cut', status: 200, fault }, 'Image').kind).toBe('unreachable');
    }
  });
  test('never ends by a status, which may come from a gateway in between', () => {
    for (const status of [400, 404, 405, 413, 429, 500, 502, 503]) {
      expect(pollOutcome(reply('<html>', status), 'Image').kind, String(status)).toBe('unreachable');
    }
  });
  test.each(PROVIDER_CODES)('that says $code means the same whatever the status it comes with', ({ code }) => {
    const outcome = pollOutcome(reply(code), 'Turnstile');
    for (const status of [400, 405, 503]) expect(pollOutcome(reply(code, status), 'Turnstile')).toEqual(outcome);
  });
  test.each(PROVIDER_CODES)('that says $code means the same in JSON and in plain text', ({ code }) => {
    const plain = pollOutcome(reply(code), 'Turnstile');
    expect(pollOutcome(json({ status: 0, request: code }), 'Turnstile')).toEqual(plain);
    expect(plain).toMatchObject({ kind: 'refused', code });
  });
  test('gives a text answer alike in JSON and in plain text', () => {
    const answers = fc
      .string({ unit: 'grapheme-ascii', minLength: 1 })
      .filter((text) => text.trim() === text && text !== '');
    fc.assert(
      fc.property(answers, (answer) => {
        const outcome = pollOutcome(json({ status: 1, request: answer }), 'RecaptchaV2');
        expect(pollOutcome(reply(`OK|${answer}`), 'RecaptchaV2')).toEqual(outcome);
      }),
    );
  });
});

describe('threadsinfo', () => {
  test.each([
    ['beside status', json({ status: 1, threads: 15, working_threads: 2 }), { threads: 15, working: 2 }],
    [
      'inside request',
      json({ status: 1, request: { threads: '15', working_threads: '0' } }),
      { threads: 15, working: 0 },
    ],
    [
      'inside JSON text',
      json({ status: 1, request: '{"threads":15,"working_threads":15}' }),
      { threads: 15, working: 15 },
    ],
    ['as zero', json({ status: 1, threads: 0, working_threads: 0 }), { threads: 0, working: 0 }],
    ['without those at work', json({ status: 1, threads: 15 }), { threads: 15 }],
    ['with nonsense for those at work', json({ threads: 15, working_threads: -1 }), { threads: 15 }],
    ['without a count', json({ status: 1, working_threads: 2 }), undefined],
    ['negative', json({ threads: -1 }), undefined],
    ['fractional', json({ threads: 1.5 }), undefined],
    ['as something else', json({ threads: { toString: 1 } }), undefined],
    ['nowhere', reply('ERROR_WRONG_USER_KEY'), undefined],
    ['in an error page', reply('{"threads":15}', 500), undefined],
  ])('is read %s', (_where, exchange, threads) => {
    expect(threadsOutcome(exchange)).toEqual(threads);
  });
});

describe('whatever comes', () => {
  const texts = fc.oneof(
    anyText(),
    fc.json(),
    fc
      .record({ status: fc.jsonValue(), request: fc.jsonValue(), result: fc.jsonValue(), user_agent: fc.jsonValue() })
      .map((body) => JSON.stringify(body)),
    fc.uint8Array().map((bytes) => new TextDecoder().decode(bytes)),
    fc.string().map((text) => `OK|${text}`),
  );
  const exchanges: fc.Arbitrary<Exchange> = fc.oneof(
    fc.record({ kind: fc.constant('reply' as const), status: fc.integer({ min: 100, max: 999 }), text: texts }),
    fc.record({ kind: fc.constant('reply' as const), status: fc.constant(200), text: texts }),
    fc.record({
      kind: fc.constant('cut' as const),
      status: fc.integer({ min: 100, max: 999 }),
      fault: fc.constantFrom(...FAULTS),
    }),
    fc.record({ kind: fc.constant('failed' as const), fault: fc.constantFrom(...FAULTS), sent: fc.boolean() }),
  );

  test('is a value, never an exception, and counted under a label of the closed list', () => {
    fc.assert(
      fc.property(exchanges, fc.constantFrom(...CAPTCHA_TYPES), (exchange, type) => {
        expect(REQUEST_CODES).toContain(requestCode(submitOutcome(exchange)));
        expect(REQUEST_CODES).toContain(requestCode(pollOutcome(exchange, type)));
        threadsOutcome(exchange);
      }),
      { numRuns: 3_000 },
    );
  });

  test('a body is never taken for an acceptance unless it names an id', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const outcome = submitOutcome(reply(text));
        if (outcome.kind === 'accepted') expect(outcome.captchaID).toMatch(/^\d{1,20}$/);
      }),
      { numRuns: 3_000 },
    );
  });
});
