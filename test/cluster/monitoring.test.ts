/**
 * What people see: a real Prometheus scrapes the real processes, the shipped rules (with durations divided by 60 in a
 * copy) fire at a real Alertmanager and reach a receiver, and the totals add up.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { DASHBOARD_ROWS, scoped } from '../../scripts/generate-dashboard.ts';
import {
  scrapeTargets,
  shippedRules,
  shortenRules,
  startMonitoring,
  type Monitoring,
} from '../../dev/monitoring/index.ts';
import { access } from '../support/cluster.ts';
import { LEDGER } from '../support/ledger.ts';
import { startAlertReceiver, type AlertReceiver } from '../support/alert-receiver.ts';
import { PATH_COUNT, runEveryPath } from '../support/every-path.ts';
import { startWorld, type World } from '../support/processes.ts';
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from '../support/loopback-certificate.ts';
import { waitUntil } from '../support/wait-until.ts';

const SHORTENED = 60;
const tls = { cert: LOOPBACK_CERTIFICATE, key: LOOPBACK_KEY };
let world: World;
let receiver: AlertReceiver;
let monitoring: Monitoring;

beforeAll(async () => {
  world = await startWorld({
    operatorEnv: {
      DEAD_LETTER_RETRY_MIN_SECONDS: '1',
      DEAD_LETTER_RETRY_MAX_SECONDS: '1',
      POLL_INTERVAL_SECONDS: '1',
      UNKNOWN_SUBMISSION_GRACE_SECONDS: '5',
    },
    gateways: { count: 1, kubeconfig: access.gatewayKubeconfig, keys: { default: 'g'.repeat(32) }, tls },
  });
  receiver = await startAlertReceiver();
  monitoring = await startMonitoring({
    targets: scrapeTargets(world.fleet),
    rules: shortenRules(await shippedRules(), SHORTENED),
    webhookURL: receiver.url,
    intervalMs: 1_000,
    path: process.env['PATH'] ?? '',
  });
  // What is counted before the first scrape is no increase to Prometheus.
  await untilScraped();
});
afterAll(async () => {
  await monitoring?.stop();
  await receiver?.close();
  await world?.stop();
});

async function total(expr: string): Promise<number> {
  const samples = await monitoring.query(expr);
  return samples.reduce((sum, { value }) => sum + value, 0);
}

/** Waits for an alert to reach the receiver in the given state. */
function untilAlert(
  name: string,
  status: 'firing' | 'resolved',
): Promise<NonNullable<ReturnType<AlertReceiver['latest']>>> {
  return waitUntil(
    `${name} to be ${status} at the receiver`,
    () => {
      const alert = receiver.latest(name);
      return alert?.status === status ? alert : undefined;
    },
    { boundMs: 90_000, everyMs: 200 },
  );
}

describe('after a run of all paths without kills', () => {
  beforeAll(async () => {
    // A stranger's call: the gateway has something to count, and makes no task of it.
    await fetch(`${world.fleet.gatewayURL}/in.php?key=${'x'.repeat(32)}`);
    await runEveryPath(world);
    await waitUntil('Prometheus to have scraped the last ends', async () => {
      return (await total(LEDGER.solved)) + (await total(LEDGER.failed)) >= PATH_COUNT;
    });
  }, 120_000);

  test('what was taken on equals what was solved, failed or is open, exactly', async () => {
    expect(await total(LEDGER.started)).toBe(PATH_COUNT);
    expect(await total(`(${LEDGER.started}) - (${LEDGER.solved}) - (${LEDGER.failed}) - (${LEDGER.open})`)).toBe(0);
  });

  test('the provider was paid for what was accepted, and for nothing else', async () => {
    const { submissions } = await world.simulator.control.ledger();
    expect(await total(LEDGER.accepted)).toBe(submissions.filter((submission) => submission.paid).length);
  });

  test.each([
    ['captcha_operator_results_total{source="Callback"}', 7],
    ['captcha_operator_results_total{source="Poll"}', 2],
    ['captcha_operator_results_total{source="DeadLetter"}', 1],
    ['captcha_operator_failures_total{class="Permanent"}', 1],
    ['captcha_operator_failures_total{class="Retriable"}', 1],
    ['captcha_operator_failures_total{class="Deadline"}', 1],
    ['captcha_operator_dead_letters_created_total{stage="WriteSecret"}', 1],
    ['captcha_operator_dead_letter_retries_total{result="resolved"}', 1],
    ['captcha_operator_callbacks_total{result="duplicate"}', 1],
    ['captcha_operator_callbacks_total{result="conflict"}', 1],
    ['captcha_operator_callbacks_total{result="dead_lettered"}', 1],
    ['captcha_operator_callbacks_total{result="ignored"}', 1],
    ['captcha_operator_callbacks_total{result="lost"}', 0],
    ['captcha_operator_submissions_total{outcome="unknown"}', 1],
    ['captcha_operator_poll_fallbacks_total{result="solved"}', 1],
  ])('%s counts %d', async (series, count) => {
    expect(await total(`sum(${series})`)).toBe(count);
  });

  const queries = DASHBOARD_ROWS.flatMap(([row, panels]) =>
    panels.flatMap((panel) =>
      panel.queries.map(([legend, expr]) => [`${row}, ${panel.title}, ${legend}`, expr] as const),
    ),
  );
  test.each(queries)('the dashboard has data for %s', async (_name, expr) => {
    // As Grafana fills in "All" of every variable.
    const all = scoped(expr).replaceAll(/\$(?:cluster|namespace|job)\b/g, '.*');
    const samples = await monitoring.query(all.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '1h'));
    expect(samples.filter(({ value }) => Number.isFinite(value))).not.toEqual([]);
  });
});

describe('alerts', () => {
  test('a blocked Secret makes a dead letter, the alert fires, the fix resolves it', async () => {
    await world.createSecret('not-ours', { value: 'somebody else wrote this' });
    await world.apply('alerting', { spec: { solutionSecretName: 'not-ours' } });
    const firing = await untilAlert('CaptchaDeadLetterOpen', 'firing');
    expect(firing.labels).toMatchObject({ severity: 'warning', stage: 'WriteSecret' });
    expect(firing.annotations['description']).toMatch(/^1 dead letters of stage WriteSecret /);
    expect(firing.annotations['runbook_url']).toMatch(/\/runbooks\/CaptchaDeadLetterOpen\.md$/);
    expect((await world.task('alerting')).status?.phase).toBe('Submitted');

    await world.deleteSecret('not-ours');
    const task = await world.untilPhase('alerting', 'Solved');
    expect(task.status?.solution?.source).toBe('DeadLetter');
    await untilAlert('CaptchaDeadLetterOpen', 'resolved');
  });

  test('callbacks that stop coming while polls find results fire the silence alert, until they come again', async () => {
    world.fleet.front.cut(true);
    let count = 0;
    const submitUntil = (status: 'firing' | 'resolved'): Promise<unknown> =>
      waitUntil(
        `CaptchaCallbacksSilent to be ${status} at the receiver`,
        async () => {
          const name = `silent-${count++}`;
          await world.apply(name, { spec: { callbackTimeoutSeconds: 1 } });
          await world.untilPhase(name, 'Solved');
          return receiver.latest('CaptchaCallbacksSilent')?.status === status;
        },
        { boundMs: 90_000 },
      );
    await submitUntil('firing');
    expect(receiver.latest('CaptchaCallbacksSilent')?.labels['severity']).toBe('critical');
    world.fleet.front.cut(false);
    await submitUntil('resolved');
  });

  test('no other alert was sent, and no text has a hole in it', () => {
    const names = new Set(receiver.received.map(({ labels }) => labels['alertname']));
    // Minutes are seconds here, so a machine that is too busy for a scrape looks like processes that are gone.
    for (const absence of ['CaptchaOperatorAbsent', 'CaptchaCallbackReceiverAbsent']) names.delete(absence);
    // The only key is silent too, long enough for its own alert or not quite.
    names.delete('CaptchaCallbackKeySilent');
    // Three of the paths end in failures, as they must, and some minutes of them are enough.
    names.delete('CaptchaTasksFailing');
    expect(names).toEqual(new Set(['CaptchaCallbacksSilent', 'CaptchaDeadLetterOpen']));
    for (const { annotations } of receiver.received) {
      expect(Object.keys(annotations).sort()).toEqual(['description', 'runbook_url', 'summary']);
      for (const text of Object.values(annotations)) expect(text).not.toMatch(/<error|<no value>|\{\{/);
    }
  });
});

/** Over restarts: what was counted in a window, resets known. */
const increase = (sum: string): string =>
  sum.replaceAll(/captcha_operator_\w+_total/g, (name) => `increase(${name}[15m])`);

/** What was taken on and is neither ended nor open, by the queries for processes that were restarted. */
async function booked(): Promise<number> {
  const taken = Math.round(await total(increase(LEDGER.started)));
  const ended = Math.round((await total(increase(LEDGER.solved))) + (await total(increase(LEDGER.failed))));
  return taken - ended - (await total(LEDGER.open));
}

/** Waits until Prometheus has read every page as it is from now on. */
async function untilScraped(): Promise<void> {
  const now = Date.now() / 1_000;
  const targets = scrapeTargets(world.fleet).length;
  await waitUntil('every page to be scraped', async () => {
    return (await monitoring.query(`(timestamp(up) > ${now}) and (up == 1)`)).length === targets;
  });
}

describe('over kills', () => {
  const SETTLED = 5;
  const IN_FLIGHT = 4;
  const ENDED = `(${LEDGER.solved}) + (${LEDGER.failed})`;

  test('the books differ by no more than the tasks in flight at the kills', async () => {
    const killed = [world.fleet.operators[0], world.fleet.sidecars[0], world.fleet.operators[0]];
    let count = 0;
    const apply = async (tasks: number): Promise<string[]> => {
      const names = Array.from({ length: tasks }, () => `killed-${count++}`);
      for (const name of names) await world.apply(name, { spec: { callbackTimeoutSeconds: 1 } });
      return names;
    };
    for (const member of killed) {
      await untilScraped();
      const [started, ended] = [await total(LEDGER.started), await total(ENDED)];
      for (const name of await apply(SETTLED)) await world.untilPhase(name, 'Solved');
      // No process ended meanwhile, so the plain totals tell that nothing of these can be missing after the kill.
      await waitUntil('Prometheus to have scraped what is settled', async () => {
        return (await total(LEDGER.started)) === started + SETTLED && (await total(ENDED)) === ended + SETTLED;
      });
      const names = await apply(IN_FLIGHT);
      await member?.restart();
      for (const name of names) await world.untilPhase(name, 'Solved');
    }
    // Every task is solved; what a process counted after its last scrape is all that can be missing.
    await untilScraped();
    await waitUntil('Prometheus to see that nothing is open', async () => (await total(LEDGER.open)) === 0);
    expect(Math.abs(await booked())).toBeLessThanOrEqual(killed.length * IN_FLIGHT);
  });
});
