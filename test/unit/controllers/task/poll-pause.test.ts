import { describe, expect, test } from 'vitest';
import type { TaskBuilder } from '../../../support/builders.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { SECRET } from '../../../../src/api/names.ts';
import { aSecret, aTask } from '../../../support/builders.ts';
import { passTime as pass, useFakeClock } from '../../../support/fake-clock.ts';

let stage: Stage;
const startStage = useFakeClock();

const OLD = 'k'.repeat(32);
const NEW = 'n'.repeat(32);
const seedKey = (value: string): void => stage.api.seed(SECRET.plural, aSecret('tenant', { 'api-key': value }));

/** Accepted so long ago, without a pingback: it is polled. */
function accepted(ageMs: number): TaskBuilder {
  const at = Date.now() - ageMs;
  const task = aTask()
    .created(at)
    .spec({ delivery: 'Poll', apiKeySecretRef: { name: 'tenant', key: 'api-key' }, activeDeadlineSeconds: 3_600 });
  return task.intended(at, { pingback: false }).submitted(at);
}

describe('polls that rest because the provider rejects their key', () => {
  // A task of the first age still counts as one of the provider's threads, one of the second does not any more.
  test.each([130_000, 900_000])('go on when its Secret holds another one (accepted %i ms ago)', async (ageMs) => {
    stage = await startStage();
    let polls = 0;
    seedKey(OLD);
    stage.pollAnswer = () => {
      polls += 1;
      if (polls > 1) return { kind: 'solved', value: 'solution' };
      seedKey(NEW);
      return { kind: 'refused', class: 'keyRejected', code: 'ERROR_WRONG_USER_KEY' };
    };
    stage.apply(accepted(ageMs));
    await pass(60_000);
    expect(polls).toBe(2);
    expect(stage.task()?.status?.phase).toBe('Solved');
  });
  test('rest while its Secret holds the same', async () => {
    stage = await startStage();
    let polls = 0;
    seedKey(OLD);
    stage.pollAnswer = () => {
      polls += 1;
      return { kind: 'refused', class: 'keyRejected', code: 'ERROR_WRONG_USER_KEY' };
    };
    stage.apply(accepted(10_000));
    await pass(240_000);
    expect(polls).toBe(1);
  });
});

describe('the pace of polls', () => {
  test('is shared by namespaces: the backlog of one keeps no task of another waiting for it', async () => {
    stage = await startStage();
    seedKey(OLD);
    const polls: string[] = [];
    stage.pollAnswer = (captchaID) => {
      polls.push(captchaID);
      return { kind: 'pending' };
    };
    for (let n = 0; n < 600; n += 1) stage.apply(accepted(130_000).named(`storm-${n}`, 'storm').uid(`uid-${n}`));
    await pass(10_000);
    const before = polls.length;
    const at = Date.now() - 130_000;
    const other = accepted(130_000).named('other', 'other').uid('uid-other');
    const status = { ...other.build().status, submission: { ...other.build().status?.submission, captchaID: '42' } };
    stage.apply(other.status(status as never).created(at));
    await pass(8_000);
    expect(polls).toContain('42');
    expect(polls.length - before).toBeLessThanOrEqual(8 * 20 + 20);
    expect(polls.length).toBeGreaterThan(200);
  });
});
