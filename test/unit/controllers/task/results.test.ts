/** What the operator counts of results: its own writes, once, and nobody else's. */
import { afterEach, expect, test } from 'vitest';
import type { Solution } from '../../../../src/api/captchatask.ts';
import type { Metrics } from '../../../../src/ops/metrics.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { SECRET } from '../../../../src/api/names.ts';
import { pollDue, solved } from '../../../../src/core/task/transitions.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import { aTask } from '../../../support/builders.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

/** A stage with a submitted task, and what was counted: sources of results, stages of letters. */
async function submittedTask(task = aTask()): Promise<{ counted: string[]; makeDue(): void }> {
  const counted: string[] = [];
  const inc: Metrics['inc'] = (name, labels) => {
    if (name === 'captcha_operator_results_total') counted.push((labels as { source: string }).source);
    if (name === 'captcha_operator_dead_letters_created_total') counted.push((labels as { stage: string }).stage);
  };
  stage = await startStage({ metrics: { inc, observe: () => undefined, gauge: () => undefined } });
  stage.apply(task.created(Date.now()));
  const submitted = await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
  return { counted, makeDue: () => stage.write(pollDue(submitted, Date.now())) };
}

const isLookedAt = (): Promise<unknown> =>
  waitUntil('the task to have left the cache', () => stage.controller.task('default', 'login') === undefined);

test('a result that the operator applied is counted', async () => {
  const { counted, makeDue } = await submittedTask();
  stage.pollAnswer = () => ({ kind: 'solved', value: 'the-solution' });
  makeDue();
  await isLookedAt();
  expect(counted).toEqual(['Poll']);
});

test.each(['the-solution', 'another-solution'])(
  'a poll that meets a task which a callback has solved counts nothing (%s)',
  async (value) => {
    const { counted, makeDue } = await submittedTask();
    stage.pollAnswer = () => {
      // The callback is first, and the watch has not told of it yet.
      stage.client.deaf = true;
      const solution: Solution = {
        value: 'the-solution',
        source: 'Callback',
        attempt: 1,
        captchaID: '1001',
        receivedTime: formatTime(Date.now()),
      };
      stage.write(solved(stage.task()!, solution, Date.now()));
      return { kind: 'solved', value };
    };
    makeDue();
    await isLookedAt();
    expect(counted).toEqual([]);
    expect(stage.logged.filter((line) => line.startsWith('A task finished'))).toEqual([]);
  },
);

test('a result whose write was made but whose reply was lost is counted once', async () => {
  const { counted, makeDue } = await submittedTask();
  stage.pollAnswer = () => ({ kind: 'solved', value: 'the-solution' });
  let lost = 0;
  stage.client.fate = (request) => {
    if (request.verb !== 'patchStatus' || lost > 0) return undefined;
    lost += 1;
    stage.client.deaf = true;
    return 'replyLost';
  };
  makeDue();
  await isLookedAt();
  expect(lost).toBe(1);
  expect(counted).toEqual(['Poll']);
});

test('a result whose write was made while the API went away is counted when the watch tells of it', async () => {
  const { counted, makeDue } = await submittedTask();
  stage.pollAnswer = () => ({ kind: 'solved', value: 'the-solution' });
  let reads = 0;
  stage.client.fate = (request) => {
    if (request.verb === 'patchStatus') {
      stage.client.deaf = true;
      return 'replyLost';
    }
    if (!stage.client.deaf) return undefined;
    if ((reads += 1) === 1) setTimeout(() => tellAgain(stage), 20);
    return 'notSent';
  };
  makeDue();
  await waitUntil('the count', () => counted.length > 0, { boundMs: 5_000, everyMs: 5 });
  expect(counted).toEqual(['Poll']);
  expect(reads).toBeGreaterThan(0);
});

/** The API is back, and the watch tells that the task has left the selection. */
function tellAgain({ client, write, task }: Stage): void {
  client.fate = () => undefined;
  client.deaf = false;
  write(task()!.status!);
}

test('a dead letter is counted when it is created, although its confirmation fails and comes again', async () => {
  const { counted, makeDue } = await submittedTask(aTask().spec({ solutionSecretName: 'not-ours' }));
  stage.api.seed(SECRET.plural, { metadata: { name: 'not-ours' }, data: {} });
  stage.pollAnswer = () => ({ kind: 'solved', value: 'the-solution' });
  let patches = 0;
  stage.client.fate = (request) => (request.verb === 'patchStatus' && ++patches === 2 ? 'notSent' : undefined);
  makeDue();
  await stage.until('confirmed', ({ status }) => status?.deadLetter?.confirmed === true);
  expect(patches).toBeGreaterThan(2);
  expect(counted).toEqual(['WriteSecret']);
});
