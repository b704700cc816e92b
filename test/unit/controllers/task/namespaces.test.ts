/** Several watched namespaces: each is judged by itself, and what one of them refuses stops nobody else. */
import { afterEach, describe, expect, test } from 'vitest';
import { CONFIG_MAP } from '../../../../src/api/names.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { aTask } from '../../../support/builders.ts';
import { refusal } from '../../../support/model-api.ts';
import { startStage } from '../../../support/task-controller.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { MAX_JOURNAL_BYTES } from '../../../../src/core/journal/entry.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

const fresh = (name = 'login') => aTask().named(name).uid(`uid-${name}`).created(Date.now());
const namespaces = ['default', 'shut'];
const ACCEPTED = { kind: 'accepted', captchaID: '1001' } as const;
const BUSY = { kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' } as const;

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

test('a namespace whose statuses may not be written leaves the others room in the journal', async () => {
  stage = await startStage({ namespaces });
  stage.api.faults = [
    (request) =>
      request.verb === 'replaceStatus' && request.namespace === 'shut' ? refusal(403, 'Forbidden') : undefined,
  ];
  for (let count = 0; count < 400; count += 1) {
    const name = `${'n'.repeat(200)}-${count}`;
    stage.apply(fresh(name).named(name, 'shut'));
  }
  const entries = () => stage.api.read(CONFIG_MAP.plural, 'captcha-operator-journal')?.data?.['entries'] ?? '';
  await waitUntil('its share of the journal to be taken', () => entries().length > MAX_JOURNAL_BYTES / 2 - 500);
  stage.apply(fresh());
  await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
  expect(entries().length).toBeLessThan(MAX_JOURNAL_BYTES / 2 + 1_000);
  // It is not that its tasks have all had their turn.
  expect(stage.submissions.length).toBeLessThan(200);
});

test('a namespace whose watch fell silent keeps no turn that others wait for', async () => {
  let aheadMs = 0;
  const clock = { now: Date.now, random: () => 0.5, monotonicMs: () => performance.now() + aheadMs };
  // One call at a time: the clock must not go ahead while others are under way.
  const policy = { ...DEFAULT_POLICY, maxConcurrentSubmissions: 1 };
  stage = await startStage({ namespaces, clock, policy });
  let taken = 0;
  stage.answer = ({ pingback }) => (pingback?.includes('/silent') && (taken += 1) > 1 ? BUSY : ACCEPTED);
  for (let count = 0; count < 40; count += 1) {
    stage.apply(fresh(`silent-${count}`).named(`silent-${count}`, 'shut'));
  }
  stage.client.silent.add('shut');
  await stage.until('the key to be busy', () => taken > 1, 'silent-0');
  expect(stage.phases()).toContain('Submitted');
  aheadMs = 20_000;
  for (let count = 0; count < 10; count += 1) {
    stage.apply(fresh(`other-${count}`));
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', `other-${count}`);
  }
});

test('a namespace whose status writes hang delays neither the submissions of another nor their record', async () => {
  stage = await startStage({ namespaces });
  const hangs = Promise.withResolvers<void>();
  stage.client.fate = (request) =>
    request.verb === 'replaceStatus' && request.namespace === 'shut' ? hangs.promise : undefined;
  for (let count = 0; count < 12; count += 1) {
    stage.apply(fresh(`slow-${count}`).named(`slow-${count}`, 'shut'));
  }
  await waitUntil('all of them to be accepted', () => stage.submissions.length === 12, { everyMs: 5 });
  for (let count = 0; count < 3; count += 1) {
    stage.apply(fresh(`other-${count}`));
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', `other-${count}`);
  }
  hangs.resolve();
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
