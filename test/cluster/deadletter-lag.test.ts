/** A cache of letters that lags behind: nothing final may follow from it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiFront, startApiFront } from '../support/api-front.ts';
import { type World, reasonOf, startWorld } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

let front: ApiFront;
let world: World;

beforeAll(async () => {
  front = await startApiFront();
  world = await startWorld({
    kubeconfig: front.kubeconfig,
    operatorEnv: { DEAD_LETTER_RETRY_MIN_SECONDS: '1', DEAD_LETTER_RETRY_MAX_SECONDS: '1' },
  });
});
afterAll(async () => {
  await world?.stop();
  await front?.stop();
});

test('does not fail a task whose letter the cache does not show, but asks the API server itself', async () => {
  await waitUntil('the operator to watch letters', () =>
    front.asked(' operator').some((line) => /deadletters\?.*watch=true/.test(line)),
  );
  front.hold('deadletters');
  await world.createSecret('lagging-solution', { value: 'not ours' });
  await world.apply('lagging', { spec: { solutionSecretName: 'lagging-solution' } });
  const held = await world.until('lagging', 'is dead-lettered', (task) => task.status?.deadLetter?.confirmed === true);
  const letter = held.status?.deadLetter?.name ?? '';
  await waitUntil('the operator to have asked for the letter', () =>
    front.asked(' operator').some((line) => line.startsWith('GET ') && line.endsWith(`/deadletters/${letter}`)),
  );
  const task = await world.task('lagging');
  expect(reasonOf(task)).toBe('DeadLettered');
  expect(task.status?.failure).toBeUndefined();
  expect((await world.letters())[0]?.status).toBeUndefined();

  front.release();
  await world.deleteSecret('lagging-solution');
  const solved = await world.untilPhase('lagging', 'Solved');
  expect(solved.status?.solution?.source).toBe('DeadLetter');
});
