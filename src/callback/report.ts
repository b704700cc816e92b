/**
 * Connects the sidecar's hooks to the metrics and the log of its process. The log follows single tasks by namespace,
 * name, uid and attempt; metrics never do. Faults of the spool and trouble with the API can come with every callback,
 * and so can late and contradicting ones (one leaked URL repeated without end): each kind is logged at most once in ten
 * seconds, with how many there were; the counters have them all.
 */
import type { CallbackVerdict } from '../core/callback/callback.ts';
import { announce } from '../core/task/announce.ts';
import type { TaskMetricStep } from '../core/task/announce.ts';
import type { TokenClaims } from '../core/token.ts';
import type { Logger } from '../ops/log.ts';
import { snakeCase } from '../ops/metrics.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { CallbackHooks } from './hooks.ts';

type Log = Pick<Logger, 'info' | 'warn' | 'error'>;

/** Calls `write` or leaves it out. */
type Limiter = (key: string, write: (leftOut: number) => void) => void;

const LOG_INTERVAL_MS = 10_000;

export function reportTo(metrics: Pick<Metrics, 'inc' | 'observe'>, log: Log): CallbackHooks {
  const nowAndThen = createLimiter();
  return {
    onResult: (result) => metrics.inc('captcha_operator_callbacks_total', { result }),
    onLateAnswer: () => metrics.inc('captcha_operator_callback_late_answers_total', {}),
    onAnswered: (durationMs) => metrics.observe('captcha_operator_callback_duration_seconds', {}, durationMs / 1_000),
    onVerdict(verdict, claims) {
      countVerdict(metrics, verdict);
      logVerdict(log, nowAndThen, { verdict, claims });
    },
    onLetterCreated: (stage) => metrics.inc('captcha_operator_dead_letters_created_total', { stage }),
    onConnectionDropped: () => metrics.inc('captcha_operator_callback_connections_dropped_total', {}),
    onSpoolFault(fault, code) {
      metrics.inc('captcha_operator_spool_faults_total', { fault: snakeCase(fault) });
      nowAndThen(`fault ${fault}`, (unlogged) => {
        log.error('spool fault', { fault: snakeCase(fault), cause: code, unloggedBefore: unlogged });
      });
    },
    onDeferred: (why) =>
      nowAndThen(`deferred ${why}`, (unlogged) => {
        log.warn('callbacks wait in the spool', { why, unloggedBefore: unlogged });
      }),
    onCrash: (place, errorName) => log.error('unexpected error', { place, errorName }),
  };
}

function countVerdict(metrics: Pick<Metrics, 'inc' | 'observe'>, verdict: CallbackVerdict): void {
  if ('before' in verdict && verdict.before !== undefined && verdict.after !== undefined) {
    for (const step of announce(verdict.before, verdict.after).metrics) countStep(metrics, step);
  }
}

function countStep(metrics: Pick<Metrics, 'inc' | 'observe'>, step: TaskMetricStep): void {
  if ('seconds' in step) metrics.observe(step.metric, step.labels, step.seconds);
  else metrics.inc(step.metric, step.labels);
}

/** What a URL that leaked can bring about with every request is told now and then; what changes a task, each time. */
function logVerdict(log: Log, nowAndThen: Limiter, told: { verdict: CallbackVerdict; claims: TokenClaims }): void {
  const { verdict, claims } = told;
  const { namespace, name, uid, attempt } = claims;
  const task = { namespace, name, uid, attempt };
  switch (verdict.kind) {
    case 'accepted':
      return log.info('callback applied', { ...task, effect: verdict.effect });
    case 'deadLettered':
      return log.warn('callback kept in a dead letter', { ...task, letter: verdict.letter, stage: verdict.stage });
    case 'conflict':
      return nowAndThen('conflict', (unlogged) => {
        log.warn('callback contradicts what is known', { ...task, unloggedBefore: unlogged });
      });
    case 'late':
      return nowAndThen('late', (unlogged) => {
        log.info('late callback', { ...task, why: verdict.why, unloggedBefore: unlogged });
      });
    case 'duplicate':
    case 'ignored':
    case 'retry':
      return undefined;
  }
}

/** Calls `write` once in an interval for each key, with how often it was left out since. */
function createLimiter(): Limiter {
  const quiet = new Map<string, { count: number; untilMs: number }>();
  return (key, write) => {
    const last = quiet.get(key);
    if (last !== undefined && performance.now() < last.untilMs) {
      last.count++;
      return;
    }
    quiet.set(key, { count: 0, untilMs: performance.now() + LOG_INTERVAL_MS });
    write(last?.count ?? 0);
  };
}
