/**
 * The queries of the ledger, as docs/monitoring.md states them for processes that were not restarted: nothing is taken
 * on that does not come out again. A contract test keeps the page and these equal.
 */
export const LEDGER = {
  started: 'sum(captcha_operator_tasks_started_total)',
  solved: 'sum(captcha_operator_results_total)',
  failed: 'sum(captcha_operator_failures_total)',
  open: 'sum(max by (phase, type) (captcha_operator_tasks))',
  /** Calls of in.php that were or may have been accepted: what the provider can have charged. */
  accepted:
    'sum(captcha_operator_submissions_total{outcome="accepted"}) + sum(captcha_operator_submissions_total{outcome="unknown"})',
} as const;
