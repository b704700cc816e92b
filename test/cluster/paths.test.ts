/** Every path of a task, through real processes, a real API server and the simulator's books. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { admin, pathOf } from '../support/cluster.ts';
import { reasonOf, startWorld, type World } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

let world: World;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(async () => {
  await world?.stop();
});

describe('a submitted task', () => {
  test('is solved by its callback with three status writes', async () => {
    await world.apply('callback');
    const task = await world.untilPhase('callback', 'Solved');
    expect(task.status?.solution).toMatchObject({ source: 'Callback', attempt: 1 });
    expect(task.status?.solution?.captchaID).toBe(task.status?.submission?.captchaID);
    expect(task.status).toMatchObject({ attempts: 1, unknownSubmissions: 0, observedGeneration: 1 });
    expect(await world.paid('callback')).toBe(1);
    const conditions = Object.fromEntries((task.status?.conditions ?? []).map((one) => [one.type, one.status]));
    expect(conditions).toEqual({ Solved: 'True', Submitted: 'True' });
  });

  test('is polled when its callback is lost', async () => {
    await world.apply('lost', { spec: { callbackTimeoutSeconds: 2 }, script: { tasks: [{ pingbacks: [] }] } });
    const task = await world.untilPhase('lost', 'Solved');
    expect(task.status?.solution?.source).toBe('Poll');
    expect(await world.paid('lost')).toBe(1);
  });

  test('takes a callback that comes twice once', async () => {
    await world.apply('twice', { script: { tasks: [{ pingbacks: [{}, { afterMs: 300, code: 'another answer' }] }] } });
    const first = await world.untilPhase('twice', 'Solved');
    await waitUntil('both callbacks to be answered', async () => {
      const [submission] = await world.submissions('twice');
      return submission?.pingbacks.length === 2 && submission.pingbacks.every((pingback) => pingback.status === 200);
    });
    expect((await world.task('twice')).status?.solution).toEqual(first.status?.solution);
  });

  test('takes a callback that comes before the submit call returned', async () => {
    await world.apply('early', { script: { tasks: [{ solveAfterMs: 0, pingbacks: [{ beforeReply: true }] }] } });
    const task = await world.untilPhase('early', 'Solved');
    expect(task.status?.solution).toMatchObject({ source: 'Callback' });
    expect(task.status?.submission?.captchaID).toBe(task.status?.solution?.captchaID);
    expect(await world.paid('early')).toBe(1);
  });

  test('without callbacks is polled from the start', async () => {
    await world.apply('poll-only', { spec: { delivery: 'Poll' } });
    const task = await world.untilPhase('poll-only', 'Solved');
    expect(task.status?.solution?.source).toBe('Poll');
    expect((await world.submissions('poll-only'))[0]?.pingback).toBe('');
  });
});

describe('a task that fails', () => {
  test('fails at once on a permanent error and says which', async () => {
    await world.apply('permanent', { script: { submit: [{ code: 'ERROR_PAGEURL' }] } });
    const task = await world.untilPhase('permanent', 'Failed');
    expect(task.status?.failure).toMatchObject({ class: 'Permanent', code: 'ERROR_PAGEURL' });
    expect(reasonOf(task)).toBe('ProviderRejected');
    expect(await world.paid('permanent')).toBe(0);
  });

  test('is submitted again as often as backoffLimit allows, then is Unsolvable', async () => {
    await world.apply('unsolvable', {
      spec: { backoffLimit: 1 },
      script: { tasks: [{ result: { code: 'ERROR_CAPTCHA_UNSOLVABLE' } }] },
    });
    const task = await world.untilPhase('unsolvable', 'Failed');
    expect(reasonOf(task)).toBe('Unsolvable');
    expect(task.status?.failure).toMatchObject({ class: 'Retriable', code: 'ERROR_CAPTCHA_UNSOLVABLE' });
    expect(await world.paid('unsolvable')).toBe(2);
  });

  test('exceeds its deadline only after a last poll', async () => {
    await world.apply('deadline', { spec: { activeDeadlineSeconds: 2 }, script: { tasks: [{ result: 'never' }] } });
    const task = await world.untilPhase('deadline', 'Failed');
    expect(reasonOf(task)).toBe('DeadlineExceeded');
    expect((await world.submissions('deadline'))[0]?.polls.length).toBeGreaterThanOrEqual(1);
  });

  test('waits for a missing API key and says so', async () => {
    await world.apply('keyless', { spec: { apiKeySecretRef: { name: 'absent', key: 'api-key' } } });
    const waiting = await world.until('keyless', 'says MissingAPIKey', (task) => reasonOf(task) === 'MissingAPIKey');
    expect(waiting.status?.phase).toBe('Pending');
    await world.createSecret('absent', { 'api-key': 'x'.repeat(32) });
    await world.untilPhase('keyless', 'Solved');
  });
});

describe('what a person does meanwhile', () => {
  test('suspends a task before it was submitted, and resumes it', async () => {
    await world.apply('suspended', { spec: { suspend: true } });
    const waiting = await world.until('suspended', 'says Suspended', (task) => reasonOf(task) === 'Suspended');
    expect(waiting.status?.startTime).toBeUndefined();
    expect(await world.submissions('suspended')).toHaveLength(0);
    await admin.patch(pathOf('captchatasks', world.namespace, 'suspended'), { spec: { suspend: false } }, 'merge');
    await world.untilPhase('suspended', 'Solved');
    expect(await world.paid('suspended')).toBe(1);
  });

  test('deletes a task: its late callback is answered 200 and dropped', async () => {
    await world.apply('deleted', { script: { tasks: [{ pingbacks: [{ onCommand: true }] }] } });
    await world.untilPhase('deleted', 'Submitted');
    await world.deleteTask('deleted');
    const [submission] = await world.submissions('deleted');
    await waitUntil('the provider to have a result', async () => {
      const [one] = await world.submissions('deleted');
      return one?.solvedTimeMs !== undefined;
    });
    expect(await world.simulator.control.pingback({ id: submission?.id ?? '' })).toBe(200);
  });

  test('recreates a task under the same name: a callback for the old one does not touch the new one', async () => {
    const script = { tasks: [{ pingbacks: [{ onCommand: true as const }] }] };
    await world.apply('again', { script });
    await world.untilPhase('again', 'Submitted');
    await world.deleteTask('again');
    await world.apply('again', { script });
    await world.untilPhase('again', 'Submitted');
    const old = await waitUntil('the provider to have the result of the old one', async () => {
      const [one] = await world.submissions('again');
      return one?.solvedTimeMs === undefined ? undefined : one;
    });
    expect(await world.simulator.control.pingback({ id: old.id ?? '' })).toBe(200);
    expect((await world.task('again')).status?.phase).toBe('Submitted');
  });

  test('finds a finished task gone when its time to live is over', async () => {
    await world.apply('short-lived', { spec: { ttlSecondsAfterFinished: 0 } });
    await waitUntil('the task to be deleted', async () => {
      const reply = await admin.get(pathOf('captchatasks', world.namespace, 'short-lived'));
      return reply.status === 404;
    });
    expect(await world.paid('short-lived')).toBe(1);
  });
});
