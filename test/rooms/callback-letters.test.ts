/**
 * A callback whose result has to become a dead letter, and a sidecar that dies on the way: killed at every one of its
 * requests, before or after it took effect, the next sidecar on the same spool finishes what was begun. Death is a
 * Kubernetes API that never answers again, and a copy of the spool as the dead sidecar left it.
 */
import { cp, rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { CAPTCHA_TASK, DEAD_LETTER, SECRET } from '../../src/api/names.ts';
import type { ApiReply, ApiRequest } from '../../src/core/protocol.ts';
import { CAPTCHA_ID, T0, aTask } from '../support/builders.ts';
import { createModelApi } from '../support/model-api.ts';
import type { ModelApi } from '../support/model-api.ts';
import { startSidecar, temporaryDirectory } from '../support/sidecar.ts';
import type { Sidecar, SidecarOptions } from '../support/sidecar.ts';
import { waitUntil } from '../support/wait-until.ts';

let api: ModelApi;
let directories: string[] = [];
let running: Sidecar[] = [];
/** Its Secret belongs to somebody else: the result cannot go where it should. */
let blocked: CaptchaTask;

beforeEach(async () => {
  api = createModelApi(Date.now);
  blocked = aTask().spec({ solutionSecretName: 'taken' }).intended(T0).submitted(T0).build();
  api.seed(CAPTCHA_TASK.plural, blocked);
  api.seed(SECRET.plural, { kind: 'Secret', metadata: { name: 'taken', namespace: 'default', uid: 'f' }, data: {} });
});
afterEach(async () => {
  for (const sidecar of running) await sidecar.stop();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
  running = [];
  directories = [];
});

async function directory(): Promise<string> {
  const made = await temporaryDirectory();
  directories.push(made);
  return made;
}
async function start(options: SidecarOptions): Promise<Sidecar> {
  const sidecar = await startSidecar({ api, limits: { drainOnStopMs: 50 }, ...options });
  running.push(sidecar);
  return sidecar;
}
const read = (): CaptchaTask => api.read<CaptchaTask>(CAPTCHA_TASK.plural, 'login')!;
const letters = (): DeadLetter[] => api.all<DeadLetter>(DEAD_LETTER.plural);
const deliver = async (sidecar: Sidecar): Promise<number> =>
  (await sidecar.get(`${sidecar.pathFor(blocked)}?id=${CAPTCHA_ID}&code=the-token`)).status;

test('it is in the spool before the task is marked, and leaves it when the letter holds the task', async () => {
  const records: number[] = [];
  const sidecar = await start({
    execute: (request) => {
      if (changes(request)) records.push(sidecar.server.spoolStats().records);
      return Promise.resolve(api.handle(request));
    },
  });
  expect(await deliver(sidecar)).toBe(200);
  await waitUntil('the letter to hold the task', () => read().status?.deadLetter?.confirmed === true);
  await waitUntil('the record to be released', () => sidecar.server.spoolStats().records === 0);
  // The mark, the letter, the confirmation.
  expect(records).toEqual([1, 1, 1]);
  expect(letters()).toHaveLength(1);
  await waitUntil('the verdict', () => sidecar.results.length === 2);
  expect(sidecar.results).toEqual(['spooled', 'dead_lettered']);
});

/** A mark, a letter or a confirmation; creating the Secret that is there already changes nothing. */
function changes(request: ApiRequest): boolean {
  return request.verb !== 'get' && !(request.verb === 'create' && request.resource.plural === SECRET.plural);
}

describe('a sidecar killed', () => {
  const deaths = Array.from({ length: 14 }, (_, n) => [
    [n, 'before'],
    [n, 'after'],
  ]).flat() as [number, 'before' | 'after'][];

  test.each(deaths)(
    'at its request %i, %s it took effect, leaves nothing that its next life does not finish',
    async (n, when) => {
      let requests = 0;
      const { promise: never, resolve: letEnd } = Promise.withResolvers<ApiReply>();
      const died = Promise.withResolvers<void>();
      const execute = async (request: ApiRequest): Promise<ApiReply> => {
        if (requests++ < n) return api.handle(request);
        if (requests === n + 1 && when === 'after') api.handle(request);
        died.resolve();
        return never;
      };
      const spoolDir = await directory();
      const dying = await start({
        spoolDir,
        execute,
        limits: { apiBudgetMs: 30_000, answerBudgetMs: 60_000, drainOnStopMs: 0 },
      });
      const answer = deliver(dying).catch(() => 0);
      const ended = waitUntil(
        'all to be done',
        () => letters().length === 1 && dying.server.spoolStats().records === 0,
      );
      await Promise.race([died.promise, ended]);
      const remains = await directory();
      await cp(spoolDir, remains, { recursive: true });
      const answered = dying.results.includes('spooled');
      const marked = read().status?.deadLetter !== undefined;

      const next = await start({ spoolDir: remains });
      if (answered || marked) {
        const isHeld = (): boolean => read().status?.deadLetter?.confirmed === true;
        await waitUntil('the letter to hold the task', isHeld, { boundMs: 10_000 });
        expect(letters().map(({ spec }) => spec.payload.code)).toEqual(['the-token']);
      }
      await waitUntil('the spool to be empty', () => next.server.spoolStats().records === 0);
      letEnd({ ok: false, status: 0, reason: '', message: '', transient: true, sent: true });
      await answer;
    },
  );
});
