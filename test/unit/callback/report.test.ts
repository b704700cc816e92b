/** What the sidecar's hooks make of metrics and log: every result counted once, every kind of fault told once in a while. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CallbackHooks } from '../../../src/callback/hooks.ts';
import { reportTo } from '../../../src/callback/report.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { createMetrics } from '../../../src/ops/metrics.ts';
import type { Metrics } from '../../../src/ops/metrics.ts';
import { T0, aTask } from '../../support/builders.ts';

let metrics: Metrics;
let told: { level: string; message: string; fields: object | undefined }[];
let hooks: CallbackHooks;
const claims = { kid: 'k1', namespace: 'default', name: 'login', uid: 'u', attempt: 1 };
const sample = async (name: string): Promise<number> => {
  const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`captcha_operator_${name} `));
  return Number(line?.split(' ').at(-1));
};

beforeEach(() => {
  metrics = createMetrics({ process: 'callback', version: 'test' });
  told = [];
  const at = (level: string) => (message: string, fields?: object) => void told.push({ level, message, fields });
  hooks = reportTo(metrics, { info: at('info'), warn: at('warn'), error: at('error') });
});
afterEach(() => {
  metrics.stop();
  vi.useRealTimers();
});

test('a solved task counts as a result by callback, with its duration, and is named in the log only', async () => {
  const before = aTask().intended(T0).submitted(T0);
  const after = before.solved(T0 + 3_000).build();
  hooks.onVerdict({ kind: 'accepted', effect: 'solved', before: before.build(), after }, claims);
  expect(await sample('results_total{source="Callback"}')).toBe(1);
  expect(await metrics.text()).toMatch(/task_duration_seconds_sum\{[^}]*source="Callback"[^}]*\} 3\n/);
  expect(told).toEqual([
    {
      level: 'info',
      message: 'callback applied',
      fields: { namespace: 'default', name: 'login', uid: 'u', attempt: 1, effect: 'solved' },
    },
  ]);
});

test('a result that came when it was perhaps dead already is counted by its type', async () => {
  const before = aTask().intended(T0).submitted(T0);
  const after = before.solved(T0 + 130_000, { freshUntilTime: '2026-01-01T00:02:00Z' }).build();
  expect(await sample('stale_results_total{type="RecaptchaV2"}')).toBe(0);
  hooks.onVerdict({ kind: 'accepted', effect: 'solved', before: before.build(), after }, claims);
  expect(await sample('stale_results_total{type="RecaptchaV2"}')).toBe(1);
});

test('a result that a Secret held already is counted, whatever the callback brought', async () => {
  const before = aTask().intended(T0).submitted(T0);
  const after = before.solved(T0 + 3_000).build();
  hooks.onVerdict({ kind: 'conflict', before: before.build(), after }, claims);
  hooks.onVerdict({ kind: 'conflict' }, claims);
  expect(await sample('results_total{source="Callback"}')).toBe(1);
});

test('a hint is no result', async () => {
  const before = aTask().intended(T0);
  const after = before.submitted(T0).build();
  hooks.onVerdict({ kind: 'accepted', effect: 'due', before: before.build(), after }, claims);
  expect(await sample('results_total{source="Callback"}')).toBe(0);
});

test('a dead letter is counted by whoever created it', async () => {
  hooks.onLetterCreated('WriteSecret');
  hooks.onVerdict({ kind: 'deadLettered', letter: 'l', stage: 'WriteSecret' }, claims);
  expect(await sample('dead_letters_created_total{stage="WriteSecret"}')).toBe(1);
});

test('faults of the spool are all counted, and logged once in ten seconds with the number that was not', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  for (let count = 0; count < 5; count++) hooks.onSpoolFault('full', 'bound');
  hooks.onSpoolFault('writeFailed', 'ENOSPC');
  vi.advanceTimersByTime(10_001);
  hooks.onSpoolFault('full', 'bound');
  expect(await sample('spool_faults_total{fault="full"}')).toBe(6);
  expect(await sample('spool_faults_total{fault="write_failed"}')).toBe(1);
  expect(told.map(({ fields }) => fields)).toEqual([
    { fault: 'full', cause: 'bound', unloggedBefore: 0 },
    { fault: 'write_failed', cause: 'ENOSPC', unloggedBefore: 0 },
    { fault: 'full', cause: 'bound', unloggedBefore: 4 },
  ]);
});

test('that callbacks wait is told with the reason, once in ten seconds', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  for (let count = 0; count < 500; count++) hooks.onDeferred('apiDown');
  hooks.onDeferred('Forbidden');
  vi.advanceTimersByTime(10_001);
  hooks.onDeferred('apiDown');
  expect(told).toEqual([
    { level: 'warn', message: 'callbacks wait in the spool', fields: { why: 'apiDown', unloggedBefore: 0 } },
    { level: 'warn', message: 'callbacks wait in the spool', fields: { why: 'Forbidden', unloggedBefore: 0 } },
    { level: 'warn', message: 'callbacks wait in the spool', fields: { why: 'apiDown', unloggedBefore: 499 } },
  ]);
});

test('what one leaked URL can bring about again and again is told once in ten seconds, each kind for itself', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  for (let count = 0; count < 100; count++) hooks.onVerdict({ kind: 'late', why: 'finished' }, claims);
  for (let count = 0; count < 100; count++) hooks.onVerdict({ kind: 'conflict' }, claims);
  vi.advanceTimersByTime(10_001);
  hooks.onVerdict({ kind: 'late', why: 'gone' }, { ...claims, name: 'other' });
  const task = { namespace: 'default', name: 'login', uid: 'u', attempt: 1 };
  expect(told).toEqual([
    { level: 'info', message: 'late callback', fields: { ...task, why: 'finished', unloggedBefore: 0 } },
    { level: 'warn', message: 'callback contradicts what is known', fields: { ...task, unloggedBefore: 0 } },
    { level: 'info', message: 'late callback', fields: { ...task, name: 'other', why: 'gone', unloggedBefore: 99 } },
  ]);
});

test('what the spool says of its faults passes the redaction guard', () => {
  const lines: string[] = [];
  const log = createLogger({ level: 'info', component: 'callback', write: (line) => void lines.push(line) });
  const spoken = reportTo(metrics, log);
  spoken.onSpoolFault('full', 'bound');
  spoken.onSpoolFault('damaged', 'checksum');
  spoken.onSpoolFault('unavailable', 'EROFS');
  expect(lines.map((line) => (JSON.parse(line) as { cause: string }).cause)).toEqual(['bound', 'checksum', 'EROFS']);
});
