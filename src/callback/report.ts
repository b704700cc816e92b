/**
 * Connects what the sidecar tells (`hooks.ts`) to its metrics and its log. Labels come from closed lists; log lines name
 * the task by namespace, name and uid where there is one, and never carry what a request brought. Called by
 * `bin/callback.ts`.
 */
import type { CaptchaTask } from '../api/captchatask.ts';
import type { CallbackVerdict } from '../core/callback.ts';
import { finishMetrics } from '../core/task/announce.ts';
import type { Logger } from '../ops/log.ts';
import { snakeCase } from '../ops/metrics.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { CallbackHooks } from './hooks.ts';

export function reportTo(metrics: Metrics, log: Logger): CallbackHooks {
  return {
    onResult: (result) => metrics.inc('captcha_operator_callbacks_total', { result }),
    onAnswered: (durationMs) => metrics.observe('captcha_operator_callback_duration_seconds', {}, durationMs / 1_000),
    onVerdict: (verdict) => reportVerdict(metrics, log, verdict),
    onSpoolFault: (fault, code) => {
      metrics.inc('captcha_operator_spool_faults_total', { fault: snakeCase(fault) });
      log.error('spool fault', { fault, code });
    },
    onCrash: (place, errorName) => log.error('unexpected error', { place, errorName }),
  };
}

function reportVerdict(metrics: Metrics, log: Logger, verdict: CallbackVerdict): void {
  if (verdict.kind === 'deadLettered' && verdict.created) {
    metrics.inc('captcha_operator_dead_letters_created_total', { stage: verdict.stage });
    log.warn('result kept in a dead letter', { stage: verdict.stage });
  }
  if (verdict.kind === 'accepted' && verdict.effect === 'solved' && verdict.task !== undefined) {
    reportSolved(metrics, log, verdict.task);
  }
}

function reportSolved(metrics: Metrics, log: Logger, task: CaptchaTask): void {
  for (const step of finishMetrics(task)) {
    if ('seconds' in step) metrics.observe(step.metric, step.labels, step.seconds);
    else if (step.metric === 'captcha_operator_results_total') metrics.inc(step.metric, step.labels);
  }
  const { namespace, name, uid } = task.metadata;
  log.info('task solved', { namespace, name, uid, attempt: task.status?.solution?.attempt, source: 'Callback' });
}
