/**
 * The alert rules, checked by promtool: their syntax, and cases in which each must fire and must not. And what goes
 * with them: labels and annotations, runbooks, metrics that exist.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';

import { METRICS } from '../../src/ops/metrics/table.ts';
import { alertRules, baseName, metricNamesIn, ruleFileText } from '../support/alert-rules.ts';
import { ALERT_CASES, type AlertCase } from './alerts/cases.ts';

const run = promisify(execFile);
const ROOT = new URL('../../', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { version: string };
let scratch = '';

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'alert-rules-'));
  await writeFile(join(scratch, 'rules.yaml'), ruleFileText());
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** Runs promtool; resolves with what it says when it complains. A missing promtool is a failure that says what to do. */
async function promtool(...args: string[]): Promise<string> {
  try {
    await run('promtool', args, { cwd: scratch, timeout: 20_000 });
    return '';
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: unknown; stdout?: string; stderr?: string };
    if (code === 'ENOENT')
      throw new Error('promtool is not on the PATH: install the package "prometheus"', { cause: error });
    return stdout + stderr;
  }
}

function testFile({ alert, firing, at, series }: AlertCase): string {
  return stringify({
    rule_files: ['rules.yaml'],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: [
          {
            expr: `count(ALERTS{alertname="${alert}",alertstate="firing"})`,
            eval_time: at,
            exp_samples: firing === 0 ? [] : [{ labels: '{}', value: firing }],
          },
        ],
      },
    ],
  });
}

describe('the alert rules', () => {
  test('are accepted by promtool', async () => {
    expect(await promtool('check', 'rules', 'rules.yaml')).toBe('');
  });

  test.each(ALERT_CASES.map((one): [string, AlertCase] => [title(one), one]))('%s', async (_title, one) => {
    const name = `case-${ALERT_CASES.indexOf(one)}.yaml`;
    await writeFile(join(scratch, name), testFile(one));
    expect(await promtool('test', 'rules', name)).toBe('');
  });

  test('have each a case that fires and one that does not', () => {
    for (const firing of [true, false]) {
      const tested = ALERT_CASES.filter((one) => one.firing > 0 === firing).map((one) => one.alert);
      expect([...new Set(tested)].sort()).toEqual(
        alertRules()
          .map((rule) => rule.alert)
          .sort(),
      );
    }
  });
});

function title({ alert, firing, when }: AlertCase): string {
  return `${alert} ${firing > 0 ? 'fires' : 'is silent'} when ${when}`;
}

describe.each(alertRules().map((rule) => [rule.alert, rule] as const))('%s', (name, rule) => {
  test('has a severity, a summary, a description and a runbook', () => {
    expect(rule.labels['severity']).toMatch(/^(critical|warning)$/);
    expect(rule.annotations['summary']).toMatch(/^[A-Z].*\.$/);
    expect(rule.annotations['description']).toMatch(/^.{60,}\.$/s);
    expect(rule.annotations['runbook_url']).toBe(
      `https://github.com/OWNER/captcha-operator/blob/v${version}/docs/runbooks/${name}.md`,
    );
    expect(existsSync(new URL(`docs/runbooks/${name}.md`, ROOT))).toBe(true);
  });

  test('uses metrics that exist, with labels that exist', () => {
    const names = metricNamesIn(rule.expr).map(baseName);
    expect(names.length).toBeGreaterThan(0);
    for (const metric of names) expect(Object.keys(METRICS)).toContain(metric);
    for (const [, metric = '', selector = ''] of rule.expr.matchAll(/([a-z_]+)\{([^}]*)\}/g)) {
      const { labels } = METRICS[metric as keyof typeof METRICS];
      for (const [, label = ''] of selector.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)) {
        expect(Object.keys(labels)).toContain(label);
      }
    }
  });

  test('compares labels with values that exist', () => {
    for (const [, metric = '', selector = ''] of rule.expr.matchAll(/([a-z_]+)\{([^}]*)\}/g)) {
      const labels: Record<string, readonly string[]> = METRICS[metric as keyof typeof METRICS].labels;
      for (const [, label = '', pattern = ''] of selector.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g)) {
        for (const word of pattern.split('|')) {
          const matches = (labels[label] ?? []).filter((value) => new RegExp(`^(?:${word})$`).test(value));
          expect(matches, `${metric}{${label}} has a value ${word}`).not.toEqual([]);
        }
      }
    }
  });

  test('has a runbook page with meaning, impact, diagnosis and fix', () => {
    const page = new URL(`docs/runbooks/${name}.md`, ROOT);
    expect(existsSync(page)).toBe(true);
    const text = readFileSync(page, 'utf8');
    expect(text.startsWith(`# ${name}\n`)).toBe(true);
    expect([...text.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)).toEqual([
      'Meaning',
      'Impact',
      'Diagnosis',
      'Fix',
    ]);
  });
});
