import { afterEach, describe, expect, test } from 'vitest';

import { createMetrics, httpCode, httpMethod, snakeCase, type Metrics } from '../../../src/ops/metrics.ts';
import { METRICS, type MetricRow } from '../../../src/ops/metrics/table.ts';

const made: Metrics[] = [];
afterEach(() => {
  for (const metrics of made.splice(0)) metrics.stop();
});

function metricsOf(process: 'operator' | 'callback', onFault?: (name: string) => void): Metrics {
  const metrics = createMetrics({ process, version: '1.2.3', ...(onFault === undefined ? {} : { onFault }) });
  made.push(metrics);
  return metrics;
}

async function series(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

describe('metrics', () => {
  test('start with every combination that can occur at zero', async () => {
    const found = await series(metricsOf('callback'));
    expect(found.get('captcha_operator_callbacks_total{result="lost"}')).toBe(0);
    expect(found.get('captcha_operator_results_total{source="Callback"}')).toBe(0);
    expect(
      found.get('captcha_operator_task_duration_seconds_count{type="BLS",outcome="Solved",source="Callback"}'),
    ).toBe(0);
    expect([...found.keys()].some((key) => key.includes('outcome="Failed"'))).toBe(false);
  });

  test('expose only what the process counts', async () => {
    const operator = await series(metricsOf('operator'));
    const callback = await series(metricsOf('callback'));
    expect([...operator.keys()].filter((key) => key.startsWith('captcha_operator_callbacks_total'))).toEqual([]);
    expect([...callback.keys()].filter((key) => key.startsWith('captcha_operator_provider'))).toEqual([]);
  });

  test('stay under 1,500 series for both pages with every gauge in place', async () => {
    let count = 0;
    for (const process of ['operator', 'callback'] as const) {
      const metrics = metricsOf(process);
      for (const [name, row] of Object.entries(METRICS) as [string, MetricRow][]) {
        if (
          row.type === 'gauge' &&
          (row.in === 'both' || row.in === process) &&
          name !== 'captcha_operator_build_info'
        ) {
          metrics.gauge(name as 'captcha_operator_tasks', () => {});
        }
      }
      count += (await series(metrics)).size;
    }
    expect(count).toBeLessThan(1_500);
  });

  test('count what is stepped and observed', async () => {
    const metrics = metricsOf('operator');
    metrics.inc('captcha_operator_submissions_total', { outcome: 'accepted' });
    metrics.inc('captcha_operator_submissions_total', { outcome: 'accepted' }, 2);
    metrics.observe('captcha_operator_submission_duration_seconds', {}, 0.2);
    const found = await series(metrics);
    expect(found.get('captcha_operator_submissions_total{outcome="accepted"}')).toBe(3);
    expect(found.get('captcha_operator_submission_duration_seconds_bucket{le="0.25"}')).toBe(1);
    expect(found.get('captcha_operator_submission_duration_seconds_bucket{le="0.1"}')).toBe(0);
  });

  test('compute gauges at the scrape, with zero for what was not set', async () => {
    const metrics = metricsOf('operator');
    let pending = 2;
    metrics.gauge('captcha_operator_tasks', (set) => set({ phase: 'Pending', type: 'BLS' }, pending));
    expect((await series(metrics)).get('captcha_operator_tasks{phase="Pending",type="BLS"}')).toBe(2);
    pending = 5;
    const found = await series(metrics);
    expect(found.get('captcha_operator_tasks{phase="Pending",type="BLS"}')).toBe(5);
    expect(found.get('captcha_operator_tasks{phase="Submitted",type="BLS"}')).toBe(0);
  });

  test('let several compute parts of one gauge', async () => {
    const metrics = metricsOf('operator');
    metrics.gauge('workqueue_depth', (set) => set({ name: 'captchatask' }, 3));
    metrics.gauge('workqueue_depth', (set) => set({ name: 'deadletter' }, 4));
    const found = await series(metrics);
    expect(found.get('workqueue_depth{name="captchatask"}')).toBe(3);
    expect(found.get('workqueue_depth{name="deadletter"}')).toBe(4);
  });

  test('leave a gauge out that nobody computes or that cannot be computed', async () => {
    const faults: string[] = [];
    const metrics = metricsOf('operator', (name) => void faults.push(name));
    metrics.gauge('leader_election_master_status', () => {
      throw new Error('not yet');
    });
    metrics.gauge('captcha_operator_callback_keys', (set) => {
      set({}, 1);
      throw new Error('not yet');
    });
    const found = await series(metrics);
    expect([...found.keys()].filter((key) => /leader_election|dead_letters\{|callback_keys/.test(key))).toEqual([]);
    expect(faults).toEqual(['leader_election_master_status', 'captcha_operator_callback_keys']);
    expect(found.get('captcha_operator_submissions_total{outcome="accepted"}')).toBe(0);
  });

  test('never let a value outside the closed lists become a series', async () => {
    const metrics = metricsOf('operator');
    const before = (await series(metrics)).size;
    metrics.inc('captcha_operator_submissions_total', { outcome: 'team-a/login' as 'accepted' });
    metrics.inc('captcha_operator_submissions_total', { other: 'x' } as unknown as { outcome: 'accepted' });
    metrics.inc('rest_client_requests_total', { code: '418' as '200', method: 'GET' });
    const found = await series(metrics);
    expect(found.size).toBe(before);
    expect(found.get('rest_client_requests_total{code="other",method="GET"}')).toBe(1);
  });

  test('say what runs', async () => {
    const found = [...(await series(metricsOf('operator'))).keys()];
    expect(found).toContain(
      `captcha_operator_build_info{process="operator",version="1.2.3",node="${process.versions.node}"}`,
    );
  });

  test('turn words of our code into label values', () => {
    expect(snakeCase('keyRejected')).toBe('key_rejected');
    expect(httpCode(409)).toBe('409');
    expect(httpCode('418')).toBe('other');
    expect(httpMethod('PATCH')).toBe('PATCH');
  });
});
