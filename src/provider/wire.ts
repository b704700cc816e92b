/**
 * From a reply's status and text to an outcome. Pure, and total: whatever bytes come, the answer is a value. This is
 * where "accepted", "not accepted" and "unknown" are told apart, which decides whether a submission may be repeated, so
 * a reply counts as *not accepted* only if it proves it (section 5 of the contract): 429, 503, any other 4xx, or a code
 * of the provider. Of those statuses only 413 is about the submission itself.
 */
import type { Captcha } from '../api/captchatask.ts';
import type { PollOutcome, Refusal, SubmitOutcome, ThreadCounts, UnknownCause, Unreachable } from '../core/outcome.ts';
import { classifyCode, HTTP_413, listedCode } from '../core/provider-codes.ts';
import { solutionOf } from '../core/solution.ts';
import { parseAnswer, parseFields, recordOf, scalar, type Answer } from './answer.ts';
import type { Exchange, Fault } from './http.ts';
import type { PollAnswer } from './poll-verb.ts';

const ID = /^\d{1,20}$/;

const TOO_LARGE: Refusal = { kind: 'refused', class: 'permanent', code: HTTP_413 };

/** What an `in.php` exchange proves. */
export function submitOutcome(exchange: Exchange): SubmitOutcome {
  if (exchange.kind === 'failed') {
    return exchange.sent ? unknown(exchange.fault) : unreachable(causeOf(exchange.fault));
  }
  const refusal = submissionRefusedByStatus(exchange);
  if (refusal !== undefined) return refusal;
  if (exchange.status >= 500) return unknown('http5xx');
  if (exchange.status < 200 || exchange.status >= 300) return unknown('http3xx');
  if (exchange.kind === 'cut') return unknown(exchange.fault);
  return submitAnswer(parseAnswer(exchange.text));
}

function submitAnswer(answer: Answer): SubmitOutcome {
  switch (answer.kind) {
    case 'nothing':
      return unknown(answer.empty ? 'empty' : 'unreadable');
    case 'result': {
      const id = typeof answer.request === 'number' ? String(answer.request) : answer.request;
      return typeof id === 'string' && ID.test(id) ? { kind: 'accepted', captchaID: id } : unknown('unreadable');
    }
    case 'word':
      return refusedSubmission(answer.word, answer.explicit);
    default:
      return answer satisfies never;
  }
}

/** A bare word that merely looks like a code proves nothing; one that says ERROR, or comes with "status 0", does. */
function refusedSubmission(word: string, explicit: boolean): SubmitOutcome {
  const meaning = classifyCode(word, 'in');
  if (meaning.kind === 'pending') return unknown('unreadable');
  const proves = explicit || meaning.class !== 'unlisted' || meaning.code.startsWith('ERROR');
  return proves ? meaning : unknown('unreadable');
}

/** What a `res.php?action=get` exchange says. A poll may be repeated, so whatever went wrong is `unreachable`. */
export function pollOutcome(exchange: Exchange, captcha: Pick<Captcha, 'type' | 'grid'>): PollOutcome {
  if (exchange.kind === 'failed') return unreachable(causeOf(exchange.fault));
  const refusal = refusedByStatus(exchange, 'res');
  if (refusal !== undefined) return refusal;
  if (exchange.status >= 500) return unreachable('http5xx');
  if (exchange.status < 200 || exchange.status >= 300) return unreachable('unreadable');
  if (exchange.kind === 'cut') return unreachable(causeOf(exchange.fault));
  const answer = parseAnswer(exchange.text);
  if (answer.kind === 'word') return classifyCode(answer.word, 'res');
  const solved = answer.kind === 'result' ? solutionOf(captcha, answer.value, answer.userAgent) : undefined;
  return solved ?? unreachable('unreadable');
}

/** What the answer of a poll says about asking by this verb, with the key where it stood. */
export function pollAnswer(exchange: Exchange, outcome: PollOutcome): PollAnswer {
  if (exchange.kind === 'reply' && (exchange.status === 405 || exchange.status === 501)) return 'method';
  if (outcome.kind === 'unreachable') return 'nothing';
  if (outcome.kind !== 'refused') return 'answered';
  if (METHOD_WORDS.has(outcome.code)) return 'method';
  return outcome.class === 'keyRejected' ? 'key' : 'answered';
}

/** The provider did not see what we asked for. */
const METHOD_WORDS: ReadonlySet<string> = new Set(['ERROR_METHOD_CALL', 'ERROR_EMPTY_ACTION']);

/**
 * How many threads the account has and how many are at work, from `threadsinfo`; undefined unless it says the first.
 * The envelope is not documented: both are looked for beside `status` and inside `request`.
 */
export function threadsOutcome(exchange: Exchange): ThreadCounts | undefined {
  if (exchange.kind !== 'reply' || exchange.status !== 200) return undefined;
  const fields = parseFields(exchange.text);
  const request = fields['request'];
  const nested = typeof request === 'string' ? parseFields(request) : recordOf(request);
  const threads = countOf(fields['threads'] ?? nested['threads']);
  const working = countOf(fields['working_threads'] ?? nested['working_threads']);
  if (threads === undefined) return undefined;
  return { threads, ...(working === undefined ? {} : { working }) };
}

function countOf(field: unknown): number | undefined {
  const found = scalar(field);
  return found !== undefined && /^\d{1,6}$/.test(found) ? Number(found) : undefined;
}

/** 4xx and 503: not accepted, by the status alone; a listed code in the body says more than the number. */
function refusedByStatus(
  exchange: Exclude<Exchange, { kind: 'failed' }>,
  endpoint: 'in' | 'res',
): Refusal | Unreachable | undefined {
  const { status, retryAfterMs } = exchange;
  if (status !== 503 && (status < 400 || status >= 500)) return undefined;
  const listed = exchange.kind === 'reply' ? listedIn(exchange.text, endpoint) : undefined;
  if (listed !== undefined) return { ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ...listed };
  return unreachable(status === 429 ? 'http429' : status === 503 ? 'http503' : 'http4xx', retryAfterMs);
}

/** 413 will be the answer to this body at every try. */
function submissionRefusedByStatus(exchange: Exclude<Exchange, { kind: 'failed' }>): Refusal | Unreachable | undefined {
  const refusal = refusedByStatus(exchange, 'in');
  return refusal?.kind === 'unreachable' && exchange.status === 413 ? TOO_LARGE : refusal;
}

function listedIn(text: string, endpoint: 'in' | 'res'): Refusal | undefined {
  const answer = parseAnswer(text);
  if (answer.kind !== 'word' || listedCode(answer.word) === undefined) return undefined;
  const meaning = classifyCode(answer.word, endpoint);
  return meaning.kind === 'refused' ? meaning : undefined;
}

function unreachable(cause: Unreachable['cause'], retryAfterMs?: number): Unreachable {
  return { kind: 'unreachable', cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

function unknown(cause: Fault | UnknownCause): SubmitOutcome {
  return { kind: 'unknown', cause: cause === 'redirect' ? 'http3xx' : cause };
}

const CAUSES: Readonly<Record<Fault, Unreachable['cause']>> = {
  connectionRefused: 'connectionRefused',
  dns: 'dns',
  tls: 'tls',
  timeout: 'timeout',
  reset: 'network',
  network: 'network',
  aborted: 'network',
  redirect: 'unreadable',
  tooLarge: 'unreadable',
};

function causeOf(fault: Fault): Unreachable['cause'] {
  return CAUSES[fault];
}
