/**
 * The task controller's own metrics: gauges computed from its cache at the scrape, and breakers. Its queue is counted
 * by `queue-metrics.ts`; names and label lists are in `ops/metrics`.
 */
import type { CaptchaType, TaskPhase } from '../../api/names.ts';
import type { PackedTask } from '../../core/task/packed.ts';
import type { StoreReader } from '../../kube/store.ts';
import type { Callbacks } from './callbacks.ts';
import type { Lanes } from './lanes.ts';
import type { TaskMeters } from './ports.ts';
import { BREAKER_REASONS } from '../../core/task/breaker.ts';
import { UNFINISHED_PHASES } from '../../api/names.ts';
import { snakeCase } from '../../ops/metrics.ts';

const NAME = 'captchatask';

export function registerGauges(
  metrics: TaskMeters,
  parts: {
    store: StoreReader<PackedTask>;
    lanes: Lanes;
    now: () => number;
    depth: () => number;
    callbacks: Callbacks['counts'];
  },
): void {
  const { store, lanes, now, depth, callbacks } = parts;
  metrics.gauge('workqueue_depth', (set) => set({ name: NAME }, depth()));
  metrics.gauge('captcha_operator_tasks', (set) => {
    for (const { phase, type, count } of census(store)) if (isUnfinished(phase)) set({ phase, type }, count);
  });
  metrics.gauge('captcha_operator_task_oldest_age_seconds', (set) => {
    for (const phase of UNFINISHED_PHASES) {
      const since = oldestOf(store, phase);
      if (since !== Infinity) set({ phase }, Math.max(0, now() - since) / 1_000);
    }
  });
  metrics.gauge('captcha_operator_callback_silent_keys', (set) => set({}, callbacks().silent));
  metrics.gauge('captcha_operator_callback_refused_keys', (set) => set({}, callbacks().refused));
  metrics.gauge('captcha_operator_provider_breaker_open', (set) => {
    const open = lanes.openBreakers();
    for (const reason of BREAKER_REASONS) set({ reason: snakeCase(reason) }, open?.[reason] ?? 0);
  });
  metrics.gauge('captcha_operator_provider_threads', (set) => {
    for (const use of lanes.threadUse()) {
      for (const state of ['total', 'working', 'ours'] as const) {
        if (use[state] !== undefined) set({ key: String(use.key), state }, use[state]);
      }
    }
  });
}

function isUnfinished(phase: TaskPhase): phase is (typeof UNFINISHED_PHASES)[number] {
  return phase !== 'Solved' && phase !== 'Failed';
}

function census(store: StoreReader<PackedTask>): Iterable<{ phase: TaskPhase; type: CaptchaType; count: number }> {
  const counts = new Map<string, { phase: TaskPhase; type: CaptchaType; count: number }>();
  for (const { phase, type } of store.values()) {
    const entry = counts.get(`${phase} ${type}`);
    if (entry === undefined) counts.set(`${phase} ${type}`, { phase, type, count: 1 });
    else entry.count += 1;
  }
  return counts.values();
}

function oldestOf(store: StoreReader<PackedTask>, phase: TaskPhase): number {
  let oldest = Infinity;
  for (const task of store.values()) if (task.phase === phase && task.sinceTime < oldest) oldest = task.sinceTime;
  return oldest;
}
