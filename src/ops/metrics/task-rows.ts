/** Rows of the metric table: tasks and the provider. Assembled in `table.ts`. */
import * as names from '../../api/names.ts';
import { REQUEST_CODES, REQUEST_OPERATIONS } from '../../core/provider-labels.ts';
import { AMBIGUITY_RESOLUTIONS } from '../../core/task/announce.ts';
import * as labels from './labels.ts';
import { EVERY_REPLICA, counter, gauge, histogram, none } from './row.ts';
import type { MetricRow } from './row.ts';

const PROVIDER_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15];
const SOLVING_SECONDS = [10, 30, 60, 120, 300, 600];

export const TASKS = {
  captcha_operator_tasks: {
    ...gauge,
    help: `Unfinished tasks. ${EVERY_REPLICA}`,
    labels: { phase: names.UNFINISHED_PHASES, type: names.CAPTCHA_TYPES },
    in: 'operator',
  },
  captcha_operator_task_oldest_age_seconds: {
    ...gauge,
    help: `Time since the oldest unfinished task of the phase was started (created, where it was not); 0 without one. Suspended and dead-lettered tasks are left out. ${EVERY_REPLICA}`,
    labels: { phase: names.UNFINISHED_PHASES },
    in: 'operator',
  },
  captcha_operator_task_duration_seconds: {
    ...histogram,
    help: 'Time from `status.startTime` to `status.completionTime` of tasks that finished.',
    labels: { type: names.CAPTCHA_TYPES, outcome: labels.TASK_OUTCOMES, source: labels.DURATION_SOURCES },
    in: 'both',
    buckets: SOLVING_SECONDS,
    occurs: ({ outcome, source }, process) => {
      if (process === 'callback') return outcome === 'Solved' && source === 'Callback';
      return outcome === 'Failed' ? source === 'None' : source === 'Poll' || source === 'DeadLetter';
    },
  },
  captcha_operator_tasks_started_total: {
    ...counter,
    help: 'Tasks that got their first status; each is counted once, by the process whose write it was.',
    labels: none,
    in: 'both',
    beyondContract: 'The left side of the ledger: what was taken on has to come out again.',
  },
  captcha_operator_results_total: {
    ...counter,
    help: 'Tasks that became Solved, by where the result came from.',
    labels: { source: names.RESULT_SOURCES },
    in: 'both',
  },
  captcha_operator_stale_results_total: {
    ...counter,
    help: 'Results that were received after their `freshUntilTime`: the site may not have taken them any more.',
    labels: { type: names.CAPTCHA_TYPES },
    in: 'both',
  },
  captcha_operator_failures_total: {
    ...counter,
    help: 'Tasks that became Failed, by `status.failure.class`.',
    labels: { class: names.FAILURE_CLASSES },
    in: 'operator',
  },
  captcha_operator_status_writes_total: {
    ...counter,
    help: 'Status writes by their result. A conflict is repeated and is no error; many of them are status churn.',
    labels: { controller: labels.WRITERS, result: labels.WRITE_RESULTS },
    in: 'both',
    occurs: ({ controller }, process) => (controller === 'callback') === (process === 'callback'),
  },
} as const satisfies Record<string, MetricRow>;

export const PROVIDER = {
  captcha_operator_submissions_total: {
    ...counter,
    help: 'Calls of `in.php` by outcome: accepted, refused (a code), unreachable (provably not accepted), unknown (perhaps accepted).',
    labels: { outcome: labels.SUBMISSION_OUTCOMES },
    in: 'operator',
  },
  captcha_operator_ambiguous_submissions_total: {
    ...counter,
    help: 'Submissions with unknown outcome by what became of them: adopted (a callback brought the id), resubmitted (perhaps paid twice), failed (a second unknown ended the task).',
    labels: { resolution: AMBIGUITY_RESOLUTIONS },
    in: 'both',
  },
  captcha_operator_foreign_submissions_total: {
    ...counter,
    help: 'Submissions that another installation announced in tasks that this one watches: both pay for each. Seen by the leader.',
    labels: none,
    in: 'operator',
  },
  captcha_operator_submission_duration_seconds: {
    ...histogram,
    help: 'Time from the intent of a submission being sent to the Kubernetes API to the answer of `in.php`.',
    labels: none,
    in: 'operator',
    buckets: PROVIDER_SECONDS,
  },
  captcha_operator_poll_fallbacks_total: {
    ...counter,
    help: 'Polls of submissions that carry a callback URL, made because no (complete) callback came, by answer; `late`: its attempt had ended by then, and it was forgotten.',
    labels: { result: labels.POLL_RESULTS },
    in: 'operator',
  },
  captcha_operator_callback_silent_keys: {
    ...gauge,
    help: 'API keys whose results are found by polls while no callbacks come (`CALLBACK_SILENCE_LIMIT`): their tasks are polled as if none was to come. The leader knows; the others say 0.',
    labels: none,
    in: 'operator',
  },
  captcha_operator_callback_refused_keys: {
    ...gauge,
    help: 'API keys whose submissions carry no callback URL, because the provider refused it. The leader knows; the others say 0.',
    labels: none,
    in: 'operator',
  },
  captcha_operator_provider_requests_total: {
    ...counter,
    help: "Calls of the provider by operation and answer: `ok`, `pending`, the provider's code, or how the call failed.",
    labels: { operation: REQUEST_OPERATIONS, code: REQUEST_CODES },
    in: 'operator',
  },
  captcha_operator_provider_request_duration_seconds: {
    ...histogram,
    help: 'Duration of provider calls.',
    labels: { operation: REQUEST_OPERATIONS },
    in: 'operator',
    buckets: PROVIDER_SECONDS,
  },
  captcha_operator_provider_breaker_open: {
    ...gauge,
    help: 'Open breakers (keys, or the address of this process) by reason: submissions rest until they close.',
    labels: { reason: labels.BREAKERS },
    in: 'operator',
  },
  captcha_operator_provider_threads: {
    ...gauge,
    help: "Threads of the account of each API key in use: all of them, those at work for whomever (both as `threadsinfo` said last, and absent where it does not), and those that the operator's own tasks hold. Keys are numbered in the order of their first acceptance since this process started; the number of a key that was not used for ten minutes is given again. The leader reports it.",
    labels: { key: labels.KEY_NUMBERS, state: labels.THREAD_STATES },
    in: 'operator',
    occurs: () => false,
  },
} as const satisfies Record<string, MetricRow>;
