/**
 * A controller's queue and passes under controller-runtime's names, so that its dashboards work. Both controllers hand
 * these hooks to their work queue; names and label lists are in `ops/metrics`.
 */
import type { QueueHooks } from '../kube/queue.ts';

import type { LabelsOf, Metrics } from '../ops/metrics.ts';

type Controller = LabelsOf<'workqueue_adds_total'>['name'];

export function queueHooks(
  metrics: Pick<Metrics, 'inc' | 'observe'>,
  name: Controller,
  onError: (key: string, error: unknown) => void,
): QueueHooks {
  return {
    onAdd: () => metrics.inc('workqueue_adds_total', { name }),
    onStart: (queuedMs) => metrics.observe('workqueue_queue_duration_seconds', { name }, queuedMs / 1_000),
    onFinish(workMs) {
      metrics.observe('workqueue_work_duration_seconds', { name }, workMs / 1_000);
      metrics.observe('controller_runtime_reconcile_time_seconds', { controller: name }, workMs / 1_000);
    },
    onRetry: () => metrics.inc('workqueue_retries_total', { name }),
    onError(key, error) {
      metrics.inc('controller_runtime_reconcile_errors_total', { controller: name });
      metrics.inc('controller_runtime_reconcile_total', { controller: name, result: 'error' });
      onError(key, error);
    },
  };
}
