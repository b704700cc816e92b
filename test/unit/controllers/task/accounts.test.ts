import { afterEach, describe, expect, test } from 'vitest';
import type { SubmitOutcome, ThreadCounts } from '../../../../src/core/outcome.ts';
import type { CaptchaTask } from '../../../../src/api/captchatask.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { aTask } from '../../../support/builders.ts';
import { passTime as pass, useFakeClock } from '../../../support/fake-clock.ts';
import { type Metrics, createMetrics } from '../../../../src/ops/metrics.ts';

let stage: Stage;
let metrics: Metrics;
const startStage = useFakeClock();
afterEach(() => metrics.stop());

const MINUTE = 60_000;

/** A provider whose account is in this state; `queued` and `working` are the tasks of ours, by their ids. */
interface Account {
  state: 'paid' | 'expired' | 'suspended';
  threads: number;
  workingElsewhere: number;
  working: string[];
  queued: string[];
}

const REFUSALS: Record<'expired' | 'suspended', SubmitOutcome> = {
  expired: { kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' },
  suspended: { kind: 'refused', class: 'accountExhausted', code: 'ERROR_ACCOUNT_SUSPENDED' },
};

async function start(change: Partial<Account>): Promise<Account> {
  const account: Account = { state: 'paid', threads: 5, workingElsewhere: 0, working: [], queued: [], ...change };
  metrics = createMetrics({ process: 'operator', version: '1' });
  stage = await startStage({
    metrics,
    provider: {
      submit(request): Promise<SubmitOutcome> {
        stage.submissions.push(request);
        if (account.state !== 'paid') return Promise.resolve(REFUSALS[account.state]);
        const captchaID = String(1_000 + stage.submissions.length);
        account.queued.push(captchaID);
        startWaiting(account);
        return Promise.resolve({ kind: 'accepted', captchaID });
      },
      poll({ captchaID }) {
        return Promise.resolve(
          account.working.includes(captchaID) || account.queued.includes(captchaID)
            ? { kind: 'pending' }
            : { kind: 'solved', value: 'x' },
        );
      },
      threads: (): Promise<ThreadCounts> =>
        Promise.resolve({ threads: account.threads, working: account.working.length + account.workingElsewhere }),
    },
  });
  return account;
}
/** As the official client has it: the service queues without a word. */
function startWaiting(account: Account): void {
  while (account.working.length + account.workingElsewhere < account.threads) {
    const next = account.queued.shift();
    if (next === undefined) return;
    account.working.push(next);
  }
}

const named = (name: string) =>
  aTask()
    .created(Date.now())
    .named(name)
    .uid(`uid-of-${name}`)
    .spec({ delivery: 'Poll', activeDeadlineSeconds: 3_600 });
const conditionOf = (task: CaptchaTask | undefined, type: string) =>
  task?.status?.conditions?.find((one) => one.type === type)?.status;
const phaseOf = (name: string) => stage.task(name)?.status?.phase;
const names = Array.from({ length: 5 }, (_, n) => `t${n}`);

describe.each(['expired', 'suspended'] as const)('an account that is %s', (state) => {
  test('keeps its tasks waiting: they say so, and that only a person can help; none fails, and one probe in five minutes', async () => {
    await start({ state });
    for (const name of names) stage.apply(named(name));
    await pass(MINUTE);
    for (const name of names) {
      expect(stage.reason(name)).toBe('AccountExhausted');
      expect(conditionOf(stage.task(name), 'Stalled')).toBe('True');
    }
    const before = stage.submissions.length;
    const writes = stage.phases().length;
    await pass(20 * MINUTE);
    expect(stage.submissions.length - before).toBe(4);
    expect(names.map(phaseOf)).toEqual(names.map(() => 'Pending'));
    // A probe is an entry that comes and goes; nobody's status is written.
    expect(stage.phases().length - writes).toBe(0);
  });

  test('serves all of them soon after it was renewed', async () => {
    const account = await start({ state });
    for (const name of names) stage.apply(named(name));
    await pass(MINUTE);
    account.state = 'paid';
    await pass(5 * MINUTE);
    expect(names.map(phaseOf)).toEqual(names.map(() => 'Submitted'));
    expect(names.map((name) => conditionOf(stage.task(name), 'Stalled'))).toEqual(names.map(() => undefined));
  });
});

test('a task of an exhausted account fails at its deadline, by its deadline', async () => {
  await start({ state: 'expired' });
  stage.apply(named('login').spec({ activeDeadlineSeconds: 120 }));
  await pass(MINUTE);
  expect(phaseOf('login')).toBe('Pending');
  await pass(2 * MINUTE);
  expect(stage.task('login')?.status).toMatchObject({ phase: 'Failed', failure: { class: 'Deadline' } });
});

/** The threads are known once the first task was accepted. */
async function applyAll(): Promise<void> {
  const [first = '', ...others] = names;
  stage.apply(named(first));
  await pass(1_500);
  for (const name of others) stage.apply(named(name));
}

describe('a provider that queues without a word', () => {
  test('has never more tasks of ours than threads, however long they take', async () => {
    const account = await start({ threads: 2, workingElsewhere: 1 });
    await applyAll();
    account.workingElsewhere = 2;
    for (let minutes = 0; minutes < 12; minutes += 1) {
      await pass(MINUTE);
      expect(account.working.length + account.queued.length).toBeLessThanOrEqual(1);
    }
  });

  test('is given tasks again within seconds of others giving up their threads', async () => {
    const account = await start({ threads: 3, workingElsewhere: 2 });
    await applyAll();
    await pass(MINUTE);
    expect(account.working).toHaveLength(1);
    account.workingElsewhere = 0;
    await pass(12_000);
    expect(account.working).toHaveLength(3);
    expect(account.queued).toEqual([]);
  });
});

/** What a scrape says, by the rest of the line. */
async function scraped(series: string): Promise<string[]> {
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith(`captcha_operator_${series}`));
  return lines.map((line) => line.slice(`captcha_operator_${series}`.length));
}

describe('the use of threads, and what is known of accounts', () => {
  test('is told of each key in use by a number, not by the key', async () => {
    const account = await start({ threads: 4, workingElsewhere: 2 });
    expect(await scraped('provider_threads{')).toEqual([]);
    await applyAll();
    await pass(12_000);
    expect(account.working).toHaveLength(2);
    expect(await scraped('provider_threads{')).toEqual([
      'key="1",state="total"} 4',
      'key="1",state="working"} 4',
      'key="1",state="ours"} 2',
    ]);
  });

  test('is told by the leader alone: nobody else would see its end', async () => {
    await start({ state: 'suspended' });
    stage.apply(named('login'));
    await pass(MINUTE);
    expect(await scraped('provider_breaker_open{reason="account_exhausted"}')).toEqual([' 1']);
    // A key that was never accepted is not asked with, and has no number.
    expect(await scraped('provider_threads{')).toEqual([]);
    stage.lead(false);
    await pass(1_000);
    expect(await scraped('provider_breaker_open{reason="account_exhausted"}')).toEqual([' 0']);
  });
});
