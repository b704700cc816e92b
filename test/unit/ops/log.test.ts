import { describe, expect, test } from 'vitest';

import { createLogger } from '../../../src/ops/log.ts';
import { redactFields, redactText } from '../../../src/ops/redact.ts';

const KEY = '0123456789abcdef0123456789abcdef';
const TOKEN = 'k1.team-a.login.7f7ad2a8-0000-4000-8000-000000000001.1.AAAAAAAAAAAAAAAAAAAAAAAA';

function lines(level: 'debug' | 'info' | 'warn' | 'error' = 'info') {
  const written: Record<string, unknown>[] = [];
  const write = (line: string): void => void written.push(JSON.parse(line) as Record<string, unknown>);
  return { logger: createLogger({ level, component: 'operator', write }), written };
}

describe('a log line', () => {
  test('is one JSON object with level, time, component, constant message and fields', () => {
    const { logger, written } = lines();
    logger.info('task solved', { namespace: 'team-a', name: 'login', uid: 'u1', attempt: 2 });
    expect(written).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        component: 'operator',
        msg: 'task solved',
        namespace: 'team-a',
        name: 'login',
        uid: 'u1',
        attempt: 2,
      },
    ]);
  });

  test('is not written below the level', () => {
    const { logger, written } = lines('warn');
    logger.debug('a');
    logger.info('b');
    logger.warn('c');
    logger.error('d');
    expect(written.map((line) => line['msg'])).toEqual(['c', 'd']);
  });

  test('carries the fields of the logger it came from', () => {
    const { logger, written } = lines();
    logger.with({ namespace: 'team-a', token: TOKEN }).info('x', { attempt: 1 });
    expect(written[0]).toMatchObject({ namespace: 'team-a', token: '[redacted]', attempt: 1 });
  });

  test('shows an error with message and stack, but not what libraries hang on it', () => {
    const { logger, written } = lines();
    const error = Object.assign(new Error('connect failed', { cause: new Error(`GET /in.php?key=${KEY}`) }), {
      code: 'ECONNREFUSED',
      request: { headers: { authorization: `Bearer ${KEY}` } },
    });
    logger.error('provider call failed', { error });
    expect(written[0]?.['error']).toMatchObject({ type: 'Error', message: 'connect failed', code: 'ECONNREFUSED' });
    expect(JSON.stringify(written)).not.toContain(KEY);
  });
});

describe('the redaction guard', () => {
  test.each([
    ['a callback URL', `GET https://cb.example.com/v1/callback/${TOKEN}?id=1&code=SOLUTION`, ['7f7ad2a8', 'SOLUTION']],
    ['a provider URL', `http://p/res.php?key=${KEY}&action=get&id=1`, [KEY]],
    ['a form body', `method=userrecaptcha&key=${KEY}&proxy=u:pw@1.2.3.4:80`, [KEY, 'pw@']],
    ['a bearer token', 'authorization: Bearer eyJhbGciOi.abc-def', ['eyJhbGciOi']],
    ['credentials in a URL', 'proxy http://user:hunter2@10.0.0.1:3128 failed', ['hunter2']],
    ['an API key that stands alone', `key ${KEY} rejected`, [KEY]],
  ])('hides %s inside a text', (_what, text, secrets) => {
    for (const secret of secrets) expect(redactText(text)).not.toContain(secret);
    expect(redactText(text)).toContain('[redacted]');
  });

  test('hides fields by name at any depth', () => {
    const fields = { task: { solution: { value: 'x' }, list: [{ apiKey: 'y', userAgent: 'z' }] } };
    expect(redactFields(fields)).toEqual({
      task: { solution: '[redacted]', list: [{ apiKey: '[redacted]', userAgent: '[redacted]' }] },
    });
  });

  test.each(['ERROR_WRONG_USER_KEY', 'ERROR: 1001', 'MAX_USER_TURN', 'ENOSPC', '409', '<error>', 'UNLISTED'])(
    'keeps the code %s, which is a status, a system error or a word of the provider',
    (code) => {
      expect(redactFields({ code })).toEqual({ code });
    },
  );

  test.each(['XY7K2', 'EXAMPLE', '03AGdBq25SiXT', 'Hello World', 'ERROR: it is 42'])(
    'hides the code %j, which may be a solution',
    (code) => {
      expect(redactFields({ code })).toEqual({ code: '[redacted]' });
    },
  );

  test('leaves uids, names, numbers and plain sentences alone', () => {
    const fields = {
      uid: '7f7ad2a8-0000-4000-8000-000000000001',
      name: 'login-solution',
      captchaID: '7383820914',
      n: 1,
    };
    expect(redactFields({ ...fields, message: 'The task changed during the delivery.' })).toEqual({
      ...fields,
      message: 'The task changed during the delivery.',
    });
  });

  test('bounds texts, depth and lists', () => {
    expect(redactText('a'.repeat(1_000_000)).length).toBeLessThan(2_100);
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(JSON.stringify(redactFields(loop)).length).toBeLessThan(200);
    expect((redactFields({ list: Array.from({ length: 1_000 }, () => 1) })['list'] as unknown[]).length).toBe(32);
  });
});
