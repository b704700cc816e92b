/**
 * The metrics of one process, built from the table (`metrics/table.ts`) on a registry of its own. Counters and
 * histograms of this process exist from the start with every label combination at zero, so that the first event is a
 * step that `increase()` sees; gauges appear when somebody says how to compute them, because a zero that nobody
 * measured would lie.
 *
 * A label value outside its closed list never becomes a series: it counts as `other` where the list has that word, and
 * is dropped otherwise. Nothing here throws: a metric must not be able to fail a callback.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';

import type { ProcessName } from './config/variable.ts';
import { METRICS, combinations, isIn } from './metrics/table.ts';
import type { CounterName, GaugeName, HistogramName, LabelsOf, MetricName, MetricRow } from './metrics/table.ts';

export { httpCode, httpMethod, snakeCase } from './metrics/labels.ts';
export type { LabelsOf } from './metrics/table.ts';

export type SetGauge<N extends GaugeName> = (labels: LabelsOf<N>, value: number) => void;

export interface Metrics {
  readonly contentType: string;
  /** Adds `by` (1) to a counter. */
  inc<N extends CounterName>(name: N, labels: LabelsOf<N>, by?: number): void;
  /** Adds one observation, in seconds, to a histogram. */
  observe<N extends HistogramName>(name: N, labels: LabelsOf<N>, value: number): void;
  /**
   * Says how a gauge is computed. `collect` runs at every scrape, must be quick, and sets what is not zero: every other
   * combination is reported as 0. Several may share a gauge (one queue's depth each).
   */
  gauge<N extends GaugeName>(name: N, collect: (set: SetGauge<N>) => void): void;
  /** The exposition text of one scrape. */
  text(): Promise<string>;
  /** Stops sampling the event loop. */
  stop(): void;
}

export interface MetricsOptions {
  process: ProcessName;
  /** For `captcha_operator_build_info`. */
  version: string;
  /** A gauge could not be computed; its name. The scrape goes on without it. */
  onFault?: (name: string, error: unknown) => void;
}

type Labels = Readonly<Record<string, string>>;

/** Computed at the scrape, as gauges are. */
const CPU_SECONDS = 'process_cpu_seconds_total';

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  const counters = new Map<string, Recorder>();
  const histograms = new Map<string, Recorder>();
  const gauges = new Map<string, CollectAny[]>();
  const counter = (name: MetricName): Recorder => lazily(counters, name, () => createCounter(registry, name, options));
  const histogram = (name: MetricName): Recorder =>
    lazily(histograms, name, () => createHistogram(registry, name, options));
  for (const [name, row] of Object.entries(METRICS) as [MetricName, MetricRow][]) {
    if (name === CPU_SECONDS || !isIn(row, options.process)) continue;
    if (row.type === 'counter') counter(name);
    if (row.type === 'histogram') histogram(name);
  }
  const metrics: Omit<Metrics, 'stop'> = {
    contentType: registry.contentType,
    inc: (name, labels, by = 1) => counter(name)(labels as Labels, by),
    observe: (name, labels, value) => histogram(name)(labels as Labels, value),
    gauge(name, collect) {
      const collectors = lazily(gauges, name, () => registerGauge(registry, name, options));
      collectors.push(collect as CollectAny);
    },
    text: () => registry.metrics(),
  };
  const stop = collectProcess(metrics, registry, options);
  return { ...metrics, stop };
}

function lazily<T>(made: Map<string, T>, name: string, make: () => T): T {
  let found = made.get(name);
  if (found === undefined) {
    found = make();
    made.set(name, found);
  }
  return found;
}

/** Takes one step of a counter or one observation of a histogram. */
type Recorder = (labels: Labels, value: number) => void;

/**
 * Counted here and handed over at the scrape: the library hashes the labels at every step, also in its children made by
 * `labels()`. Measured: 0.13 µs a step, through such a child 0.34 µs. A task takes dozens of steps.
 */
function createCounter(registry: Registry, name: MetricName, { process }: MetricsOptions): Recorder {
  const row: MetricRow = METRICS[name];
  const cells = createCells(row, process, (labels) => ({ labels, sum: 0 }));
  const made: Counter = new Counter({
    name,
    help: row.help,
    labelNames: Object.keys(row.labels),
    registers: [registry],
    collect: () => {
      made.reset();
      for (const { labels, sum } of cells.all()) made.inc(labels, sum);
    },
  });
  return (labels, by) => {
    const cell = cells.of(labels);
    if (cell !== undefined) cell.sum += by;
  };
}

interface Cells<T> {
  /** Undefined where a value lies outside its list and the list has no `other`. */
  of(labels: Labels): T | undefined;
  all(): Iterable<T>;
}

/** One cell for each combination of labels, from the start for those that can occur. */
function createCells<T>(row: MetricRow, process: MetricsOptions['process'], make: (labels: Labels) => T): Cells<T> {
  const names = Object.keys(row.labels);
  const keyOf = (labels: Labels): string => names.map((name) => labels[name]).join('\n');
  const cells = new Map(combinations(row, process).map((labels) => [keyOf(labels), make(labels)]));
  return {
    all: () => cells.values(),
    of(labels) {
      const known = cells.get(keyOf(labels));
      if (known !== undefined) return known;
      const within = withinLists(row, labels);
      return within === undefined ? undefined : lazily(cells, keyOf(within), () => make(within));
    },
  };
}

function createHistogram(registry: Registry, name: MetricName, { process }: MetricsOptions): Recorder {
  const row: MetricRow = METRICS[name];
  const made = new Histogram({
    name,
    help: row.help,
    labelNames: Object.keys(row.labels),
    buckets: [...(row.buckets ?? [])],
    registers: [registry],
  });
  const cells = createCells(row, process, (labels) => {
    made.zero(labels);
    return labels;
  });
  return (labels, value) => {
    const known = cells.of(labels);
    if (known !== undefined) made.observe(known, value);
  };
}

type SetAny = (labels: Labels, value: number) => void;
type CollectAny = (set: SetAny) => void;

/** Returns the list of what is called at each scrape. */
function registerGauge(registry: Registry, name: GaugeName, { process, onFault }: MetricsOptions): CollectAny[] {
  const row: MetricRow = METRICS[name];
  const all = combinations(row, process);
  const collectors: CollectAny[] = [];
  const set: SetAny = (labels, value) => {
    const known = withinLists(row, labels);
    if (known !== undefined) gauge.set(known, value);
  };
  const gauge: Gauge = new Gauge({
    name,
    help: row.help,
    labelNames: Object.keys(row.labels),
    registers: [registry],
    collect: () => {
      gauge.reset();
      try {
        for (const labels of all) gauge.set(labels, 0);
        for (const collect of collectors) collect(set);
      } catch (error) {
        gauge.reset();
        // Without labels a reset means zero; what was not measured must be absent.
        if (Object.keys(row.labels).length === 0) gauge.remove();
        onFault?.(name, error);
      }
    },
  });
  return collectors;
}

/** An empty list of values is that of a label whose value is fixed at start (build_info). */
function withinLists(row: MetricRow, labels: Labels): Labels | undefined {
  let known = labels;
  for (const [label, value] of Object.entries(labels)) {
    const list = row.labels[label];
    if (list === undefined) return undefined;
    if (list.length === 0 || list.includes(value)) continue;
    if (!list.includes('other')) return undefined;
    known = { ...known, [label]: 'other' };
  }
  return known;
}

/** Resolution of the event-loop sampling. It runs outside JavaScript and costs next to nothing. */
const LOOP_RESOLUTION_MS = 50;

function collectProcess(metrics: Omit<Metrics, 'stop'>, registry: Registry, options: MetricsOptions): () => void {
  const startedSeconds = Date.now() / 1_000 - process.uptime();
  // The histogram holds whole intervals; what exceeds the resolution is the lag.
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  const lagSeconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - LOOP_RESOLUTION_MS / 1e3) || 0;
  delay.enable();
  metrics.gauge('captcha_operator_build_info', (set) => {
    set({ process: options.process, version: options.version, node: process.versions.node }, 1);
  });
  metrics.gauge('process_start_time_seconds', (set) => set({}, startedSeconds));
  metrics.gauge('process_resident_memory_bytes', (set) => set({}, process.memoryUsage.rss()));
  metrics.gauge('nodejs_heap_size_used_bytes', (set) => set({}, process.memoryUsage().heapUsed));
  metrics.gauge('nodejs_eventloop_lag_p99_seconds', (set) => set({}, lagSeconds(delay.percentile(99))));
  metrics.gauge('nodejs_eventloop_lag_max_seconds', (set) => {
    set({}, lagSeconds(delay.max));
    delay.reset();
  });
  const cpu: Counter = new Counter({
    name: CPU_SECONDS,
    help: METRICS[CPU_SECONDS].help,
    registers: [registry],
    collect: () => {
      const { user, system } = process.cpuUsage();
      cpu.reset();
      cpu.inc((user + system) / 1e6);
    },
  });
  return () => delay.disable();
}
