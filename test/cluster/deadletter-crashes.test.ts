/**
 * Dead letters when something dies or refuses at the worst moment. Retries are hours apart here, so that only a redrive
 * starts one, and one retry is a whole budget. Moments between two writes are held open by policies that refuse the
 * second one.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import { admin, pathOf } from '../support/cluster.ts';
import { type World, pageOf, reasonOf, startWorld } from '../support/processes.ts';
import { refuse } from '../support/refusals.ts';
import { waitUntil } from '../support/wait-until.ts';

let world: World;

beforeAll(async () => {
  world = await startWorld({
    operatorEnv: {
      DEAD_LETTER_RETRY_MIN_SECONDS: '3600',
      DEAD_LETTER_RETRY_MAX_SECONDS: '3600',
      DEAD_LETTER_MAX_ATTEMPTS: '1',
    },
  });
});
afterAll(async () => {
  await world?.stop();
});

const secretOf = (name: string): string => `${name}-solution`;
const taskPath = (name: string, ...rest: string[]): string => pathOf('captchatasks', world.namespace, name, ...rest);

async function lettersOf(name: string): Promise<DeadLetter[]> {
  return (await world.letters()).filter((letter) => letter.spec.taskRef.name === name);
}
async function untilLetter(
  name: string,
  reason: string,
  matches: (letter: DeadLetter) => boolean,
): Promise<DeadLetter> {
  return waitUntil(`the letter of ${name} ${reason}`, async () => (await lettersOf(name)).find(matches));
}
async function applyBlocked(name: string, options: Parameters<World['apply']>[1] = {}): Promise<CaptchaTask> {
  await world.createSecret(secretOf(name), { value: 'not ours' });
  return world.apply(name, { ...options, spec: { solutionSecretName: secretOf(name), ...options.spec } });
}
async function redrive(letter: DeadLetter, value: string): Promise<void> {
  const patch = { metadata: { annotations: { 'captcha-operator.io/retry': value } } };
  objectOf(await admin.patch(pathOf('deadletters', world.namespace, letter.metadata.name), patch, 'merge'));
}
async function spoolRecords(): Promise<number> {
  const [sidecar] = world.fleet.sidecars;
  const text = await (await fetch(sidecar?.metricsURL ?? '')).text();
  return Number(/^captcha_operator_spool_records (\d+)/m.exec(text)?.[1] ?? Number.NaN);
}
const isDeadLettered = (task: CaptchaTask): boolean =>
  reasonOf(task) === 'DeadLettered' && task.status?.deadLetter?.confirmed === true;
const stalled = (task: CaptchaTask): string | undefined =>
  task.status?.conditions?.find((condition) => condition.type === 'Stalled')?.status;

/** Nobody can confirm the mark of this task until the returned function is called. */
async function refuseConfirmation(name: string): Promise<() => Promise<void>> {
  const status = { deadLetter: { name: 'probe', time: '2026-01-01T00:00:00Z', confirmed: true } };
  return refuse({
    namespace: world.namespace,
    name: `confirm-${name}`,
    resource: 'captchatasks/status',
    operations: ['UPDATE'],
    allowed: `object.metadata.name != '${name}' || !has(object.status.deadLetter) || !has(object.status.deadLetter.confirmed)`,
    probe: () => admin.patch(`${taskPath(name, 'status')}?dryRun=All`, { status }, 'merge'),
  });
}

describe('the same result again', () => {
  test('solves its task although a letter holds it, and the letter is superseded', async () => {
    await applyBlocked('again');
    await world.until('again', 'is dead-lettered', isDeadLettered);
    await world.deleteSecret(secretOf('again'));
    const [submission] = await world.submissions('again');
    expect(await world.simulator.control.pingback({ id: submission?.id ?? '' })).toBe(200);
    const task = await world.untilPhase('again', 'Solved');
    expect(task.status?.solution?.source).toBe('Callback');
    const [letter] = await lettersOf('again');
    await redrive(letter!, '1');
    await untilLetter('again', 'to be superseded', ({ status }) => status?.phase === 'Superseded');
    expect((await world.task('again')).status?.solution).toEqual(task.status?.solution);
  });
});

describe('an abandoned letter', () => {
  test('stalls its task, keeps the result, and can be redriven', async () => {
    await applyBlocked('abandoned');
    const letter = await untilLetter('abandoned', 'to be introduced', ({ status }) => status?.phase === 'Pending');
    await redrive(letter, '1');
    const abandoned = await untilLetter('abandoned', 'to be abandoned', ({ status }) => status?.phase === 'Abandoned');
    expect(abandoned.status?.conditions?.[0]).toMatchObject({ status: 'False', reason: 'Abandoned' });
    expect(abandoned.spec.payload).toEqual(letter.spec.payload);
    const task = await world.until('abandoned', 'is stalled', (found) => stalled(found) === 'True');
    expect(reasonOf(task)).toBe('DeadLettered');

    await world.deleteSecret(secretOf('abandoned'));
    await redrive(letter, '2');
    const solved = await world.untilPhase('abandoned', 'Solved');
    expect(solved.status?.solution?.source).toBe('DeadLetter');
    expect(stalled(solved)).toBeUndefined();
    const resolved = await untilLetter('abandoned', 'to be resolved', ({ status }) => status?.phase === 'Resolved');
    expect(resolved.status).toMatchObject({ attempts: 2, redrives: 2, lastRedrive: { value: '2' } });
  });
});

describe('a process that is killed', () => {
  test('between "task solved" and "letter resolved" has no second effect', async () => {
    await applyBlocked('solved-first');
    const letter = await untilLetter('solved-first', 'to be introduced', ({ status }) => status?.phase === 'Pending');
    const { name } = letter.metadata;
    const allow = await refuse({
      namespace: world.namespace,
      name: 'resolve',
      resource: 'deadletters/status',
      operations: ['UPDATE'],
      allowed: `object.metadata.name != '${name}' || object.status.phase != 'Resolved'`,
      probe: () => {
        const path = `${pathOf('deadletters', world.namespace, name, 'status')}?dryRun=All`;
        return admin.patch(path, { status: { phase: 'Resolved' } }, 'merge');
      },
    });
    await world.deleteSecret(secretOf('solved-first'));
    await redrive(letter, '1');
    const solved = await world.untilPhase('solved-first', 'Solved');
    const [operator] = world.fleet.operators;
    operator?.kill('SIGKILL');
    await operator?.child().exited;
    await allow();
    expect((await lettersOf('solved-first'))[0]?.status?.phase).toBe('Pending');
    await operator?.start();
    await untilLetter('solved-first', 'to be resolved', ({ status }) => status?.phase === 'Resolved');
    expect(await world.task('solved-first')).toEqual(solved);
    expect(await world.paid('solved-first')).toBe(1);
  });

  test('between "letter created" and "mark confirmed" completes it from the spool', async () => {
    await world.createSecret(secretOf('half-marked'), { value: 'not ours' });
    await world.apply('half-marked', { spec: { solutionSecretName: secretOf('half-marked'), suspend: true } });
    const allow = await refuseConfirmation('half-marked');
    await admin.patch(taskPath('half-marked'), { spec: { suspend: false } }, 'merge');
    await untilLetter('half-marked', 'to be created', () => true);
    await waitUntil('the callback to be answered', async () => {
      const [submission] = await world.submissions('half-marked');
      return submission?.pingbacks[0]?.status === 200;
    });
    expect((await world.task('half-marked')).status?.deadLetter?.confirmed).toBeUndefined();
    const [sidecar] = world.fleet.sidecars;
    sidecar?.kill('SIGKILL');
    await sidecar?.child().exited;
    await allow();
    await sidecar?.start();
    await world.until('half-marked', 'is dead-lettered', isDeadLettered);
    expect(await lettersOf('half-marked')).toHaveLength(1);
    await waitUntil('the spool to be empty', async () => (await spoolRecords()) === 0);
  });

  test('between them, with a polled result that nobody else holds: the letter takes its task itself', async () => {
    await world.createSecret(secretOf('half-polled'), { value: 'not ours' });
    const captcha = {
      type: 'RecaptchaV3' as const,
      recaptchaV3: { siteKey: '6Lsite', pageURL: pageOf(world.namespace, 'half-polled'), action: 'login' },
    };
    const spec = { captcha, delivery: 'Poll', solutionSecretName: secretOf('half-polled'), suspend: true } as const;
    await world.apply('half-polled', { spec });
    const allow = await refuseConfirmation('half-polled');
    await admin.patch(taskPath('half-polled'), { spec: { suspend: false } }, 'merge');
    await untilLetter('half-polled', 'to be created', () => true);
    const [operator] = world.fleet.operators;
    operator?.kill('SIGKILL');
    await operator?.child().exited;
    await allow();
    await operator?.start();
    const letter = await untilLetter('half-polled', 'to be introduced', ({ status }) => status?.phase === 'Pending');
    await redrive(letter, '1');
    await world.until('half-polled', 'is dead-lettered', isDeadLettered);
  });
});

describe('when the API refuses the letter itself', () => {
  test('the spool keeps the result, the task is not failed, and all is made good afterwards', async () => {
    const allow = await refuse({
      namespace: world.namespace,
      name: 'letters',
      resource: 'deadletters',
      operations: ['CREATE'],
      allowed: `object.spec.taskRef.name != 'unwritten'`,
      probe: () => {
        const taskRef = { name: 'unwritten', uid: 'probe' };
        const error = { class: 'Conflict', message: 'probe' };
        const rest = {
          attempt: 1,
          captchaID: '1',
          stage: 'WriteSecret',
          source: 'Callback',
          payload: { code: 'probe' },
        };
        const spec = { taskRef, ...rest, error, receivedTime: '2026-01-01T00:00:00Z' };
        const manifest = {
          apiVersion: 'captcha-operator.io/v1alpha1',
          kind: 'DeadLetter',
          metadata: { name: 'probe' },
          spec,
        };
        return admin.create(`${pathOf('deadletters', world.namespace)}?dryRun=All`, manifest);
      },
    });
    await applyBlocked('unwritten');
    await waitUntil('the callback to be answered', async () => {
      const [submission] = await world.submissions('unwritten');
      return submission?.pingbacks[0]?.status === 200;
    });
    const marked = await world.until('unwritten', 'is marked', (task) => task.status?.deadLetter !== undefined);
    expect(marked.status?.deadLetter?.confirmed).toBeUndefined();
    expect(await lettersOf('unwritten')).toEqual([]);
    expect(await spoolRecords()).toBe(1);
    await allow();
    await world.until('unwritten', 'is dead-lettered', isDeadLettered);
    await waitUntil('the spool to be empty', async () => (await spoolRecords()) === 0);
    expect(await lettersOf('unwritten')).toHaveLength(1);
  });
});
