/** What a status write sends, and what it makes of each answer. */
import { describe, expect, test } from 'vitest';
import type { ApiReply, ApiRequest } from '../../../src/core/protocol.ts';
import { putStatus } from '../../../src/core/status-write.ts';

const TASKS = { group: 'captcha-operator.io', version: 'v1alpha1', plural: 'captchatasks', kind: 'CaptchaTask' };
const METADATA = { namespace: 'ns', name: 'login', uid: 'u1', resourceVersion: '5', labels: { big: 'x' } };
const task: { metadata: typeof METADATA; status?: object } = {
  metadata: METADATA,
  status: { phase: 'Pending', conditions: [{ type: 'Solved', status: 'Unknown' }] },
};

function write(status: object, reply: ApiReply) {
  const protocol = putStatus(TASKS, task, status);
  const sent: ApiRequest[] = [];
  let step = protocol.next();
  for (; step.done !== true; step = protocol.next(reply)) sent.push(step.value);
  return { sent, result: step.value };
}
const refusal = (status: number, extra: object = {}): ApiReply => ({
  ok: false,
  status,
  reason: 'No',
  message: 'field: why',
  transient: false,
  sent: false,
  ...extra,
});

describe('a status write', () => {
  test('carries uid and version, and nothing that the server would not take from it', () => {
    const { sent, result } = write({ phase: 'Submitting' }, { ok: true, object: { metadata: { name: 'login' } } });
    expect(sent).toEqual([
      {
        verb: 'replaceStatus',
        resource: TASKS,
        namespace: 'ns',
        name: 'login',
        object: {
          apiVersion: 'captcha-operator.io/v1alpha1',
          kind: 'CaptchaTask',
          metadata: { namespace: 'ns', name: 'login', uid: 'u1', resourceVersion: '5' },
          status: { phase: 'Submitting' },
        },
      },
    ]);
    expect(result).toEqual({ kind: 'written', object: { metadata: { name: 'login' } } });
  });

  test('sends nothing where nothing changed, whatever the order of the fields', () => {
    const same = { conditions: [{ status: 'Unknown', type: 'Solved' }], phase: 'Pending' };
    expect(write(same, refusal(500))).toEqual({ sent: [], result: { kind: 'unchanged' } });
  });

  test.each([
    [409, { kind: 'conflict' }],
    [404, { kind: 'gone' }],
    [400, { kind: 'invalid', message: 'field: why' }],
    [413, { kind: 'invalid', message: 'field: why' }],
    [422, { kind: 'invalid', message: 'field: why' }],
  ])('takes %i for %j', (status, expected) => {
    expect(write({}, refusal(status)).result).toEqual(expected);
  });

  test.each([
    ['a time-out of what was sent', { status: 0, transient: true, sent: true }, true],
    ['a connection that was refused', { status: 0, transient: true, sent: false }, false],
    ['a 404 that proves nothing', { status: 404, transient: true }, false],
    ['a missing permission', { status: 403 }, false],
  ])('takes %s for transient', (_title, extra, maybeWritten) => {
    expect(write({}, refusal(500, extra)).result).toMatchObject({ kind: 'transient', maybeWritten });
  });
});
