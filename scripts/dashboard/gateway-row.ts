/** The row of the dashboard about the gateway; empty where there is none. */
import { P, largest, quantile, rate, series } from './panel.ts';
import type { Panel } from './panel.ts';

export const GATEWAY_ROW: readonly [title: string, panels: readonly Panel[]] = [
  'Gateway',
  [
    series(
      'Requests by answer',
      'ops',
      [['{{endpoint}} {{result}}', `${rate('endpoint, result', `${P}gateway_requests_total`)} > 0`]],
      'no_slot: a submission was refused after it had been held back; unauthorized: a wrong key.',
    ),
    series(
      'Duration of requests, 99 %',
      's',
      [['{{endpoint}}', quantile(0.99, 'endpoint', `${P}gateway_request_duration_seconds`)]],
      'Answers that are held back on demand (wait=) count as long as they were held.',
    ),
    series(
      'Open tasks',
      'short',
      [
        ['open', `max(${P}gateway_open_tasks)`],
        ['withdrawn in 1 h', `sum(increase(${P}gateway_withdrawn_total[1h]))`],
      ],
      'Unfinished, in all namespaces; and those that were deleted because their client was gone or had been refused.',
    ),
    series(
      'Keys',
      'short',
      [
        ['{{instance}}', largest('instance', `${P}gateway_keys`)],
        ['{{instance}} cannot load', `max by (instance) (${P}gateway_keys_reload_failed)`],
      ],
      'In a rotation, wait until every replica has the new number.',
    ),
    series(
      'Certificate expires in',
      's',
      [
        ['{{instance}}', `min by (instance) (${P}gateway_certificate_expiry_timestamp_seconds) - time()`],
        ['{{instance}} cannot load', `max by (instance) (${P}gateway_certificate_reload_failed)`],
      ],
      'Where the gateway speaks TLS. Replicas differ for a minute after a renewal.',
    ),
  ],
];
