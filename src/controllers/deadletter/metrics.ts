/**
 * The dead-letter controller's own metrics: gauges computed from its cache at the scrape, and the results of passes,
 * retries and writes. Its queue is counted by `queue-metrics.ts`; names are in `ops/metrics`.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import type { LetterPhase, LetterStage } from '../../api/names.ts';
import type { Letter } from '../../core/deadletter/facts.ts';
import type { StatusWrite } from '../../core/status-write.ts';
import type { StoreReader } from '../../kube/store.ts';
import type { Metrics } from '../../ops/metrics.ts';
import type { PassResult } from '../loop.ts';
import { phaseOf } from '../../core/deadletter/facts.ts';
import { finishMetrics } from '../../core/task/announce.ts';
import { isFinished } from '../../core/task/transitions.ts';

export const CONTROLLER = 'deadletter';

export type LetterMetrics = Pick<Metrics, 'inc' | 'observe' | 'gauge'>;

export function registerGauges(
  metrics: LetterMetrics,
  store: StoreReader<Letter>,
  { now, depth }: { now: () => number; depth: () => number },
): void {
  metrics.gauge('workqueue_depth', (set) => set({ name: CONTROLLER }, depth()));
  metrics.gauge('captcha_operator_dead_letters', (set) => {
    const counts = new Map<string, { phase: LetterPhase; stage: LetterStage; count: number }>();
    for (const letter of store.values()) {
      const labels = { phase: phaseOf(letter), stage: letter.spec.stage };
      const entry = counts.get(`${labels.phase}/${labels.stage}`) ?? { ...labels, count: 0 };
      counts.set(`${labels.phase}/${labels.stage}`, { ...entry, count: entry.count + 1 });
    }
    for (const { phase, stage, count } of counts.values()) set({ phase, stage }, count);
  });
  metrics.gauge('captcha_operator_dead_letter_oldest_age_seconds', (set) => {
    let oldest = Infinity;
    for (const letter of store.values()) {
      if (phaseOf(letter) !== 'Pending') continue;
      oldest = Math.min(oldest, Date.parse(letter.metadata.creationTimestamp));
    }
    set({}, Math.max(0, (now() - oldest) / 1_000));
  });
}

export function countPass(metrics: LetterMetrics, result: PassResult): void {
  metrics.inc('controller_runtime_reconcile_total', { controller: CONTROLLER, result });
}

export function countWrite(metrics: LetterMetrics, result: StatusWrite<never>['kind']): void {
  metrics.inc('captcha_operator_status_writes_total', { controller: CONTROLLER, result });
}

/** A task that a retry solved is counted here: the task controller sees it leave, but not how. */
export function countFinished(metrics: LetterMetrics, task: CaptchaTask): void {
  if (!isFinished(task)) return;
  for (const step of finishMetrics(task)) {
    if (step.metric === 'captcha_operator_task_duration_seconds')
      metrics.observe(step.metric, step.labels, step.seconds);
    if (step.metric === 'captcha_operator_results_total') metrics.inc(step.metric, step.labels);
    if (step.metric === 'captcha_operator_stale_results_total') metrics.inc(step.metric, step.labels);
  }
}
