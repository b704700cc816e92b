/** What a submission reads when it is the turn of its task, where the cache holds the captcha without its long texts. */
import { expect, test } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { ApiReply } from '../../../../src/kube/types.ts';
import { readSources } from '../../../../src/controllers/task/sources.ts';
import { packTask, unpackTask } from '../../../../src/core/task/packed.ts';
import { aTask } from '../../../support/builders.ts';

const WHOLE = aTask()
  .spec({ captcha: { type: 'Image', image: { body: 'A'.repeat(200_000) } } })
  .build();
const CACHED = unpackTask(packTask(WHOLE));

function clientThatReads(reply: ApiReply) {
  const reads: string[] = [];
  return { reads, execute: async ({ verb }: { verb: string }) => (reads.push(verb), reply) };
}

test('reads the captcha in full where the cache abridged it', async () => {
  const client = clientThatReads({ ok: true, object: WHOLE });
  expect(await readSources(client, CACHED, 5)).toEqual({ state: 'ready', captcha: WHOLE.spec.captcha });
  expect(client.reads).toEqual(['get']);
});

test('reads nothing for a captcha that is whole', async () => {
  const client = clientThatReads({ ok: true, object: WHOLE });
  expect(await readSources(client, unpackTask(packTask(aTask().build())), 5)).toEqual({ state: 'ready' });
  expect(client.reads).toEqual([]);
});

test('reads no Secret for a proxy whose address stands in the task', async () => {
  const client = clientThatReads({ ok: true, object: WHOLE });
  const task = aTask()
    .spec({ proxy: { type: 'HTTP', address: 'user:pass@198.51.100.7:3128' } })
    .build();
  expect(await readSources(client, unpackTask(packTask(task)), 5)).toEqual({ state: 'ready' });
  expect(client.reads).toEqual([]);
});

const SUCCESSOR: CaptchaTask = { ...WHOLE, metadata: { ...WHOLE.metadata, uid: 'another' } };
test.each<[string, ApiReply]>([
  ['the name belongs to another task', { ok: true, object: SUCCESSOR }],
  ['it is gone', { ok: false, status: 404, reason: 'NotFound', message: '', transient: false, sent: false }],
  ['the API server is away', { ok: false, status: 0, reason: 'Timeout', message: '', transient: true, sent: false }],
])('has nothing to submit where %s', async (_what, reply) => {
  expect(await readSources(clientThatReads(reply), CACHED, 5)).toBeUndefined();
});
