/** What the status writer sends, and what it makes of each answer. */
import { describe, expect, test } from 'vitest';
import { createStatusWriter } from '../../../src/kube/status-writer.ts';
import type { ApiReply, ApiRequest, KubeObject } from '../../../src/kube/types.ts';

const TASKS = { group: 'captcha-operator.io', version: 'v1alpha1', plural: 'captchatasks', kind: 'CaptchaTask' };
const task = {
  metadata: { namespace: 'ns', name: 'login', uid: 'u1', resourceVersion: '5', labels: { big: 'x' } },
  spec: { big: true },
  status: { phase: 'Pending', conditions: [{ type: 'Solved', status: 'Unknown' }] },
};

function writerThatIsAnswered(reply: ApiReply) {
  const sent: ApiRequest[] = [];
  const stored: KubeObject[] = [];
  const execute = async (request: ApiRequest) => {
    sent.push(request);
    return reply;
  };
  const store = { put: (raw: KubeObject) => void stored.push(raw) };
  return { sent, stored, writer: createStatusWriter({ client: { execute }, resource: TASKS, store }) };
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

describe('the status writer', () => {
  test('carries uid and version, and nothing that the server would not take from it', async () => {
    const { sent, stored, writer } = writerThatIsAnswered({ ok: true, object: { metadata: { name: 'login' } } });
    const result = await writer.write(task, { phase: 'Submitting' });
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
    expect(stored).toEqual([{ metadata: { name: 'login' } }]);
  });

  test('sends nothing where nothing changed, whatever the order of the fields', async () => {
    const { sent, writer } = writerThatIsAnswered(refusal(500));
    const same = { conditions: [{ status: 'Unknown', type: 'Solved' }], phase: 'Pending' };
    expect(await writer.write(task, same)).toEqual({ kind: 'unchanged' });
    expect(sent).toEqual([]);
  });

  test.each([
    [409, { kind: 'conflict' }],
    [404, { kind: 'gone' }],
    [400, { kind: 'invalid', message: 'field: why' }],
    [413, { kind: 'invalid', message: 'field: why' }],
    [422, { kind: 'invalid', message: 'field: why' }],
  ])('takes %i for %j', async (status, expected) => {
    const { stored, writer } = writerThatIsAnswered(refusal(status));
    expect(await writer.write(task, {})).toEqual(expected);
    expect(stored).toEqual([]);
  });

  test.each([
    ['a time-out of what was sent', { status: 0, transient: true, sent: true }, true],
    ['a connection that was refused', { status: 0, transient: true, sent: false }, false],
    ['a 404 that proves nothing', { status: 404, transient: true }, false],
    ['a missing permission', { status: 403 }, false],
  ])('takes %s for transient', async (_title, extra, maybeWritten) => {
    const { writer } = writerThatIsAnswered(refusal(500, extra));
    expect(await writer.write(task, {})).toMatchObject({ kind: 'transient', maybeWritten });
  });
});
