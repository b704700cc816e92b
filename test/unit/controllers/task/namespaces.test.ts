/** Several watched namespaces: each is judged by itself, and what one of them refuses stops nobody else. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Stage } from '../../../support/task-controller.ts';
import { aTask } from '../../../support/builders.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

const fresh = (name = 'login') => aTask().named(name).uid(`uid-${name}`).created(Date.now());
const namespaces = ['default', 'shut'];

describe('a namespace that may not be listed', () => {
  test('stops itself and no other', async () => {
    stage = await startStage({ namespaces }, ['shut']);
    stage.apply(fresh());
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
  });

  test('is acted on when it may be listed at last, tasks that came before included', async () => {
    stage = await startStage({ namespaces }, ['shut']);
    stage.apply(fresh('hidden').named('hidden', 'shut'));
    stage.apply(fresh());
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions).toHaveLength(1);
    stage.client.forbidden.clear();
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'hidden');
    await stage.controller.synced;
  });

  test('does not hold up the deadlines of another', async () => {
    let offsetMs = 0;
    const clock = {
      now: () => Date.now() + offsetMs,
      random: () => 0.5,
      monotonicMs: () => performance.now() + offsetMs,
    };
    stage = await startStage({ namespaces, clock }, ['shut']);
    stage.answer = () => ({ kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' });
    stage.apply(fresh().spec({ activeDeadlineSeconds: 60 }));
    await stage.until('waiting', () => stage.reason() === 'ProviderBusy');
    offsetMs = 120_000;
    await stage.until('failed', ({ status }) => status?.phase === 'Failed');
    expect(stage.reason()).toBe('DeadlineExceeded');
  });
});

test('a namespace that is listed page by page is acted on when all of it is known, not before', async () => {
  const rest = Promise.withResolvers<void>();
  stage = await startStage({ namespaces: ['default', 'other'] }, ['default']);
  const { list } = stage.client;
  stage.client.list = async (resource, options) => {
    const page = await list(resource, options);
    if (options?.continue !== undefined) await rest.promise;
    return page.ok && options?.continue === undefined ? { ...page, continue: 'more' } : page;
  };
  stage.apply(fresh());
  stage.client.forbidden.clear();
  await waitUntil('the first page to be in the cache', () => stage.controller.task('default', 'login') !== undefined);
  stage.controller.wake('default', 'login');
  stage.apply(fresh('neighbour').named('neighbour', 'other'));
  await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'neighbour');
  expect(stage.submissions).toHaveLength(1);
  rest.resolve();
  await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
});
