/** Ops repeats the words of other rooms, because it imports none of them; here they are compared. */
import { expect, test } from 'vitest';

import * as names from '../../src/api/names.ts';
import { CALLBACK_RESULTS } from '../../src/callback/hooks.ts';
import { BREAKER_REASONS } from '../../src/core/task/breaker.ts';
import { AMBIGUITY_RESOLUTIONS } from '../../src/core/task/announce.ts';
import { MAX_CALLBACK_BASE_LENGTH } from '../../src/ops/config/variables.ts';
import * as labels from '../../src/ops/metrics/labels.ts';
import { REQUEST_CODES, REQUEST_OPERATIONS } from '../../src/provider/labels.ts';
import { CALLBACK_PATH, MAX_TOKEN_LENGTH } from '../../src/core/token.ts';

test.each([
  ['unfinished phases', labels.UNFINISHED_PHASES, names.UNFINISHED_PHASES],
  ['captcha types', labels.CAPTCHA_TYPES, names.CAPTCHA_TYPES],
  ['result sources', labels.RESULT_SOURCES, names.RESULT_SOURCES],
  ['failure classes', labels.FAILURE_CLASSES, names.FAILURE_CLASSES],
  ['letter phases', labels.LETTER_PHASES, names.LETTER_PHASES],
  ['letter stages', labels.LETTER_STAGES, names.LETTER_STAGES],
  ['watched resources', labels.WATCHED, [names.CAPTCHA_TASK.plural, names.DEAD_LETTER.plural]],
  ['provider operations', labels.PROVIDER_OPERATIONS, REQUEST_OPERATIONS],
  ['provider codes', labels.PROVIDER_CODES, REQUEST_CODES],
  ['breaker reasons', labels.BREAKER_REASONS, BREAKER_REASONS.map((reason) => labels.snakeCase(reason))],
  ['resolutions of unknown submissions', labels.AMBIGUOUS_RESOLUTIONS, AMBIGUITY_RESOLUTIONS],
  ['results of callbacks', labels.CALLBACK_RESULTS, CALLBACK_RESULTS],
])('the label values for %s are those of the code', (_what, inOps, inCode) => {
  expect([...inOps]).toEqual([...inCode]);
});

test('the longest CALLBACK_URL leaves room for the longest token', () => {
  const longest = MAX_CALLBACK_BASE_LENGTH + CALLBACK_PATH.length + MAX_TOKEN_LENGTH;
  expect(longest).toBeLessThan(names.MAX_CALLBACK_URL_LENGTH);
});
