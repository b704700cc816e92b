/** SIGKILL at the worst moments: nothing is paid for twice but what is counted as unknown, and nothing is lost. */
import { afterEach, describe, expect, test } from 'vitest';

import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { reasonOf, startWorld, type World, type WorldOptions } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

let world: World | undefined;

async function open(options: WorldOptions = {}): Promise<World> {
  world = await startWorld(options);
  return world;
}
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

/** Kills the operator once the provider has accepted the task and before it read the answer; starts it again. */
async function killAfterAcceptance(opened: World, name: string): Promise<void> {
  await waitUntil(`the provider to accept ${name}`, async () => (await opened.paid(name)) === 1, { boundMs: 60_000 });
  await opened.fleet.operators[0]?.restart();
}

describe('an operator that is killed after the provider accepted a task and before its answer was read', () => {
  test('adopts the id from the callback and does not submit again', async () => {
    const opened = await open();
    await opened.apply('adopted', {
      script: { submit: [{ accept: true, delayMs: 8_000 }], tasks: [{ pingbacks: [{ onCommand: true }] }] },
    });
    await killAfterAcceptance(opened, 'adopted');
    // Its successor finds the entry in the journal, and puts it into status.
    expect((await opened.untilPhase('adopted', 'Submitting')).status).toMatchObject({ attempts: 1 });
    const submission = await waitUntil('the provider to have a result', async () => {
      const [one] = await opened.submissions('adopted');
      return one?.solvedTimeMs === undefined ? undefined : one;
    });
    expect(await opened.simulator.control.pingback({ id: submission.id ?? '' })).toBe(200);
    const task = await opened.untilPhase('adopted', 'Solved');
    expect(task.status?.submission?.captchaID).toBe(submission.id);
    expect(task.status).toMatchObject({ attempts: 1, unknownSubmissions: 0, solution: { source: 'Callback' } });
    expect(await opened.submissions('adopted')).toHaveLength(1);
  });

  test('submits once more after the grace when no callback comes, and counts it', async () => {
    const opened = await open({ operatorEnv: { UNKNOWN_SUBMISSION_GRACE_SECONDS: '3' } });
    await opened.apply('unknown', {
      script: { submit: [{ accept: true, delayMs: 8_000 }, { accept: true }], tasks: [{ pingbacks: [] }, {}] },
    });
    await killAfterAcceptance(opened, 'unknown');
    const task = await opened.untilPhase('unknown', 'Solved', 90_000);
    expect(task.status).toMatchObject({ attempts: 2, unknownSubmissions: 1 });
    expect(await opened.paid('unknown')).toBe(2);
  });

  test('fails the task when a second submission ends as unknown', async () => {
    const opened = await open({ operatorEnv: { UNKNOWN_SUBMISSION_GRACE_SECONDS: '3' } });
    await opened.apply('twice-unknown', {
      script: { submit: [{ accept: true, fault: 'reset' }], tasks: [{ result: 'never', pingbacks: [] }] },
    });
    const task = await opened.untilPhase('twice-unknown', 'Failed', 90_000);
    expect(reasonOf(task)).toBe('SubmissionUnknown');
    expect(task.status).toMatchObject({ attempts: 2, unknownSubmissions: 2, failure: { class: 'Unknown' } });
    expect(await opened.paid('twice-unknown')).toBe(2);
  });
});

describe('processes that are killed again and again while tasks run', () => {
  test('lose no result and pay for nothing twice beyond what is counted', async () => {
    const opened = await open({
      operatorEnv: { UNKNOWN_SUBMISSION_GRACE_SECONDS: '5', POLL_INTERVAL_SECONDS: '1' },
      simulator: { answerAfterMs: 1_500 },
    });
    const names = Array.from({ length: 60 }, (_, index) => `task-${index}`);
    const applied = applyInTurn(opened, names);
    for (let kill = 0; kill < 8; kill++) {
      const victim = kill % 2 === 0 ? opened.fleet.operators[0] : opened.fleet.sidecars[0];
      // The next kill comes when the world has moved on, not when a clock says so.
      const before = (await opened.simulator.control.totals()).requests;
      await waitUntil('the provider to be called again', async () => {
        const totals = await opened.simulator.control.totals();
        return totals.requests > before + 3 || (await allFinished(opened, names));
      });
      await victim?.restart();
    }
    await applied;
    for (const name of names) {
      const task = await opened.until(name, 'has ended', ({ status }) => status?.completionTime !== undefined, 120_000);
      expect(await opened.paid(name)).toBeLessThanOrEqual(task.status?.attempts ?? 0);
      // Two kills between one task's intents and their ids are the only other end, and it says so.
      const unlucky = unknownOf(task) === 2;
      expect(reasonOf(task), JSON.stringify(task.status)).toBe(unlucky ? 'SubmissionUnknown' : 'Solved');
      expect(task.status?.attempts).toBe(unlucky ? 2 : 1 + unknownOf(task));
    }
  }, 300_000);
});

async function applyInTurn(opened: World, names: readonly string[]): Promise<void> {
  for (const name of names) await opened.apply(name, { spec: { callbackTimeoutSeconds: 4 } });
}

async function allFinished(opened: World, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    const { status } = await opened.task(name);
    if (status?.completionTime === undefined) return false;
  }
  return true;
}

function unknownOf(task: CaptchaTask): number {
  return task.status?.unknownSubmissions ?? 0;
}
