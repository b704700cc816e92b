/** Many letters at once, the end of their time, and missing permissions. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { API_VERSION } from '../../src/api/names.ts';
import { applyManifests, objectOf } from '../../dev/control-plane/index.ts';
import { admin, pathOf } from '../support/cluster.ts';
import { type World, reasonOf, startWorld } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

const LETTERS = 500;
const TASKS = 10;

let world: World;

beforeAll(async () => {
  world = await startWorld({
    operatorEnv: {
      DEAD_LETTER_RETRY_MIN_SECONDS: '1',
      DEAD_LETTER_RETRY_MAX_SECONDS: '1',
      DEAD_LETTER_MAX_ATTEMPTS: '1',
      DEAD_LETTER_TTL_SECONDS: '2',
    },
  });
});
afterAll(async () => {
  await world?.stop();
});

/** A letter of a task that is long gone. */
function strayLetter(index: number): object {
  return {
    apiVersion: API_VERSION,
    kind: 'DeadLetter',
    metadata: { name: `stray-${index}` },
    spec: {
      taskRef: { name: `gone-${index}`, uid: `uid-${index}` },
      attempt: 1,
      captchaID: String(index + 1),
      stage: 'ApplyCallback',
      source: 'Callback',
      payload: { code: 'stray' },
      error: { class: 'Invalid', message: 'The API server refused it.' },
      receivedTime: '2026-01-01T00:00:00Z',
    },
  };
}
async function createAll(count: number, create: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await create(next++);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
async function superseded(): Promise<number> {
  const [operator] = world.fleet.operators;
  const text = await (await fetch(operator?.metricsURL ?? '')).text();
  return Number(/^captcha_operator_dead_letter_retries_total\{result="superseded"\} (\d+)/m.exec(text)?.[1]);
}

describe('an abandoned letter', () => {
  test('is deleted when its time is over, and its task fails then, not before', async () => {
    await world.createSecret('left-solution', { value: 'not ours' });
    await world.apply('left', { spec: { solutionSecretName: 'left-solution' } });
    const abandoned = await waitUntil('the letter to be abandoned', async () =>
      (await world.letters()).find((letter) => letter.status?.phase === 'Abandoned'),
    );
    expect(abandoned.status?.attempts).toBe(1);
    const failed = await world.untilPhase('left', 'Failed');
    expect(reasonOf(failed)).toBe('DeadLetterAbandoned');
    expect(await world.letters()).toEqual([]);
  });
});

describe('a storm of letters', () => {
  test('leaves the way free for new tasks, and comes to its end, every letter once', async () => {
    await createAll(LETTERS, async (index) =>
      objectOf(await admin.create(pathOf('deadletters', world.namespace), strayLetter(index))),
    );
    const tasks = Array.from({ length: TASKS }, (_, index) => `during-${index}`);
    await Promise.all(tasks.map((name) => world.apply(name)));
    await Promise.all(tasks.map((name) => world.untilPhase(name, 'Solved')));
    expect(await superseded()).toBeLessThan(LETTERS);
    await waitUntil('every letter to be retried', async () => (await superseded()) === LETTERS, { boundMs: 150_000 });
  }, 300_000);
});

describe('a missing permission', () => {
  test('is named in the letter, and the result is stored once it is granted', async () => {
    const strict = await startWorld({
      tenant: false,
      operatorEnv: { DEAD_LETTER_RETRY_MIN_SECONDS: '2', DEAD_LETTER_RETRY_MAX_SECONDS: '2' },
    });
    try {
      await strict.apply('forbidden', { spec: { solutionSecretName: 'forbidden-solution' } });
      const letter = await waitUntil<DeadLetter>('a letter', async () => (await strict.letters())[0]);
      expect(letter.spec).toMatchObject({ stage: 'WriteSecret', error: { class: 'Forbidden' } });
      expect(letter.spec.error.message).toMatch(/User "system:serviceaccount:.*" cannot create resource "secrets"/);
      await applyManifests(admin, ['deploy/tenant/rbac.yaml'], strict.namespace);
      const solved = await strict.untilPhase('forbidden', 'Solved');
      expect(solved.status?.solution?.source).toBe('DeadLetter');
    } finally {
      await strict.stop();
    }
  });
});
