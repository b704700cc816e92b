/**
 * The closed list of labels under which provider calls are counted (`captcha_operator_provider_requests_total{code}`),
 * and the label of each outcome. The provider's client labels its calls by it, and the metrics start every series of it
 * at zero.
 *
 * It refuses to carry the provider's own text: a code that is not in the table counts as `unlisted`.
 */
import type { PollOutcome, Refusal, SubmitOutcome, UnknownCause, Unreachable } from './outcome.ts';
import { HTTP_413, PROVIDER_CODES } from './provider-codes.ts';

export const REQUEST_OPERATIONS = ['submit', 'poll', 'threads'] as const;
export type RequestOperation = (typeof REQUEST_OPERATIONS)[number];

const CAUSE_LABELS: Readonly<Record<Unreachable['cause'] | Exclude<UnknownCause, 'exception'>, string>> = {
  connectionRefused: 'connection_refused',
  dns: 'dns',
  tls: 'tls',
  timeout: 'timeout',
  aborted: 'aborted',
  reset: 'reset',
  network: 'network',
  tooLarge: 'too_large',
  http3xx: 'http_3xx',
  http429: 'http_429',
  http503: 'http_503',
  http4xx: 'http_4xx',
  http5xx: 'http_5xx',
  empty: 'empty',
  unreadable: 'unreadable',
};

/** Every value the label `code` can take. */
export const REQUEST_CODES: readonly string[] = [
  'ok',
  'pending',
  ...PROVIDER_CODES.map((row) => row.code),
  'unlisted',
  'http_413',
  ...Object.values(CAUSE_LABELS),
];

/** The label of how a submission or a poll ended. */
export function requestCode(outcome: SubmitOutcome | PollOutcome): string {
  switch (outcome.kind) {
    case 'accepted':
    case 'solved':
      return 'ok';
    case 'pending':
      return 'pending';
    case 'unreadable':
      return 'unreadable';
    case 'refused':
      return refusalCode(outcome);
    case 'unreachable':
      return CAUSE_LABELS[outcome.cause];
    case 'unknown':
      return outcome.cause === 'exception' ? 'unreadable' : CAUSE_LABELS[outcome.cause];
    default:
      return outcome satisfies never;
  }
}

function refusalCode({ class: refusalClass, code }: Refusal): string {
  if (code === HTTP_413) return 'http_413';
  return refusalClass === 'unlisted' ? 'unlisted' : code;
}
