/** A second installation over the same tasks: each of its submissions is counted once, and people are told once. */
import { afterEach, expect, test } from 'vitest';
import type { Stage } from '../../../support/task-controller.ts';
import { pollDue } from '../../../../src/core/task/transitions.ts';
import { aTask } from '../../../support/builders.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
let counted: number;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

async function start(): Promise<void> {
  counted = 0;
  const inc = (name: string): void => {
    if (name === 'captcha_operator_foreign_submissions_total') counted += 1;
  };
  stage = await startStage({ metrics: { inc, observe: () => {}, gauge: () => {} } });
}
/** Longer after the take-over than a leader of earlier may write. */
const LATER = Date.now() + 3_600_000;
const submittedBy = (by: string, name: string) =>
  aTask().created(Date.now()).named(name).uid(`uid-of-${name}`).intended(LATER, { by }).submitted(LATER);
const told = () => stage.logged.filter((line) => line.startsWith('Another installation')).length;

/** The task changed again, and the controller has looked at it. */
async function touch(name: string): Promise<void> {
  const status = pollDue(stage.task(name)!, Date.now());
  stage.write({ ...status, unknownSubmissions: 1 }, name);
  await waitUntil('it to be seen', () => stage.controller.task('default', name)?.status?.unknownSubmissions === 1);
}
/** It was looked at after it had changed. */
async function decidedAbout(name: string): Promise<void> {
  const before = stage.logged.length;
  stage.controller.wake('default', name);
  await touch(name);
  await waitUntil('a decision', () => stage.logged.slice(before).some((line) => line.includes(`"name":"${name}"`)));
}

test('counts each submission of another installation once, and says so once', async () => {
  await start();
  for (const name of ['a', 'b']) {
    stage.apply(submittedBy('other_9/1', name));
    await touch(name);
    await waitUntil('it to be counted', () => counted > 0);
    await touch(name);
  }
  await waitUntil('both to be counted', () => counted >= 2);
  expect(counted).toBe(2);
  expect(told()).toBe(1);
});

test('does not take its own submissions for those of another', async () => {
  await start();
  stage.apply(submittedBy('operator-a/7', 'own'));
  await decidedAbout('own');
  expect(counted).toBe(0);
});

test('is silent until it leads: it cannot know who does', async () => {
  await start();
  stage.lead(false);
  stage.apply(submittedBy('other_9/1', 'standby'));
  await touch('standby');
  expect(counted).toBe(0);
  stage.lead(true);
  await waitUntil('it to be counted', () => counted === 1);
});
