/**
 * THE table of metrics: name, type, help, labels with every value they can take, which process counts it. The registry
 * (`ops/metrics.ts`) is built from it, docs/metrics.md is generated from it, and the alert rules and the dashboard are
 * checked against it. Names are a contract with other people's alerts: adding is fine, renaming is not.
 *
 * Gauges are computed at scrape time from the stores. Those of objects (tasks, letters) are reported by every replica,
 * because standbys keep warm caches too: take `max by (…)` over replicas, never `sum`.
 */
import { CALLBACKS, LETTERS } from './callback-rows.ts';
import { GATEWAY } from './gateway-rows.ts';
import { PROCESS, RUNTIME } from './process-rows.ts';
import type { MetricRow, MetricType } from './row.ts';
import { PROVIDER, TASKS } from './task-rows.ts';

export { combinations, isIn } from './row.ts';
export type { MetricRow } from './row.ts';

export const METRICS = { ...RUNTIME, ...TASKS, ...PROVIDER, ...CALLBACKS, ...LETTERS, ...GATEWAY, ...PROCESS } as const;

/** Sections of docs/metrics.md, in this order. */
export const METRIC_SECTIONS: readonly [title: string, rows: Readonly<Record<string, MetricRow>>][] = [
  ['Tasks', TASKS],
  ['Provider', PROVIDER],
  ['Callbacks and spool', CALLBACKS],
  ['Dead letters', LETTERS],
  ['Gateway', GATEWAY],
  ['Controllers, queues and the Kubernetes API', RUNTIME],
  ['Watches and process', PROCESS],
];

export type MetricName = keyof typeof METRICS;
type NamesOf<T extends MetricType> = {
  [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never;
}[MetricName];
export type CounterName = NamesOf<'counter'>;
export type GaugeName = NamesOf<'gauge'>;
export type HistogramName = NamesOf<'histogram'>;
/** The labels of a metric, each one of its closed list. */
export type LabelsOf<N extends MetricName> = {
  readonly [L in keyof (typeof METRICS)[N]['labels']]: (typeof METRICS)[N]['labels'][L] extends readonly (infer V)[]
    ? V
    : never;
};
