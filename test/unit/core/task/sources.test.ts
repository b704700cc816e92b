/** What a submission reads when it is the turn of its task, where the cache holds the captcha without its long texts. */
import { expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { ApiReply } from '../../../../src/core/protocol.ts';
import type { Sources } from '../../../../src/core/task/memory.ts';
import { packTask, unpackTask } from '../../../../src/core/task/packed.ts';
import { readSources, refusedReference } from '../../../../src/core/task/sources.ts';
import { aTask } from '../../../support/builders.ts';

const WHOLE = aTask()
  .spec({ captcha: { type: 'Image', image: { body: 'A'.repeat(200_000) } } })
  .build();
const CACHED = unpackTask(packTask(WHOLE));

/** What is read for this task where every request is answered so, and how often it asks. */
function read(task: CaptchaTask, reply: ApiReply): { sources: Sources | undefined; requests: number } {
  const protocol = readSources(task, 5);
  let step = protocol.next();
  let requests = 0;
  for (; step.done !== true; requests += 1) step = protocol.next(reply);
  return { sources: step.value, requests };
}

test('reads the captcha in full where the cache abridged it', () => {
  const { sources, requests } = read(CACHED, { ok: true, object: WHOLE });
  expect(sources).toEqual({ state: 'ready', captcha: WHOLE.spec.captcha });
  expect(requests).toBe(1);
});

const PROXIED = aTask().spec({ proxy: { type: 'HTTP', address: 'user:pass@198.51.100.7:3128' } });
test.each([
  ['for a captcha that is whole', aTask()],
  ['for a proxy whose address stands in the task', PROXIED],
])('reads nothing %s', (_what, builder) => {
  const task = unpackTask(packTask(builder.build()));
  expect(read(task, { ok: true, object: WHOLE })).toEqual({ sources: { state: 'ready' }, requests: 0 });
});

const SUCCESSOR: CaptchaTask = { ...WHOLE, metadata: { ...WHOLE.metadata, uid: 'another' } };
test.each<[string, ApiReply]>([
  ['the name belongs to another task', { ok: true, object: SUCCESSOR }],
  ['it is gone', { ok: false, status: 404, reason: 'NotFound', message: '', transient: false, sent: false }],
  ['the API server is away', { ok: false, status: 0, reason: 'Timeout', message: '', transient: true, sent: false }],
])('has nothing to submit where %s', (_what, reply) => {
  expect(read(CACHED, reply).sources).toBeUndefined();
});

const secret = (type: string | undefined, annotations?: Record<string, string>) => ({
  ...(type === undefined ? {} : { type }),
  metadata: { name: 'one', ...(annotations === undefined ? {} : { annotations }) },
});

test.each([
  'kubernetes.io/service-account-token',
  'kubernetes.io/tls',
  'kubernetes.io/dockerconfigjson',
  'kubernetes.io/basic-auth',
  'bootstrap.kubernetes.io/token',
  'helm.sh/release.v1',
])('a Secret of type %s is refused, and the message says why', (type) => {
  expect(refusedReference(secret(type))).toBe(
    `Secret "one" is of type ${type}: tasks may not name it, because what they name is sent to the provider.`,
  );
});

test.each([undefined, 'Opaque', 'captcha-operator.io/solution', 'example.com/kubernetes.io/tls', 'kubernetes.iox/tls'])(
  'a Secret of type %s is not',
  (type) => {
    expect(refusedReference(secret(type))).toBeUndefined();
  },
);

test('a Secret that its owner keeps private is refused, whatever the annotation says', () => {
  for (const value of ['', 'true', 'false']) {
    expect(refusedReference(secret('Opaque', { 'captcha-operator.io/private': value }))).toBe(
      'Secret "one" is annotated captcha-operator.io/private: tasks may not name it, because what they name is sent to the provider.',
    );
  }
  expect(refusedReference(secret('Opaque', { 'example.com/private': 'true' }))).toBeUndefined();
});

test('no type is quoted at any length', () => {
  expect(refusedReference(secret(`helm.sh/${'x'.repeat(10_000)}`))).toMatch(/ helm\.sh\/x{92}: /);
});
