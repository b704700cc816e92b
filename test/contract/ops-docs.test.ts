/** The pages about configuration and metrics say what the tables say. */
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { GENERATED_DOCS } from '../../scripts/generate-docs.ts';
import { parseOperatorConfig } from '../../src/ops/config.ts';
import { VARIABLES, type Variable } from '../../src/ops/config/variables.ts';
import { configFaultText } from '../../src/ops/lifecycle.ts';
import { METRICS } from '../../src/ops/metrics/table.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

describe('generated pages', () => {
  test.each(Object.keys(GENERATED_DOCS))('%s is what scripts/generate-docs.ts writes', (path) => {
    expect(read(path)).toBe(GENERATED_DOCS[path]?.());
  });

  test('show the faults of a configuration as the operator prints them', () => {
    const parsed = parseOperatorConfig({
      POLL_INTERVAL_SECONDS: '0',
      CALLBACK_URL: 'http://captcha.example.com',
      POD_NAMESPACE: 'captcha-system',
    });
    expect(read('docs/configuration.md')).toContain(configFaultText('operator', parsed.ok ? [] : parsed.faults));
  });
});

describe('the table of variables', () => {
  const rows: [string, Variable<unknown>][] = Object.entries(VARIABLES);

  test.each(rows)('%s has a default that its own kind accepts, or says what unset means', (_field, row) => {
    const defaults = typeof row.default === 'object' ? Object.values(row.default) : [row.default];
    for (const text of defaults) {
      if (text === undefined) expect(row.unset).toBeDefined();
      else expect(row.kind.read(text)).toBeDefined();
    }
  });

  test('has the variables of the contract', () => {
    expect(rows.map(([, row]) => row.name).sort()).toEqual(
      [
        'KUBECONFIG',
        'WATCH_NAMESPACES',
        'PROVIDER_URL',
        'PROVIDER_API_KEY_FILE',
        'PROVIDER_API_KEY',
        'CALLBACK_URL',
        'CALLBACK_KEYS_FILE',
        'CALLBACK_ALLOW_HTTP',
        'CALLBACK_BIND_ADDRESS',
        'CALLBACK_ROOT_FILES',
        'SPOOL_DIR',
        'METRICS_BIND_ADDRESS',
        'HEALTH_BIND_ADDRESS',
        'LEADER_ELECTION',
        'LEASE_NAME',
        'HTTPS_PROXY',
        'NO_PROXY',
        'POD_NAMESPACE',
        'POD_NAME',
        'MAX_CONCURRENT_SUBMISSIONS',
        'CALLBACK_SILENCE_LIMIT',
        'POLL_INTERVAL_SECONDS',
        'MAX_POLLS_PER_SECOND',
        'UNKNOWN_SUBMISSION_GRACE_SECONDS',
        'REJECTED_KEYS_LIMIT',
        'DEFAULT_TTL_SECONDS_AFTER_FINISHED',
        'DEAD_LETTER_RETRY_MIN_SECONDS',
        'DEAD_LETTER_RETRY_MAX_SECONDS',
        'DEAD_LETTER_MAX_ATTEMPTS',
        'DEAD_LETTER_TTL_SECONDS',
        'LOG_LEVEL',
      ].sort(),
    );
  });
});

test('manifests set no variable that nobody reads', () => {
  const names = readdirSync(new URL('deploy/', ROOT), { recursive: true, encoding: 'utf8' });
  const texts = names.filter((name) => /\.(?:yaml|env)$/.test(name)).map((name) => read(`deploy/${name}`));
  const set = texts.flatMap((text) => [
    ...[...text.matchAll(/^\s*- name: ([A-Z][A-Z0-9_]+)$/gm)].map(([, name = '']) => name),
    ...[...text.matchAll(/^(?:\s*- )?([A-Z][A-Z0-9_]+)=/gm)].map(([, name = '']) => name),
  ]);
  const known = Object.values(VARIABLES).map((row): string => row.name);
  expect(set.length).toBeGreaterThan(3);
  expect(set.filter((name) => !known.includes(name))).toEqual([]);
});

test('the table of metrics has the names of the contract', () => {
  const own = [
    'tasks',
    'task_oldest_age_seconds',
    'task_duration_seconds',
    'submissions_total',
    'ambiguous_submissions_total',
    'submission_duration_seconds',
    'callbacks_total',
    'callback_connections_dropped_total',
    'callback_duration_seconds',
    'callback_late_answers_total',
    'poll_fallbacks_total',
    'results_total',
    'stale_results_total',
    'failures_total',
    'dead_letters',
    'dead_letters_created_total',
    'dead_letter_retries_total',
    'dead_letter_oldest_age_seconds',
    'spool_records',
    'spool_oldest_age_seconds',
    'spool_bytes',
    'spool_open',
    'provider_requests_total',
    'provider_request_duration_seconds',
    'provider_breaker_open',
    'provider_threads',
    'callback_silent_keys',
    'callback_refused_keys',
    'status_writes_total',
    'watch_restarts_total',
    'watch_last_activity_timestamp_seconds',
    'build_info',
  ].map((name) => `captcha_operator_${name}`);
  const borrowed = [
    'controller_runtime_reconcile_total',
    'controller_runtime_reconcile_errors_total',
    'controller_runtime_reconcile_time_seconds',
    'workqueue_depth',
    'workqueue_adds_total',
    'workqueue_queue_duration_seconds',
    'workqueue_work_duration_seconds',
    'workqueue_retries_total',
    'rest_client_requests_total',
    'rest_client_request_duration_seconds',
    'leader_election_master_status',
  ];
  const contracted = Object.entries(METRICS).filter(([, row]) => !('beyondContract' in row));
  expect(contracted.map(([name]) => name).sort()).toEqual([...own, ...borrowed].sort());
});
