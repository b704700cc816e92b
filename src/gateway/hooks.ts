/**
 * What the gateway tells the outside about its work: one narrow interface, so that no middleware knows a metrics library
 * or a logger. Nothing that passes here holds a key, an id, a solution or text of a request.
 */
import { snakeCase, type Metrics } from '../ops/metrics.ts';
import type { Logger } from '../ops/log.ts';
import type { Endpoint, Result } from './state.ts';

/** Why submissions are held back: an API server that does not take them, or one that refuses for good. */
export type Trouble = 'apiAway' | 'barred';

export interface GatewayHooks {
  onAnswered(endpoint: Endpoint, result: Result, durationMs: number): void;
  onTrouble(trouble: Trouble, reason: string): void;
  /** A task was deleted because nobody will ask for it. */
  onWithdrawn(): void;
  /** A bug: something threw where nothing may. The name of the error's class only. */
  onCrash(place: string, errorName: string): void;
}

const LOG_INTERVAL_MS = 10_000;

/** Connects the hooks to the metrics and the log. Trouble can come with every request: it is told once in ten seconds. */
export function reportTo(metrics: Pick<Metrics, 'inc' | 'observe'>, log: Pick<Logger, 'warn' | 'error'>): GatewayHooks {
  const quietUntilMs = new Map<string, number>();
  return {
    onAnswered(endpoint, result, durationMs) {
      metrics.inc('captcha_operator_gateway_requests_total', { endpoint, result });
      metrics.observe('captcha_operator_gateway_request_duration_seconds', { endpoint }, durationMs / 1_000);
    },
    onTrouble(trouble, reason) {
      if (performance.now() < (quietUntilMs.get(trouble) ?? 0)) return;
      quietUntilMs.set(trouble, performance.now() + LOG_INTERVAL_MS);
      log.warn('tasks cannot be created', { why: snakeCase(trouble), reason });
    },
    onWithdrawn: () => metrics.inc('captcha_operator_gateway_withdrawn_total', {}),
    onCrash: (place, errorName) => log.error('unexpected error', { place, errorName }),
  };
}
