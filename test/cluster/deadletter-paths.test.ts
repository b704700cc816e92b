/** Dead letters through real processes and a real API server: every stage, every end, and what people do about them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptchaTask, CaptchaTaskSpec } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import { admin, corePathOf, pathOf } from '../support/cluster.ts';
import { type World, pageOf, reasonOf, startWorld } from '../support/processes.ts';
import { refuse } from '../support/refusals.ts';
import { waitUntil } from '../support/wait-until.ts';

let world: World;
const DUE_SECONDS = 3;

beforeAll(async () => {
  world = await startWorld({
    sidecars: 2,
    operatorEnv: {
      DEAD_LETTER_RETRY_MIN_SECONDS: String(DUE_SECONDS),
      DEAD_LETTER_RETRY_MAX_SECONDS: String(DUE_SECONDS),
    },
  });
});
afterAll(async () => {
  await world?.stop();
});

const secretOf = (name: string): string => `${name}-solution`;
const letterPath = (name: string): string => pathOf('deadletters', world.namespace, name);

async function letterOf(name: string): Promise<DeadLetter> {
  return waitUntil(`a letter of ${name}`, async () =>
    (await world.letters()).find((one) => one.spec.taskRef.name === name),
  );
}
async function untilLetter(name: string, phase: string): Promise<DeadLetter> {
  return waitUntil(`the letter of ${name} to be ${phase}`, async () => {
    const letter = await letterOf(name);
    return letter.status?.phase === phase ? letter : undefined;
  });
}
/** A task whose solution Secret belongs to someone else. */
async function applyBlocked(name: string, options: Parameters<World['apply']>[1] = {}): Promise<CaptchaTask> {
  await world.createSecret(secretOf(name), { value: 'not ours' });
  return world.apply(name, { ...options, spec: { solutionSecretName: secretOf(name), ...options.spec } });
}
async function annotate(letter: DeadLetter, value: string): Promise<void> {
  const patch = { metadata: { annotations: { 'captcha-operator.io/retry': value } } };
  objectOf(await admin.patch(letterPath(letter.metadata.name), patch, 'merge'));
}
/** Polled from the start, and of the type that is polled soonest. */
const polled = (name: string): Partial<CaptchaTaskSpec> => ({
  delivery: 'Poll',
  captcha: {
    type: 'RecaptchaV3',
    recaptchaV3: { siteKey: '6Lsite', pageURL: pageOf(world.namespace, name), action: 'login' },
  },
});
const isDeadLettered = (task: CaptchaTask): boolean =>
  reasonOf(task) === 'DeadLettered' && task.status?.deadLetter?.confirmed === true;

describe('a Secret that is not ours', () => {
  test('keeps the result in a letter, and its removal brings it to the task', async () => {
    await applyBlocked('blocked');
    const held = await world.until('blocked', 'is dead-lettered', isDeadLettered);
    const letter = await letterOf('blocked');
    expect(held.status?.phase).toBe('Submitted');
    expect(letter.metadata.name).toBe(held.status?.deadLetter?.name);
    expect(letter.spec).toMatchObject({ stage: 'WriteSecret', source: 'Callback', error: { class: 'Conflict' } });
    const pending = await untilLetter('blocked', 'Pending');
    expect(pending.status?.conditions?.[0]).toMatchObject({ type: 'Resolved', status: 'Unknown', reason: 'Conflict' });

    await world.deleteSecret(secretOf('blocked'));
    const solved = await world.untilPhase('blocked', 'Solved');
    expect(solved.status?.solution).toMatchObject({ source: 'DeadLetter', secretRef: { name: secretOf('blocked') } });
    const resolved = await untilLetter('blocked', 'Resolved');
    expect(resolved.status?.completionTime).toBeDefined();
    const secret = objectOf<{ data: { value: string } }>(
      await admin.get(corePathOf('secrets', world.namespace, secretOf('blocked'))),
    );
    expect(atob(secret.data.value)).toBe(letter.spec.payload.code);
    expect(await world.paid('blocked')).toBe(1);
  });

  test('is one letter when two sidecars and several callbacks meet it at the same time', async () => {
    const pingbacks = Array.from({ length: 8 }, () => ({}));
    await applyBlocked('many', { script: { tasks: [{ pingbacks }] } });
    await world.until('many', 'is dead-lettered', isDeadLettered);
    await waitUntil('every callback to be answered', async () => {
      const [submission] = await world.submissions('many');
      return submission?.pingbacks.length === 8 && submission.pingbacks.every(({ status }) => status === 200);
    });
    const letters = (await world.letters()).filter((letter) => letter.spec.taskRef.name === 'many');
    expect(letters).toHaveLength(1);
  });

  test('is found by a poll, too', async () => {
    await applyBlocked('polled', { spec: polled('polled') });
    await world.until('polled', 'is dead-lettered', isDeadLettered);
    expect((await letterOf('polled')).spec).toMatchObject({ stage: 'WriteSecret', source: 'Poll' });
    await world.deleteSecret(secretOf('polled'));
    const solved = await world.untilPhase('polled', 'Solved');
    expect(solved.status?.solution?.source).toBe('DeadLetter');
  });

  test('does not fail its task at the deadline', async () => {
    await applyBlocked('overdue', { spec: { activeDeadlineSeconds: 8 } });
    await world.until('overdue', 'is dead-lettered', isDeadLettered);
    await waitUntil('the deadline to be over', async () => {
      const started = Date.parse((await world.task('overdue')).status?.startTime ?? '');
      const tries = (await letterOf('overdue')).status?.attempts ?? 0;
      return tries >= 2 && Date.now() > started + 10_000;
    });
    expect(reasonOf(await world.task('overdue'))).toBe('DeadLettered');
    await world.deleteSecret(secretOf('overdue'));
    await world.untilPhase('overdue', 'Solved');
  });
});

describe('a status that the API refuses', () => {
  test.each([
    ['ApplyCallback', 'refused-callback', () => ({})],
    ['ApplyPoll', 'refused-poll', () => polled('refused-poll')],
  ] as const)('becomes a letter of stage %s, and is applied when it is accepted again', async (stage, name, spec) => {
    await world.apply(name, { spec: { ...spec(), suspend: true } });
    const status = {
      solution: { value: 'probe', source: 'Callback', attempt: 1, receivedTime: '2026-01-01T00:00:00Z' },
    };
    const allow = await refuse({
      namespace: world.namespace,
      name,
      resource: 'captchatasks/status',
      operations: ['UPDATE'],
      allowed: `object.metadata.name != '${name}' || !has(object.status.solution)`,
      probe: () =>
        admin.patch(`${pathOf('captchatasks', world.namespace, name, 'status')}?dryRun=All`, { status }, 'merge'),
    });
    await admin.patch(pathOf('captchatasks', world.namespace, name), { spec: { suspend: false } }, 'merge');
    await world.until(name, 'is dead-lettered', isDeadLettered);
    const letter = await letterOf(name);
    expect(letter.spec).toMatchObject({ stage, error: { class: 'Invalid' } });
    expect(JSON.stringify(letter.spec.error)).not.toContain(letter.spec.payload.code);
    await allow();
    const solved = await world.untilPhase(name, 'Solved');
    expect(solved.status?.solution).toMatchObject({ source: 'DeadLetter', value: letter.spec.payload.code });
    await untilLetter(name, 'Resolved');
  });
});

describe('a letter is superseded', () => {
  test('when its task was deleted', async () => {
    await applyBlocked('deleted');
    await letterOf('deleted');
    await world.deleteTask('deleted');
    const letter = await untilLetter('deleted', 'Superseded');
    expect(letter.status?.conditions?.[0]).toMatchObject({ status: 'True', reason: 'Superseded' });
  });

  test('when its task was recreated under the same name, which it does not touch', async () => {
    const script = { tasks: [{}, { result: 'never' as const }] };
    await applyBlocked('recreated', { script });
    await letterOf('recreated');
    await world.deleteTask('recreated');
    await world.apply('recreated', { spec: { solutionSecretName: secretOf('recreated') } });
    await world.deleteSecret(secretOf('recreated'));
    await untilLetter('recreated', 'Superseded');
    const task = await world.untilPhase('recreated', 'Submitted');
    expect(task.status?.solution).toBeUndefined();
    expect((await admin.get(corePathOf('secrets', world.namespace, secretOf('recreated')))).status).toBe(404);
  });
});

describe('a person', () => {
  test('who deletes a pending letter gives the result up: the task fails and says so', async () => {
    await applyBlocked('given-up');
    await world.until('given-up', 'is dead-lettered', isDeadLettered);
    const letter = await untilLetter('given-up', 'Pending');
    objectOf(await admin.delete(letterPath(letter.metadata.name)));
    const task = await world.untilPhase('given-up', 'Failed');
    expect(reasonOf(task)).toBe('DeadLetterAbandoned');
    expect(task.status?.failure?.class).toBe('DeadLetter');
  });

  test('who redrives a pending letter has it retried at once', async () => {
    await applyBlocked('hurried');
    const letter = await untilLetter('hurried', 'Pending');
    await annotate(letter, '1');
    const retried = await waitUntil('the redrive to be recorded', async () => {
      const found = await letterOf('hurried');
      return found.status?.redrives === 1 && (found.status.attempts ?? 0) >= 1 ? found : undefined;
    });
    expect(retried.status).toMatchObject({
      phase: 'Pending',
      lastRedrive: { value: '1' },
      lastError: { class: 'Conflict' },
    });
  });

  test('who redrives a superseded letter sees it superseded again, a resolved one nothing', async () => {
    await applyBlocked('late-redrive');
    const first = await untilLetter('late-redrive', 'Pending');
    await world.deleteTask('late-redrive');
    await untilLetter('late-redrive', 'Superseded');
    await annotate(first, '1');
    await waitUntil('the redrive to have ended', async () => {
      const { status } = await letterOf('late-redrive');
      return status?.redrives === 1 && status.phase === 'Superseded' && (status.attempts ?? 0) >= 2;
    });
    const [resolved] = (await world.letters()).filter((letter) => letter.status?.phase === 'Resolved');
    expect(resolved).toBeDefined();
    await annotate(resolved!, '1');
    // A later redrive of another letter shows that the queue has been past this one.
    await annotate(first, '2');
    await waitUntil(
      'the other redrive to be recorded',
      async () => (await letterOf('late-redrive')).status?.redrives === 2,
    );
    const after = objectOf<DeadLetter>(await admin.get(letterPath(resolved!.metadata.name)));
    expect(after.status).toEqual(resolved!.status);
  });
});
