import { describe, expect, test } from 'vitest';
import type { TaskBuilder } from '../../../support/builders.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { aTask } from '../../../support/builders.ts';
import { passTime as pass, useFakeClock } from '../../../support/fake-clock.ts';

/** Enough for the whole backlog to be looked at only after several rounds of the queue. */
const BACKLOG = 400;
let stage: Stage;
const startStage = useFakeClock();

const named = (name: string, namespace = 'default'): TaskBuilder => {
  const builder = aTask().created(Date.now()).named(name).uid(`uid-of-${name}`);
  const task = builder.build();
  return { ...builder, build: () => ({ ...task, metadata: { ...task.metadata, namespace } }) };
};
/** How many tasks were looked at for the first time before this was decided about this one. */
function looksBefore(name: string, rule: string): number {
  const decided = stage.logged.filter((line) => line.startsWith('Decided about a task'));
  const place = decided.findIndex((line) => line.includes(`"${name}"`) && line.includes(rule));
  if (place === -1) throw new Error(`never decided about ${name}: ${rule}`);
  return decided.slice(0, place).filter((line) => line.includes('"backlog-') && line.includes('takes a place')).length;
}
function addBacklog(): void {
  for (let n = 0; n < BACKLOG; n += 1) stage.apply(named(`backlog-${n}`));
}
async function start(): Promise<void> {
  stage = await startStage();
}

describe('while a backlog waits to be looked at', () => {
  test('an accepted id is recorded before the rest of it', async () => {
    await start();
    const reply = Promise.withResolvers<void>();
    stage.answer = async ({ pingback }) => {
      if (pingback?.includes('first') === true) await reply.promise;
      return { kind: 'accepted', captchaID: '1001' };
    };
    stage.apply(named('first'));
    await pass(100);
    addBacklog();
    reply.resolve();
    await pass(5_000);
    expect(looksBefore('first', 'an accepted id is recorded at once')).toBeLessThan(BACKLOG / 4);
    expect(looksBefore(`backlog-${BACKLOG - 1}`, 'takes a place')).toBeGreaterThan(BACKLOG / 2);
  });

  test('the turn of a task that was looked at is used before the rest of it', async () => {
    await start();
    addBacklog();
    await pass(5_000);
    expect(looksBefore('backlog-0', 'the intent is written before')).toBeLessThan(BACKLOG / 4);
  });

  test('a task of another namespace is looked at in turn with it', async () => {
    await start();
    addBacklog();
    stage.apply(named('quick', 'other'));
    await pass(5_000);
    expect(looksBefore('quick', 'takes a place')).toBeLessThan(BACKLOG / 4);
  });
});

test('an id that the journal holds makes room for the next intents at once', async () => {
  await start();
  stage.client.queueing = () => true;
  stage.client.load = () => ({ inFlight: 0, waiting: 0, limit: 1 });
  for (let n = 0; n < 20; n += 1) stage.apply(named(`task-${n}`));
  await pass(90);
  expect(stage.submissions).toHaveLength(20);
});
