import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { TimeToLive, TimeToLiveOptions } from '../../../../src/controllers/task/ttl.ts';
import type { ModelApi } from '../../../support/model-api.ts';
import type { ModelClient } from '../../../support/model-client.ts';
import type { TaskBuilder } from '../../../support/builders.ts';
import { CAPTCHA_TASK } from '../../../../src/api/names.ts';
import { createTimeToLive } from '../../../../src/controllers/task/ttl.ts';
import { T0, aTask } from '../../../support/builders.ts';
import { createModelApi } from '../../../support/model-api.ts';
import { createModelClient } from '../../../support/model-client.ts';

const SECOND = 1_000;
const silent = { debug() {}, info() {}, warn() {}, error() {}, isEnabled: () => false, with: () => silent };
let api: ModelApi;
let ttl: TimeToLive;
let leads: boolean;

const options = (client: ModelClient): TimeToLiveOptions => ({
  client,
  namespaces: undefined,
  defaultTtlSeconds: 3_600,
  now: () => Date.now(),
  mayAct: () => leads,
  log: silent,
});

beforeEach(() => {
  vi.useFakeTimers({ now: T0 });
  api = createModelApi();
  leads = true;
  ttl = createTimeToLive(options(createModelClient(api)));
  ttl.start();
});
afterEach(async () => {
  await ttl.stop();
  vi.useRealTimers();
});

const store = (builder: TaskBuilder): CaptchaTask => {
  const task = builder.build();
  api.seed(CAPTCHA_TASK.plural, task);
  return api.read<CaptchaTask>(CAPTCHA_TASK.plural, task.metadata.name) ?? task;
};
const exists = () => api.read(CAPTCHA_TASK.plural, 'login') !== undefined;
const finished = (at = T0) => aTask().intended(at).submitted(at).solved(at);

describe('a finished task', () => {
  test('is deleted when its own time is over, not before', async () => {
    ttl.finished(store(finished().spec({ ttlSecondsAfterFinished: 60 })));
    await vi.advanceTimersByTimeAsync(59 * SECOND);
    expect(exists()).toBe(true);
    await vi.advanceTimersByTimeAsync(2 * SECOND);
    expect(exists()).toBe(false);
  });
  test('of Argo CD or Flux is read again before the default would delete it, and kept', async () => {
    const task = finished().build();
    const labels = { 'kustomize.toolkit.fluxcd.io/name': 'captchas' };
    api.seed(CAPTCHA_TASK.plural, { ...task, metadata: { ...task.metadata, labels } });
    // As the cache has it: without labels.
    ttl.finished(task);
    await vi.advanceTimersByTimeAsync(2 * 3_600 * SECOND);
    expect(exists()).toBe(true);
  });
  test('is found by a sweep when nobody saw it finish', async () => {
    store(finished(T0 - 3_700 * SECOND));
    await vi.advanceTimersByTimeAsync(15 * SECOND);
    expect(exists()).toBe(false);
  });
  test('is found by a sweep also when the wall clock was set back after the one before', async () => {
    await vi.advanceTimersByTimeAsync(15 * SECOND);
    vi.setSystemTime(T0 - 30 * 86_400 * SECOND);
    store(finished(Date.now() - 3_700 * SECOND));
    await vi.advanceTimersByTimeAsync(15 * SECOND);
    expect(exists()).toBe(false);
  });
  test('of which there are too many to hold is left to the next sweep', async () => {
    await ttl.stop();
    const client = createModelClient(api);
    const { list } = client;
    let lists = 0;
    client.list = (...asked) => {
      lists += 1;
      return list(...asked);
    };
    ttl = createTimeToLive({ ...options(client), maxHeld: 2 });
    ttl.start();
    await vi.advanceTimersByTimeAsync(15 * SECOND);
    const before = lists;
    for (const name of ['a', 'b', 'c']) {
      ttl.finished(store(finished().named(name).uid(`uid-of-${name}`).spec({ ttlSecondsAfterFinished: 600 })));
    }
    await vi.advanceTimersByTimeAsync(580 * SECOND);
    expect(lists).toBe(before);
    for (let second = 0; second < 330; second += 1) await vi.advanceTimersByTimeAsync(SECOND);
    expect(lists).toBeGreaterThan(before);
    expect(api.all(CAPTCHA_TASK.plural)).toEqual([]);
  });
  test('is deleted also while there are too many to hold and others finish all the time', async () => {
    await ttl.stop();
    ttl = createTimeToLive({ ...options(createModelClient(api)), maxHeld: 2 });
    ttl.start();
    for (const name of ['a', 'b', 'c'])
      store(
        finished(T0 - 3_700 * SECOND)
          .named(name)
          .uid(`uid-of-${name}`),
      );
    const left = () => api.all<CaptchaTask>(CAPTCHA_TASK.plural).map(({ metadata }) => metadata.name);
    await vi.advanceTimersByTimeAsync(9_500);
    for (let second = 0; second < 20; second += 1) {
      const next = finished(Date.now()).named(`n${second}`).uid(`uid-of-n${second}`);
      ttl.finished(store(next.spec({ ttlSecondsAfterFinished: 0 })));
      await vi.advanceTimersByTimeAsync(SECOND);
    }
    expect(left()).not.toContain('a');
  });
  test('is found although a namespace before its own may not be listed', async () => {
    await ttl.stop();
    const client = createModelClient(api);
    client.forbidden.add('a-shut-one');
    ttl = createTimeToLive({ ...options(client), namespaces: ['a-shut-one', 'default'] });
    ttl.start();
    store(finished(T0 - 3_700 * SECOND));
    await vi.advanceTimersByTimeAsync(15 * SECOND);
    expect(exists()).toBe(false);
  });
  test('is found in pages of 50 tasks, and fewer where tasks are large', async () => {
    await ttl.stop();
    const client = createModelClient(api);
    const limits: unknown[] = [];
    const tooLarge = { ok: false, status: 0, reason: 'TooLarge', message: '', transient: true, sent: true } as const;
    const list: ModelClient['list'] = async (resource, how) => {
      limits.push(how?.limit);
      return limits.length < 3 ? tooLarge : await client.list(resource, how);
    };
    ttl = createTimeToLive(options({ ...client, list }));
    ttl.start();
    store(finished(T0 - 3_700 * SECOND));
    await vi.advanceTimersByTimeAsync(15 * SECOND);
    expect(limits.slice(0, 3)).toEqual([50, 25, 13]);
    expect(exists()).toBe(false);
  });
  test('whose time is far off is not held, and still deleted in time', async () => {
    store(finished().spec({ ttlSecondsAfterFinished: 20_000 }));
    await vi.advanceTimersByTimeAsync(19_990 * SECOND);
    expect(exists()).toBe(true);
    await vi.advanceTimersByTimeAsync(20 * SECOND);
    expect(exists()).toBe(false);
  });
  test('is left alone by a standby', async () => {
    ttl.finished(store(finished().spec({ ttlSecondsAfterFinished: 1 })));
    leads = false;
    await vi.advanceTimersByTimeAsync(60 * SECOND);
    expect(exists()).toBe(true);
  });
});

describe('before it deletes it reads', () => {
  test('a task that left the watch but is not finished is left alone', async () => {
    ttl.left(store(aTask().intended().submitted().spec({ ttlSecondsAfterFinished: 1 })));
    await vi.advanceTimersByTimeAsync(30 * SECOND);
    expect(exists()).toBe(true);
  });
  test('another task of the same name is left alone', async () => {
    ttl.finished(store(finished().spec({ ttlSecondsAfterFinished: 5 })));
    store(
      finished(T0 + 3 * SECOND)
        .uid('another')
        .spec({ ttlSecondsAfterFinished: 86_400 }),
    );
    await vi.advanceTimersByTimeAsync(60 * SECOND);
    expect(exists()).toBe(true);
  });
  test('a task that finished by another hand is deleted at its real time', async () => {
    ttl.left(store(finished(T0 + 20 * SECOND).spec({ ttlSecondsAfterFinished: 10 })));
    await vi.advanceTimersByTimeAsync(29 * SECOND);
    expect(exists()).toBe(true);
    await vi.advanceTimersByTimeAsync(3 * SECOND);
    expect(exists()).toBe(false);
  });
});
