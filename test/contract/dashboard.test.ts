/** The dashboard is what its script writes, and asks only for metrics and labels that exist. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { DASHBOARD_ROWS, dashboardText, scoped } from '../../scripts/generate-dashboard.ts';
import { METRICS } from '../../src/ops/metrics/table.ts';
import { baseName, metricNamesIn } from '../support/alert-rules.ts';

const FILE = new URL('../../deploy/monitoring/dashboard.json', import.meta.url);
const panels = DASHBOARD_ROWS.flatMap(([, row]) => row);
const queries = panels.flatMap((panel) => panel.queries.map(([, expr]) => [panel.title, expr] as const));

/** How often a query names a metric, read another way than the generator does: by the prefixes that metrics have. */
const metricsIn = (expr: string): number =>
  expr.match(
    /\b(?:captcha_operator|controller_runtime|workqueue|rest_client|leader_election|process|nodejs)_[a-z_0-9]+/g,
  )?.length ?? 0;

describe('the dashboard', () => {
  test('is what scripts/generate-dashboard.ts writes', () => {
    expect(readFileSync(FILE, 'utf8')).toBe(dashboardText());
  });

  test('has the rows that people look for', () => {
    expect(DASHBOARD_ROWS.map(([title]) => title)).toEqual([
      'Overview',
      'Callbacks',
      'Polling',
      'Provider',
      'Kubernetes API and queues',
      'Processes',
      'Gateway',
    ]);
  });

  test('places no panel over another, and none outside the grid', () => {
    const places = (JSON.parse(dashboardText()) as { panels: { gridPos: Record<'x' | 'y' | 'w' | 'h', number> }[] })
      .panels;
    const taken = new Set<string>();
    for (const { gridPos } of places) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`)).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
    }
  });

  const SCOPE = 'cluster=~"$cluster",namespace=~"$namespace",job=~"$job"';
  test('narrows every metric of every query by cluster, namespace and job', () => {
    expect(scoped('sum(rate(captcha_operator_failures_total[5m]))')).toBe(
      `sum(rate(captcha_operator_failures_total{${SCOPE}}[5m]))`,
    );
    for (const [title, expr] of queries) {
      const narrowed = scoped(expr);
      expect([title, narrowed.split(SCOPE).length - 1]).toEqual([title, metricsIn(expr)]);
      expect(narrowed.replaceAll(`{${SCOPE}}`, '').replaceAll(`,${SCOPE}`, '')).toBe(expr);
    }
  });

  test.each(queries)('%s asks for metrics and labels that exist', (_title, expr) => {
    const names = metricNamesIn(expr).map(baseName);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(Object.keys(METRICS)).toContain(name);
    for (const [, metric = '', selector = ''] of expr.matchAll(/([a-z_]+)\{([^}]*)\}/g)) {
      const labels: Record<string, readonly string[]> = METRICS[baseName(metric) as keyof typeof METRICS].labels;
      for (const [, label = '', pattern = ''] of selector.matchAll(/([a-z_]+)\s*(?:=~|=)\s*"([^"]*)"/g)) {
        for (const value of pattern.split('|')) expect(labels[label]).toContain(value);
      }
    }
  });

  test('shows every metric, so that none is only collected', () => {
    const shown = new Set(queries.flatMap(([, expr]) => metricNamesIn(expr).map(baseName)));
    // The left side of the ledger is a question for an audit, not for a screen (docs/monitoring.md).
    const missing = Object.keys(METRICS).filter((name) => !shown.has(name));
    expect(missing).toEqual(['captcha_operator_tasks_started_total']);
  });
});
