/** Rows of the metric table: callbacks, the spool and dead letters. Assembled in `table.ts`. */
import { LETTER_PHASES, LETTER_STAGES } from '../../api/names.ts';
import * as labels from './labels.ts';
import { EVERY_REPLICA, counter, gauge, histogram, none } from './row.ts';
import type { MetricRow } from './row.ts';

export const CALLBACKS = {
  captcha_operator_callbacks_total: {
    ...counter,
    help: 'Callbacks by result. One that waited in the spool counts as spooled when it was answered and again by its final result. lost: answered 503, nothing took it; what was taken too late for the answer counts by what came of it.',
    labels: { result: labels.CALLBACK_RESULTS },
    in: 'callback',
  },
  captcha_operator_callback_duration_seconds: {
    ...histogram,
    help: 'Time from a callback being received to its answer.',
    labels: none,
    in: 'callback',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5],
  },
  captcha_operator_callback_connections_dropped_total: {
    ...counter,
    help: 'Connections to the callback port that were closed to make room for new ones (the longest idle one), or because they heaped up requests.',
    labels: none,
    in: 'callback',
  },
  captcha_operator_callback_late_answers_total: {
    ...counter,
    help: 'Callbacks answered 503 because nothing was durable within a second, that were taken all the same afterwards.',
    labels: none,
    in: 'callback',
  },
  captcha_operator_callback_keys: {
    ...gauge,
    help: 'Keys loaded from CALLBACK_KEYS_FILE; in a rotation, wait until every replica reports the new number.',
    labels: none,
    in: 'both',
    beyondContract: 'Rotation needs to see when every replica has the new key.',
  },
  captcha_operator_callback_keys_reload_failed: {
    ...gauge,
    help: '1 while the last load of CALLBACK_KEYS_FILE failed; the previous keys, if any, stay in use.',
    labels: none,
    in: 'both',
    beyondContract: 'A failed reload has to alert: callbacks of a key that is not loaded are refused.',
  },
  captcha_operator_spool_open: {
    ...gauge,
    help: '1 while the spool has its directory. While it is 0 the other gauges of the spool know nothing of what lies there.',
    labels: none,
    in: 'callback',
  },
  captcha_operator_spool_records: {
    ...gauge,
    help: 'Callbacks that were answered 200 and wait on disk to be applied.',
    labels: none,
    in: 'callback',
  },
  captcha_operator_spool_oldest_age_seconds: {
    ...gauge,
    help: 'Age of the oldest callback in the spool; 0 when it is empty.',
    labels: none,
    in: 'callback',
  },
  captcha_operator_spool_bytes: { ...gauge, help: 'Size of the spool on disk.', labels: none, in: 'callback' },
  captcha_operator_spool_capacity_bytes: {
    ...gauge,
    help: 'The bound of the spool; at it callbacks are answered 503 and the poll fallback takes over.',
    labels: none,
    in: 'callback',
    beyondContract: 'The alert "spool near its bound" needs to know the bound.',
  },
  captcha_operator_spool_capacity_records: {
    ...gauge,
    help: 'The bound of the spool in records, whatever their size; at it callbacks are answered 503 as well.',
    labels: none,
    in: 'callback',
    beyondContract: 'The alert "spool near its bound" needs to know this bound, too.',
  },
  captcha_operator_spool_faults_total: {
    ...counter,
    help: 'Faults of the spool: a damaged record was moved aside, a write failed, the bound was reached, and so on.',
    labels: { fault: labels.SPOOL_FAULTS },
    in: 'callback',
    beyondContract: 'A damaged record is an answered callback that only a poll can bring back: it has to be seen.',
  },
} as const satisfies Record<string, MetricRow>;

export const LETTERS = {
  captcha_operator_dead_letters: {
    ...gauge,
    help: `Dead letters. ${EVERY_REPLICA}`,
    labels: { phase: LETTER_PHASES, stage: LETTER_STAGES },
    in: 'operator',
  },
  captcha_operator_dead_letters_created_total: {
    ...counter,
    help: 'Dead letters created, by the stage that failed.',
    labels: { stage: LETTER_STAGES },
    in: 'both',
  },
  captcha_operator_dead_letter_retries_total: {
    ...counter,
    help: 'Retries of dead letters by result.',
    labels: { result: labels.LETTER_RETRY_RESULTS },
    in: 'operator',
  },
  captcha_operator_dead_letter_oldest_age_seconds: {
    ...gauge,
    help: `Age of the oldest pending dead letter; 0 without one. ${EVERY_REPLICA}`,
    labels: none,
    in: 'operator',
  },
} as const satisfies Record<string, MetricRow>;
