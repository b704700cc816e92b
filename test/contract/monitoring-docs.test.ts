/** docs/monitoring.md names every alert, and its ledger is the one that the cluster test asks for. */
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { METRICS } from '../../src/ops/metrics/table.ts';
import { alertRules } from '../support/alert-rules.ts';
import { LEDGER } from '../support/ledger.ts';

const DOCS = new URL('../../docs/', import.meta.url);
const page = readFileSync(new URL('monitoring.md', DOCS), 'utf8');

describe('the page about monitoring', () => {
  test('lists every alert with its severity and its runbook, and no other', () => {
    const listed = [...page.matchAll(/^\| \[(\w+)\]\(runbooks\/(\w+)\.md\) \| (\w+) \|/gm)].map(
      ([, name, link, severity]) => [name, link, severity],
    );
    expect(listed).toEqual(alertRules().map(({ alert, labels }) => [alert, alert, labels['severity']]));
  });

  test.each(Object.entries(LEDGER))('states the query for %s as it is tested', (_name, expr) => {
    expect(page).toContain(`\`${expr}\``);
  });
});

test('there is no runbook without an alert', () => {
  const pages = readdirSync(new URL('runbooks/', DOCS)).sort();
  expect(pages).toEqual(
    alertRules()
      .map(({ alert }) => `${alert}.md`)
      .sort(),
  );
});

const PAGES = ['monitoring.md', ...readdirSync(new URL('runbooks/', DOCS)).map((name) => `runbooks/${name}`)];
test.each(PAGES)('%s asks only for metrics that exist', (name) => {
  const text = readFileSync(new URL(name, DOCS), 'utf8');
  const names =
    text.match(/\b(?:captcha_operator|controller_runtime|workqueue|rest_client|leader_election)_[a-z_]+/g) ?? [];
  const known = Object.keys(METRICS);
  const unknown = names.filter((one) => !known.includes(one.replace(/_(?:bucket|sum|count)$/, '')));
  expect(unknown).toEqual([]);
});
