/**
 * The provider as three calls: submit a captcha, poll for its result, ask for the account's threads. The sidecar never
 * calls the provider.
 *
 * It refuses to retry and to wait: one call is one HTTP request with a deadline, and every way it can end is a value of
 * `core/outcome`. It never throws for anything the network or the provider does, and hands no URL, key or body to
 * anyone: its hook gets an operation, a label from a closed list, and a duration.
 *
 * Everything goes by POST with the key in the body, so that no proxy's access log ever holds a key. All it remembers is
 * whether this provider was proved to take polls by GET only (`provider/poll-verb`).
 */
import type { Captcha } from '../api/captchatask.ts';
import type { PollOutcome, SubmitOutcome, ThreadCounts } from '../core/outcome.ts';
import { requestCode, type RequestOperation } from '../core/provider-labels.ts';
import { encodeForm, encodeSubmission, type SubmitRequest } from './encode.ts';
import { createHttpClient, type Exchange, type ExchangeOptions, type ForwardProxy } from './http.ts';
import { BY_POST, accepted, polled, type PollVerb } from './poll-verb.ts';
import { pollAnswer, pollOutcome, submitOutcome, threadsOutcome } from './wire.ts';

export type { SubmitRequest } from './encode.ts';

export interface PollRequest {
  apiKey: string;
  /** As accepted: `^\d{1,20}$`. */
  captchaID: string;
  /** `spec.captcha` of the task: it decides how the answer is read. */
  captcha: Pick<Captcha, 'type' | 'grid'>;
}

export interface ProviderHooks {
  /** Once per HTTP request. `code` is one of `REQUEST_CODES`. */
  onRequest?(event: { operation: RequestOperation; code: string; durationMs: number }): void;
  /** At most once: from now on polls go by GET, and URLs hold the key. */
  onPollByGet?(): void;
}

export interface ProviderClient {
  submit(request: SubmitRequest, options: ExchangeOptions): Promise<SubmitOutcome>;
  poll(request: PollRequest, options: ExchangeOptions): Promise<PollOutcome>;
  /** The account's threads; undefined when the provider does not say how many it has. */
  threads(request: { apiKey: string }, options: ExchangeOptions): Promise<ThreadCounts | undefined>;
  /** Drops idle connections and cuts open ones. */
  close(): void;
}

export interface ProviderOptions {
  /** Such as `https://ocr.captchaai.com`; a path in it is kept. */
  baseUrl: string;
  /** For an `https:` base URL. */
  proxy?: ForwardProxy | undefined;
  hooks?: ProviderHooks;
  limits?: { maxReplyBytes?: number };
}

/** Results have at most 12,288 bytes; the rest is room for JSON escapes and gateways' error pages. */
const DEFAULT_MAX_REPLY_BYTES = 262_144;

/** The refusal of a task that has no encoding: its union member or its image is missing. No call is made. */
const NOT_ENCODABLE: SubmitOutcome = { kind: 'refused', class: 'permanent', code: 'INVALID_TASK' };

/** Throws only if `baseUrl` is not a URL. */
export function createProviderClient(options: ProviderOptions): ProviderClient {
  const { hooks, limits } = options;
  const http = createHttpClient({
    baseUrl: options.baseUrl,
    proxy: options.proxy,
    maxReplyBytes: limits?.maxReplyBytes ?? DEFAULT_MAX_REPLY_BYTES,
  });
  const timed = async <T>(operation: RequestOperation, call: () => Promise<T>, codeOf: (outcome: T) => string) => {
    const startedMs = performance.now();
    const outcome = await call();
    hooks?.onRequest?.({ operation, code: codeOf(outcome), durationMs: performance.now() - startedMs });
    return outcome;
  };
  let verb = BY_POST;
  const learned = (next: PollVerb): void => {
    if (next.verb !== verb.verb) hooks?.onPollByGet?.();
    verb = next;
  };
  const poll = async ({ apiKey, captchaID, captcha }: PollRequest, options: ExchangeOptions): Promise<PollOutcome> => {
    const query = { action: 'get', id: captchaID, json: 1 };
    const form = encodeForm({ key: apiKey, ...query });
    const reply =
      verb.verb === 'GET'
        ? await http.get(`res.php?${form}`, options)
        : await http.post(`res.php?${encodeForm(query)}`, form, options);
    const outcome = pollOutcome(reply, captcha);
    learned(polled(verb, apiKey, pollAnswer(reply, outcome)));
    return outcome;
  };
  return {
    async submit(request, exchange) {
      const form = encodeSubmission(request);
      if (form === undefined) return NOT_ENCODABLE;
      const submit = async (): Promise<SubmitOutcome> => submitOutcome(await http.post('in.php', form, exchange));
      const outcome = await timed('submit', submit, requestCode);
      if (outcome.kind === 'accepted') learned(accepted(verb, request.apiKey));
      return outcome;
    },
    poll: (request, exchange) => timed('poll', () => poll(request, exchange), requestCode),
    async threads({ apiKey }, exchange) {
      const query = { action: 'threadsinfo', json: 1 };
      const path = `res.php?${encodeForm(query)}`;
      const form = encodeForm({ key: apiKey, ...query });
      return threadsOutcome(await timed('threads', () => http.post(path, form, exchange), threadsCode));
    },
    close: () => http.close(),
  };
}

/** Without a number the reply is counted as what it was: the key's refusal, a fault, or nothing readable. */
function threadsCode(reply: Exchange): string {
  if (threadsOutcome(reply) !== undefined) return 'ok';
  const outcome = pollOutcome(reply, { type: 'Custom' });
  return outcome.kind === 'solved' ? 'unreadable' : requestCode(outcome);
}
