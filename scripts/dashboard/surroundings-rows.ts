/** Rows of the dashboard about what the work depends on: the provider, the Kubernetes API, the processes. */
import { OURS, P, RATE, largest, quantile, rate, series } from './panel.ts';
import type { Panel } from './panel.ts';

export const SURROUNDINGS_ROWS: readonly (readonly [title: string, panels: readonly Panel[]])[] = [
  [
    'Provider',
    [
      series(
        'Submissions by outcome',
        'ops',
        [['{{outcome}}', rate('outcome', `${P}submissions_total`)]],
        'unknown ones may have been paid; see the runbook of CaptchaAmbiguousSubmissions.',
      ),
      series(
        'Unknown and foreign submissions',
        'ops',
        [
          ['{{resolution}}', rate('resolution', `${P}ambiguous_submissions_total`)],
          ['another installation', rate('', `${P}foreign_submissions_total`)],
        ],
        'adopted costs nothing; resubmitted may have been paid twice; what another installation submits, both pay for.',
      ),
      series(
        'Calls by answer',
        'ops',
        [['{{operation}} {{code}}', `${rate('operation, code', `${P}provider_requests_total`)} > 0`]],
        'What the provider answered. Codes are explained in docs/provider-codes.md.',
      ),
      series(
        'Duration of calls',
        's',
        [
          ['median, {{operation}}', quantile(0.5, 'operation', `${P}provider_request_duration_seconds`)],
          ['95 %, {{operation}}', quantile(0.95, 'operation', `${P}provider_request_duration_seconds`)],
        ],
        'Ends at the deadline of the call.',
      ),
      series(
        'Time to submit',
        's',
        [['95 %', quantile(0.95, '', `${P}submission_duration_seconds`)]],
        'From the intent being written to the answer of in.php.',
      ),
      series(
        'Open breakers',
        'short',
        [['{{reason}}', largest('reason', `${P}provider_breaker_open`)]],
        'Keys (or the address) whose submissions rest.',
      ),
      series(
        'Threads',
        'short',
        [['key {{key}}, {{state}}', largest('key, state', `${P}provider_threads`)]],
        'Of each account: all, at work for whomever, and held by our tasks. Keys are numbered in order of first use.',
      ),
      series(
        'Keys without callbacks',
        'short',
        [
          ['silent', `max(${P}callback_silent_keys)`],
          ['refused', `max(${P}callback_refused_keys)`],
        ],
        'Their tasks are polled from the start: no callbacks come, or the provider refuses the callback URL.',
      ),
    ],
  ],
  [
    'Kubernetes API and queues',
    [
      series(
        'Requests by status',
        'ops',
        [['{{process}} {{code}}', `sum by (process, code) (rate(rest_client_requests_total${RATE}) ${OURS}) > 0`]],
        '409 and 422 are tests that did not hold, and are repeated.',
      ),
      series(
        'Duration of requests, 95 %',
        's',
        [
          [
            '{{process}} {{verb}}',
            `histogram_quantile(0.95, sum by (process, verb, le) (rate(rest_client_request_duration_seconds_bucket${RATE}) ${OURS}))`,
          ],
        ],
        'Watches aside.',
      ),
      series(
        'Requests at once',
        'short',
        [
          ['may be in flight, {{process}} {{instance}}', `${P}api_request_limit ${OURS}`],
          ['in flight, {{process}} {{instance}}', `${P}api_requests_in_flight ${OURS}`],
          ['waiting, {{process}} {{instance}}', `${P}api_requests_waiting ${OURS}`],
        ],
        'How many may be in flight is learned from how long the API server takes to answer writes.',
      ),
      series(
        'Status writes',
        'ops',
        [['{{controller}} {{result}}', rate('controller, result', `${P}status_writes_total`)]],
        'About two for each task.',
      ),
      series(
        'Passes by result',
        'ops',
        [
          [
            '{{controller}} {{result}}',
            rate('controller, result', 'controller_runtime_reconcile_total{controller=~"captchatask|deadletter"}'),
          ],
          [
            '{{controller}} errors',
            rate('controller', 'controller_runtime_reconcile_errors_total{controller=~"captchatask|deadletter"}'),
          ],
        ],
        'Passes of the main loop.',
      ),
      series(
        'Duration of a pass, 95 %',
        's',
        [
          [
            '{{controller}}',
            `histogram_quantile(0.95, sum by (controller, le) (rate(controller_runtime_reconcile_time_seconds_bucket{controller=~"captchatask|deadletter"}${RATE})))`,
          ],
        ],
        'Includes the calls that a pass makes.',
      ),
      series(
        'Queue depth',
        'short',
        [['{{name}}', 'sum by (name) (workqueue_depth{name=~"captchatask|deadletter"})']],
        'Keys that wait for a worker.',
      ),
      series(
        'Queue: adds and retries',
        'ops',
        [
          ['{{name}} adds', rate('name', 'workqueue_adds_total{name=~"captchatask|deadletter"}')],
          ['{{name}} retries', rate('name', 'workqueue_retries_total{name=~"captchatask|deadletter"}')],
        ],
        'Retries follow errors.',
      ),
      series(
        'Queue: waiting and working, 95 %',
        's',
        [
          [
            '{{name}} waiting',
            `histogram_quantile(0.95, sum by (name, le) (rate(workqueue_queue_duration_seconds_bucket{name=~"captchatask|deadletter"}${RATE})))`,
          ],
          [
            '{{name}} working',
            `histogram_quantile(0.95, sum by (name, le) (rate(workqueue_work_duration_seconds_bucket{name=~"captchatask|deadletter"}${RATE})))`,
          ],
        ],
        'How long keys waited, and how long workers held them.',
      ),
      series(
        'Watches: restarts',
        'ops',
        [['{{resource}} {{cause}}', rate('resource, cause', `${P}watch_restarts_total`)]],
        'ended is normal; the others interrupt.',
      ),
      series(
        'Watches: silent for',
        's',
        [['{{instance}} {{resource}}', `time() - ${P}watch_last_activity_timestamp_seconds`]],
        'Bookmarks come about every minute.',
      ),
      series(
        'Watches: refused',
        'short',
        [['{{resource}}', `max by (resource) (${P}watches_refused)`]],
        'Namespaces without the right to watch, or without the CRD; /readyz names them.',
      ),
    ],
  ],
  [
    'Processes',
    [
      series(
        'CPU',
        'percentunit',
        [['{{process}} {{instance}}', `rate(process_cpu_seconds_total${RATE}) ${OURS}`]],
        'Share of one core.',
      ),
      series(
        'Memory',
        'bytes',
        [
          ['resident, {{process}} {{instance}}', `process_resident_memory_bytes ${OURS}`],
          ['heap, {{process}} {{instance}}', `nodejs_heap_size_used_bytes ${OURS}`],
        ],
        'Resident, and the JavaScript heap inside it.',
      ),
      series(
        'Event loop lag',
        's',
        [
          ['99 %, {{process}} {{instance}}', `nodejs_eventloop_lag_p99_seconds ${OURS}`],
          ['largest, {{process}} {{instance}}', `nodejs_eventloop_lag_max_seconds ${OURS}`],
        ],
        'How late the event loop was since the last scrape.',
      ),
      series(
        'Up since',
        'dateTimeAsIso',
        [['{{process}} {{instance}}', `1000 * process_start_time_seconds ${OURS}`]],
        'Restarts show as steps.',
      ),
      series(
        'Versions',
        'short',
        [['{{process}} {{version}}, Node {{node}}', `count by (process, version, node) (${P}build_info)`]],
        'Replicas by what they run.',
      ),
    ],
  ],
];
