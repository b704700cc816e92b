/** Rows of the metric table: controllers, queues, the Kubernetes API, watches, the process. Assembled in `table.ts`. */
import { CAPTCHA_TASK } from '../../api/names.ts';
import { PROCESSES } from '../config/variable.ts';
import * as labels from './labels.ts';
import { counter, gauge, histogram, none } from './row.ts';
import type { MetricRow } from './row.ts';

const API_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const WORK_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15];
const controller = { controller: labels.QUEUES } as const;
const queue = { name: labels.QUEUES } as const;
const PROCESS_SUBSTITUTE =
  'The name that prom-client and the Go client use; the rest of their default metrics is left out.';

/** Who watches what: the gateway sees no letters. */
const watching = {
  in: ['operator', 'gateway'],
  occurs: ({ resource }, process) => process === 'operator' || resource === CAPTCHA_TASK.plural,
} as const satisfies Pick<MetricRow, 'in' | 'occurs'>;

/** controller-runtime's and client-go's names and meanings, so that their dashboards work. */
export const RUNTIME = {
  controller_runtime_reconcile_total: {
    ...counter,
    help: 'Passes of the main loop over one object, by result.',
    labels: { ...controller, result: labels.RECONCILE_RESULTS },
    in: 'operator',
  },
  controller_runtime_reconcile_errors_total: {
    ...counter,
    help: 'Passes of the main loop that ended with an error.',
    labels: controller,
    in: 'operator',
  },
  controller_runtime_reconcile_time_seconds: {
    ...histogram,
    help: 'Duration of one pass of the main loop.',
    labels: controller,
    in: 'operator',
    buckets: WORK_SECONDS,
  },
  workqueue_depth: {
    ...gauge,
    help: 'Keys that are ready and wait for a worker.',
    labels: queue,
    in: 'operator',
  },
  workqueue_adds_total: { ...counter, help: 'Keys added to the queue.', labels: queue, in: 'operator' },
  workqueue_queue_duration_seconds: {
    ...histogram,
    help: 'How long a key waited in the queue before a worker took it.',
    labels: queue,
    in: 'operator',
    buckets: WORK_SECONDS,
  },
  workqueue_work_duration_seconds: {
    ...histogram,
    help: 'How long a worker held a key.',
    labels: queue,
    in: 'operator',
    buckets: WORK_SECONDS,
  },
  workqueue_retries_total: {
    ...counter,
    help: 'Keys queued again with a backoff after an error.',
    labels: queue,
    in: 'operator',
  },
  rest_client_requests_total: {
    ...counter,
    help: 'Requests to the Kubernetes API, by HTTP status and method; `<error>` where no answer came.',
    labels: { code: labels.HTTP_CODES, method: labels.HTTP_METHODS },
    in: 'all',
  },
  rest_client_request_duration_seconds: {
    ...histogram,
    help: 'Duration of requests to the Kubernetes API, watches aside, by HTTP method.',
    labels: { verb: labels.HTTP_METHODS },
    in: 'all',
    buckets: API_SECONDS,
  },
  leader_election_master_status: {
    ...gauge,
    help: '1 while this replica holds the Lease and acts, else 0; always 1 when leader election is off.',
    labels: { name: labels.LEASES },
    in: 'operator',
  },
} as const satisfies Record<string, MetricRow>;

export const PROCESS = {
  captcha_operator_watch_restarts_total: {
    ...counter,
    help: 'Watches opened again, by cause. `ended` is normal: the server ends them every few minutes.',
    labels: { resource: labels.WATCHED, cause: labels.WATCH_RESTART_CAUSES },
    ...watching,
  },
  captcha_operator_watch_last_activity_timestamp_seconds: {
    ...gauge,
    help: 'When the quietest watch last told something, refused ones aside; bookmarks come about every minute.',
    labels: { resource: labels.WATCHED },
    ...watching,
  },
  captcha_operator_watches_refused: {
    ...gauge,
    help: 'Namespaces (1 where all are watched at once) that the API server refuses to have watched (403, or 404 without the CRD).',
    labels: { resource: labels.WATCHED },
    ...watching,
    beyondContract: 'A label never names a namespace; the log and `/readyz` do.',
  },
  captcha_operator_api_request_limit: {
    ...gauge,
    help: 'Requests to the Kubernetes API that may be in flight, learned from how long it takes to answer writes.',
    labels: none,
    in: 'all',
  },
  captcha_operator_api_requests_in_flight: {
    ...gauge,
    help: 'Requests to the Kubernetes API that are in flight, apart from watches, pages of lists and the Lease.',
    labels: none,
    in: 'all',
  },
  captcha_operator_api_requests_waiting: {
    ...gauge,
    help: 'Requests to the Kubernetes API that wait until one of those in flight is answered.',
    labels: none,
    in: 'all',
  },
  captcha_operator_build_info: {
    ...gauge,
    help: 'Always 1; the labels say what runs.',
    labels: { process: PROCESSES, version: [] as readonly string[], node: [] as readonly string[] },
    in: 'all',
  },
  process_start_time_seconds: {
    ...gauge,
    help: 'When the process started.',
    labels: none,
    in: 'all',
    beyondContract: PROCESS_SUBSTITUTE,
  },
  process_cpu_seconds_total: {
    ...counter,
    help: 'User and system CPU time spent.',
    labels: none,
    in: 'all',
    beyondContract: PROCESS_SUBSTITUTE,
  },
  process_resident_memory_bytes: {
    ...gauge,
    help: 'Resident memory.',
    labels: none,
    in: 'all',
    beyondContract: PROCESS_SUBSTITUTE,
  },
  nodejs_heap_size_used_bytes: {
    ...gauge,
    help: 'JavaScript heap in use.',
    labels: none,
    in: 'all',
    beyondContract: PROCESS_SUBSTITUTE,
  },
  nodejs_eventloop_lag_p99_seconds: {
    ...gauge,
    help: 'How late the event loop was, 99th percentile since the last scrape.',
    labels: none,
    in: 'all',
    beyondContract: PROCESS_SUBSTITUTE,
  },
  nodejs_eventloop_lag_max_seconds: {
    ...gauge,
    help: 'How late the event loop was at most since the last scrape.',
    labels: none,
    in: 'all',
    beyondContract: PROCESS_SUBSTITUTE,
  },
} as const satisfies Record<string, MetricRow>;
