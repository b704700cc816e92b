/** What an answer of the API server means, and that its text quotes nothing. */
import { describe, expect, test } from 'vitest';
import { cleanMessage, noAnswer, replyOf } from '../../../src/kube/reply.ts';

const sought = { name: 'login', plural: 'captchatasks', namespace: 'shop' };
const status = (code: number, extra: object = {}) =>
  replyOf(code, JSON.stringify({ kind: 'Status', code, reason: 'Some', message: 'text', ...extra }), sought);
const transience = (reply: ReturnType<typeof replyOf>) => (reply.ok ? 'ok' : reply.transient);

describe('a reply is', () => {
  test.each([401, 408, 429, 500, 502, 503, 504])('transient on %i', (code) => {
    expect(transience(status(code))).toBe(true);
  });

  test.each([400, 403, 405, 409, 413, 415, 422])('final on %i', (code) => {
    expect(transience(status(code))).toBe(false);
  });

  test('final on a 404 that names the object', () => {
    expect(transience(status(404, { details: { name: 'login', kind: 'captchatasks' } }))).toBe(false);
  });

  test('final on a 404 that names its namespace', () => {
    expect(transience(status(404, { details: { name: 'shop', kind: 'namespaces' } }))).toBe(false);
  });

  test.each([
    ['says nothing', undefined],
    ['names another object', { name: 'other', kind: 'captchatasks' }],
    ['names another kind', { name: 'login', kind: 'deadletters' }],
    ['names another namespace', { name: 'elsewhere', kind: 'namespaces' }],
  ])('transient on a 404 that %s', (_title, details) => {
    expect(transience(status(404, { details }))).toBe(true);
  });

  test('transient on "404 page not found", which a missing CRD answers', () => {
    expect(transience(replyOf(404, '404 page not found\n', sought))).toBe(true);
  });

  test.each(['', '{"kind":"Capt', 'null', '"text"', '<html>'])(
    'transient and maybe acted on for a 200 with %j',
    (body) => {
      expect(replyOf(200, body, sought)).toMatchObject({
        ok: false,
        reason: 'Unreadable',
        transient: true,
        sent: true,
      });
    },
  );

  test('maybe acted on from 500 up, and certainly not below', () => {
    expect(status(504)).toMatchObject({ sent: true });
    expect(status(409)).toMatchObject({ sent: false });
  });

  test('transient without an answer, and says whether it left', () => {
    expect(noAnswer('Timeout', 'deadline', true)).toMatchObject({ status: 0, transient: true, sent: true });
  });
});

describe('a message', () => {
  test('is made of the causes, without the values that they quote', () => {
    const causes = [
      { field: 'status.solution.value', message: 'Invalid value: "03AGdBq24\\"secret": should be shorter' },
      { field: 'status.phase', message: 'Unsupported value: "secret": supported values: "Pending"' },
      { field: '<nil>', message: 'Invalid value: {"value":"secret","n":[1]}: some rule was broken' },
    ];
    const reply = status(422, { message: 'everything with secret', details: { causes } });
    expect(reply).toMatchObject({
      message:
        'status.solution.value: Invalid value: should be shorter; ' +
        'status.phase: Unsupported value: supported values: "Pending"; Invalid value: some rule was broken',
    });
  });

  test.each([
    ['Invalid value: "secret": why', 'Invalid value: why'],
    ['Invalid value: "secr\\"et": why', 'Invalid value: why'],
    ['Invalid value: map[string]interface {}{"code":"secret"}: why', 'Invalid value: why'],
    ['Invalid value: ["secret","x"]: why', 'Invalid value: why'],
    ['Duplicate value: {"k":"secret"}', 'Duplicate value'],
    ['captchatasks "login" not found', 'captchatasks "login" not found'],
  ])('%s becomes %s', (given, expected) => {
    expect(cleanMessage(given)).toBe(expected);
  });

  test('is bounded', () => {
    expect(cleanMessage('x'.repeat(10_000)).length).toBeLessThanOrEqual(512);
  });
});
