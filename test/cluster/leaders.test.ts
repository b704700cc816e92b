/**
 * Two operators and three sidecars over one API server. The leader is killed or paused again and again: somebody else
 * takes over, and the provider's books show no submission that is not counted. The long run (1,000 tasks, 50
 * kills): `LEADER_TASKS=1000 LEADER_KILLS=50 npx vitest run --project cluster test/cluster/leaders.test.ts`.
 */
import { afterEach, describe, expect, test } from 'vitest';

import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import type { Member } from '../../dev/fleet.ts';
import { scrape, total } from '../bench/scrape.ts';
import { createTasks, tasksPath } from '../bench/seed-tasks.ts';
import { admin } from '../support/cluster.ts';
import { reasonOf, startWorld, type World, type WorldOptions } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

const TASKS = Number(process.env['LEADER_TASKS'] ?? 90);
const KILLS = Number(process.env['LEADER_KILLS'] ?? 3);
const PATIENCE_MS = 60_000 + KILLS * 45_000;

let world: World | undefined;

async function open(options: WorldOptions = {}): Promise<World> {
  world = await startWorld({ operators: 2, ...options });
  return world;
}
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

async function isLeading(member: Member): Promise<boolean> {
  const samples = await scrape(member.metricsURL).catch(() => new Map<string, number>());
  return total(samples, 'leader_election_master_status') === 1;
}

/** The operator that says it leads, not counting those that cannot answer. */
async function leaderOf(opened: World, but?: Member): Promise<Member> {
  return waitUntil(
    'a leader',
    async () => {
      for (const member of opened.fleet.operators) if (member !== but && (await isLeading(member))) return member;
      return undefined;
    },
    { boundMs: 60_000 },
  );
}

async function tasks(opened: World): Promise<CaptchaTask[]> {
  return objectOf<{ items: CaptchaTask[] }>(await admin.get(tasksPath(opened.namespace))).items;
}

async function finished(opened: World): Promise<number> {
  return (await tasks(opened)).filter((task) => task.status?.completionTime !== undefined).length;
}

/** Every task ended, as Solved or after two submissions that are counted as unknown; no more was paid than is counted. */
async function expectNothingPaidTwice(opened: World): Promise<void> {
  const { submissions } = await opened.simulator.control.ledger();
  for (const task of await tasks(opened)) {
    const page = task.spec.captcha.turnstile?.pageURL ?? '';
    const paid = submissions.filter((one) => one.paid && one.pageurl === page).length;
    const unknown = task.status?.unknownSubmissions ?? 0;
    const about = `${task.metadata.name}, paid ${paid} times: ${JSON.stringify(task.status)}`;
    expect(reasonOf(task), about).toBe(unknown === 2 ? 'SubmissionUnknown' : 'Solved');
    expect(paid, about).toBeLessThanOrEqual(unknown === 2 ? 2 : 1 + unknown);
  }
}

async function journal(): Promise<string | undefined> {
  const path = '/api/v1/namespaces/captcha-system/configmaps/captcha-operator-journal';
  return objectOf<{ data?: { entries?: string } }>(await admin.get(path)).data?.entries;
}

describe('leader election', () => {
  test(
    'survives kills of the leader during many tasks without a double submission',
    async () => {
      const opened = await open({
        sidecars: 3,
        operatorEnv: { UNKNOWN_SUBMISSION_GRACE_SECONDS: '5', MAX_CONCURRENT_SUBMISSIONS: '2' },
        simulator: { answerAfterMs: 800 },
      });
      // A leader that lives for less than the grace resolves no unknown submission, and a long run has many of them.
      await createTasks(admin, opened.namespace, TASKS, { activeDeadlineSeconds: 3_600 });
      for (let kill = 0; kill < KILLS && (await finished(opened)) < TASKS; kill++) {
        const leader = await leaderOf(opened);
        const { submissions } = await opened.simulator.control.totals();
        await waitUntil('the leader to submit', async () => {
          const totals = await opened.simulator.control.totals();
          return totals.submissions > submissions + 2 || (await finished(opened)) === TASKS;
        });
        await leader.restart();
      }
      await waitUntil('all tasks to finish', async () => (await finished(opened)) === TASKS, {
        boundMs: PATIENCE_MS,
        everyMs: 500,
      });
      await expectNothingPaidTwice(opened);
      await waitUntil('the journal to be empty', async () => (await journal()) === '');
    },
    PATIENCE_MS * 2,
  );

  test('hands over from a paused leader, which does nothing when it runs again', async () => {
    const opened = await open();
    const leader = await leaderOf(opened);
    leader.kill('SIGSTOP');
    try {
      await opened.apply('while-paused');
      const second = await leaderOf(opened, leader);
      expect(second).not.toBe(leader);
      await opened.untilPhase('while-paused', 'Solved', 90_000);
    } finally {
      leader.kill('SIGCONT');
    }
    await waitUntil('the paused one to see that it leads no more', async () => !(await isLeading(leader)));
    await opened.apply('afterwards');
    await opened.untilPhase('afterwards', 'Solved');
    expect(await opened.paid('while-paused')).toBe(1);
    expect(await opened.paid('afterwards')).toBe(1);
  });

  test('gives the Lease back on SIGTERM, after recording the replies of calls that were under way', async () => {
    const opened = await open();
    const leader = await leaderOf(opened);
    await opened.apply('under-way', {
      script: { submit: [{ accept: true, delayMs: 3_000 }], tasks: [{ pingbacks: [] }] },
    });
    await waitUntil('the call to be under way', async () => (await opened.paid('under-way')) === 1);
    expect(await leader.stop()).toBe(0);
    const task = await opened.task('under-way');
    expect(task.status).toMatchObject({ phase: 'Submitted', attempts: 1, unknownSubmissions: 0 });
    await leaderOf(opened, leader);
    expect(await opened.submissions('under-way')).toHaveLength(1);
  });
});
