/** What a task is to a client of the family, in JSON and in plain text. */
import { describe, expect, test } from 'vitest';
import type { Captcha } from '../../../../src/api/captchatask.ts';
import { FAILED_REASONS } from '../../../../src/api/names.ts';
import { answersText, answerText, viewOf, type Answer } from '../../../../src/core/gateway/answers.ts';
import { listedCode } from '../../../../src/core/provider-codes.ts';
import { parseAnswer } from '../../../../src/provider/answer.ts';
import { aTask, T0 } from '../../../support/builders.ts';

const pageURL = 'https://example.com';
const task = (captcha: Captcha) => aTask().spec({ captcha }).intended(T0).submitted(T0);
const V2: Captcha = { type: 'RecaptchaV2', recaptchaV2: { siteKey: 'K', pageURL } };
const texts = (answer: Answer): [string, unknown] => [answerText(answer, false), JSON.parse(answerText(answer, true))];

const end = (captcha: Captcha, value: string, userAgent?: string): Answer =>
  viewOf(
    task(captcha)
      .solved(T0, { value, ...(userAgent === undefined ? {} : { userAgent }) })
      .build(),
  ).answer;
const word = (reason: (typeof FAILED_REASONS)[number], code?: string): Answer =>
  viewOf(
    task(V2)
      .failed(T0, { class: 'Permanent', reason, ...(code === undefined ? {} : { code }) })
      .build(),
  ).answer;

describe('a solved task', () => {
  test('is its value, in `request`', () => {
    expect(texts(end(V2, '03token'))).toEqual(['OK|03token', { status: 1, request: '03token' }]);
  });

  test('is a string, also where it looks like a number or holds JSON', () => {
    const image: Captcha = { type: 'Image', image: { body: 'aa' } };
    expect(texts(end(image, '0042'))).toEqual(['OK|0042', { status: 1, request: '0042' }]);
    const grid: Captcha = { type: 'Grid', grid: { body: 'aa' } };
    expect(texts(end(grid, '[1,4,7]'))).toEqual(['OK|[1,4,7]', { status: 1, request: '[1,4,7]' }]);
  });

  test('that is bound to an agent says so, and stands where every client looks for it', () => {
    const enterprise: Captcha = { type: 'RecaptchaV2', recaptchaV2: { siteKey: 'K', pageURL, enterprise: true } };
    const both = { status: 1, request: 'T', result: 'T', user_agent: 'UA', useragent: 'UA' };
    expect(texts(end(enterprise, 'T', 'UA'))).toEqual(['OK|T', both]);
    const cloudflare: Captcha = { type: 'CloudflareChallenge', cloudflareChallenge: { pageURL } };
    expect(texts(end(cloudflare, 'T', 'UA'))).toEqual(['OK|cf_clearance=T;user_agent=UA', both]);
  });

  test('is read by our own client as the same value', () => {
    for (const json of [true, false]) {
      expect(parseAnswer(answerText(end(V2, '03a|b'), json))).toMatchObject({ kind: 'result', value: '03a|b' });
    }
  });

  test('whose solution is in a Secret is a fault, and not a solution', () => {
    const view = viewOf(task(V2).solved(T0).build());
    const hidden = { ...task(V2).solved(T0).build() };
    hidden.status = {
      ...hidden.status,
      solution: { secretRef: { name: 's' }, source: 'Poll', attempt: 1, receivedTime: '' },
    };
    expect(view.isOpen).toBe(false);
    expect(viewOf(hidden).answer).toEqual({ kind: 'word', word: 'ERROR_INTERNAL_SERVER_ERROR' });
  });
});

describe('an unfinished task', () => {
  test.each([
    ['new', aTask().build()],
    ['waiting', aTask().waiting('ProviderBusy').build()],
    ['submitted', task(V2).build()],
  ])('that is %s is not ready', (_how, one) => {
    expect(viewOf(one)).toMatchObject({ isOpen: true, answer: { kind: 'word', word: 'CAPCHA_NOT_READY' } });
  });
});

describe('a failed task', () => {
  test.each([
    ['ProviderRejected', 'ERROR_BAD_TOKEN_OR_PAGEURL', 'ERROR_BAD_TOKEN_OR_PAGEURL'],
    ['ProviderRejected', 'ERROR_SOMETHING_NEW', 'ERROR_SOMETHING_NEW'],
    ['ProviderRejected', 'HTTP_413', 'ERROR_TOO_BIG_CAPTCHA_FILESIZE'],
    ['Unsolvable', 'UNREADABLE_ANSWER', 'ERROR_CAPTCHA_UNSOLVABLE'],
    ['DeadlineExceeded', undefined, 'ERROR_CAPTCHA_UNSOLVABLE'],
    ['InvalidTask', undefined, 'ERROR_BAD_PARAMETERS'],
  ] as const)('for %s with %s is %s', (reason, code, said) => {
    expect(word(reason, code)).toEqual({ kind: 'word', word: said });
  });

  test.each(FAILED_REASONS)('for %s has a word that the family knows', (reason) => {
    const answer = word(reason);
    expect(listedCode(answer.kind === 'word' ? answer.word : '')).toBeDefined();
  });
});

test('several answers are one line, in JSON too', () => {
  const answers: Answer[] = [
    { kind: 'solved', value: 'a', isClearance: false },
    { kind: 'word', word: 'CAPCHA_NOT_READY' },
  ];
  expect(answersText(answers, false)).toBe('a|CAPCHA_NOT_READY');
  expect(answersText(answers, true)).toBe('{"status":1,"request":"a|CAPCHA_NOT_READY"}');
});
