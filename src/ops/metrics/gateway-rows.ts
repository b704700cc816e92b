/** Rows of the metric table: the gateway. Assembled in `table.ts`. */
import * as labels from './labels.ts';
import { counter, gauge, histogram, none } from './row.ts';
import type { MetricRow } from './row.ts';

const RESULTS: Readonly<Record<string, readonly string[]>> = labels.RESULTS_OF_ENDPOINTS;

export const GATEWAY = {
  captcha_operator_gateway_requests_total: {
    ...counter,
    help: 'Requests to the gateway by what was asked and what was answered. no_slot: a submission that was held back in vain, at the bound of its namespace or while the Kubernetes API could not take it.',
    labels: { endpoint: labels.GATEWAY_ENDPOINTS, result: labels.GATEWAY_RESULTS },
    in: 'gateway',
    occurs: ({ endpoint = '', result = '' }) => (RESULTS[endpoint] ?? []).includes(result),
  },
  captcha_operator_gateway_request_duration_seconds: {
    ...histogram,
    help: 'Time from a request to its answer. Answers that were held back (wait=, a full namespace) took as long as they were held.',
    labels: { endpoint: labels.GATEWAY_ENDPOINTS },
    in: 'gateway',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 20, 60],
  },
  captcha_operator_gateway_open_tasks: {
    ...gauge,
    help: 'Unfinished tasks of the gateway, in all namespaces. Every replica reports it: take the maximum over replicas.',
    labels: none,
    in: 'gateway',
    beyondContract: 'How near GATEWAY_MAX_OPEN_TASKS is; a label never names a namespace.',
  },
  captcha_operator_gateway_withdrawn_total: {
    ...counter,
    help: 'Tasks that were deleted because their client was told "no" or had left before it was told their id.',
    labels: none,
    in: 'gateway',
    beyondContract: 'Each may have been paid for in vain.',
  },
  captcha_operator_gateway_keys: {
    ...gauge,
    help: 'Keys loaded from GATEWAY_KEYS_FILE.',
    labels: none,
    in: 'gateway',
    beyondContract: 'Rotation needs to see when every replica has the new key.',
  },
  captcha_operator_gateway_keys_reload_failed: {
    ...gauge,
    help: '1 while the last load of GATEWAY_KEYS_FILE failed; the previous keys, if any, stay in use.',
    labels: none,
    in: 'gateway',
    beyondContract: 'A failed reload has to alert: a revoked key still works, and a new one does not.',
  },
  captcha_operator_gateway_certificate_expiry_timestamp_seconds: {
    ...gauge,
    help: 'When the certificate in use expires; 0 while none could be loaded. Only where GATEWAY_TLS_CERT_FILE is set.',
    labels: none,
    in: 'gateway',
    beyondContract: 'Clients refuse an expired certificate, and the gateway sees nothing of it.',
  },
  captcha_operator_gateway_certificate_reload_failed: {
    ...gauge,
    help: '1 while the last load of the certificate failed; the previous one, if any, stays in use.',
    labels: none,
    in: 'gateway',
    beyondContract: 'A failed reload has to alert before the old certificate expires.',
  },
} as const satisfies Record<string, MetricRow>;
