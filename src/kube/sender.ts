/**
 * Sends a request, and again where that is safe, within one deadline. Safe is: what the server turned away and said
 * when to come back (429, 503 with Retry-After), a read whose kept-alive connection turned out to be dead, and one more
 * try with renewed credentials after a 401. Everything else is the caller's decision.
 */
import type { Access, CurrentCredentials } from './access.ts';
import type { Gate } from '../waiting/gate.ts';
import type { Limit } from '../waiting/limit.ts';
import { enterWithin, pause, within } from './pause.ts';
import type { Transport, WireAnswer, WireRequest } from './transport.ts';
import type { ApiRequest } from './types.ts';

export type CallVerb = ApiRequest['verb'] | 'watch';

/** Told of every HTTP exchange; `code` is 0 where no answer came. */
export type Report = (verb: CallVerb, method: string, outcome: { code: number; sinceMs: number }) => void;

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Deadline of the whole call, 10 s by default: waiting for a place, sending, repeating. */
  timeoutMs?: number | undefined;
  /** Passes the limit of requests in flight. For the Lease only: a renewal must not wait behind work. */
  urgent?: boolean | undefined;
}

export interface SenderParts {
  access: Access;
  transport: Transport;
  gate: Gate;
  /** Learns from every answer how many the gate lets in. */
  limit: Limit;
  report: Report;
}

export type Send = (verb: CallVerb, request: WireRequest, options: CallOptions) => Promise<WireAnswer>;

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_REPEATS = 4;
const LONGEST_RETRY_AFTER_MS = 15_000;
const SHORTEST_WAIT_MS = 50;

export function createSender(parts: SenderParts): Send {
  return async (verb, request, options) => {
    const untilMs = performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    let maybeActedOn = false;
    for (let repeats = 0; ; repeats++) {
      const { answer, used } = await sendOnce(parts, { verb, request, untilMs, ...options });
      if (answer.kind === 'answer' && answer.status < 400) return answer;
      // A 503 may come from a proxy that lost the answer, so what follows it is not "never sent" any more.
      if (answer.kind === 'failed') answer.sent ||= maybeActedOn;
      else maybeActedOn ||= answer.status >= 500;
      const renew = () => renewed(parts.access, used, { untilMs, signal: options.signal });
      const waitMs = await waitBeforeRepeat(answer, { repeats, method: request.method, renew });
      if (performance.now() + waitMs >= untilMs || !(await pause(waitMs, options.signal))) return answer;
    }
  };
}

interface Sending extends CallOptions {
  verb: CallVerb;
  request: WireRequest;
  untilMs: number;
}

interface Sent {
  answer: WireAnswer;
  /** What the request carried to prove who we are. */
  used: CurrentCredentials;
}

async function sendOnce(parts: SenderParts, sending: Sending): Promise<Sent> {
  const { verb, request, untilMs, signal, urgent = false } = sending;
  if (!urgent) {
    const place = enterWithin(parts.gate, untilMs - performance.now(), signal);
    if (place !== true && !(await place)) {
      return { answer: notSent(signal?.aborted ? 'Aborted' : 'Timeout'), used: parts.access.current() };
    }
  }
  const sinceMs = performance.now();
  // The transport asks in the same instant.
  const used = parts.access.current();
  const inFlight = parts.gate.inside();
  const answer = await parts.transport.exchange(request, { timeoutMs: Math.max(1, untilMs - sinceMs), signal });
  if (!urgent) {
    learn(parts.limit, { request, answer, sinceMs, inFlight });
    parts.gate.leave();
  }
  parts.report(verb, request.method, { code: answer.kind === 'answer' ? answer.status : 0, sinceMs });
  return { answer, used };
}

/**
 * From writes: reads, most of them from the server's cache, take a fraction of their time. One that hangs (in a webhook,
 * say) is one long time among others.
 */
function learn(limit: Limit, sent: { request: WireRequest; answer: WireAnswer; sinceMs: number; inFlight: number }) {
  const { request, answer, sinceMs, inFlight } = sent;
  const mono = performance.now();
  if (answer.kind === 'answer' && answer.status === 429) return limit.overloaded(mono);
  const isTime = answer.kind === 'answer' ? answer.status < 500 || answer.status === 504 : answer.reason === 'Timeout';
  return limit.answered({ mono, tookMs: mono - sinceMs, inFlight, counts: isTime && request.method !== 'GET' });
}

/** Whether there are other credentials than those that were refused; within what is left of the call's time. */
async function renewed(
  access: Access,
  used: CurrentCredentials,
  { untilMs, signal }: { untilMs: number; signal: AbortSignal | undefined },
): Promise<boolean> {
  return (await within(access.refresh(used), untilMs - performance.now(), signal)) ?? false;
}

function notSent(reason: 'Aborted' | 'Timeout'): WireAnswer {
  return { kind: 'failed', reason, detail: 'not sent', sent: false };
}

interface CallSoFar {
  repeats: number;
  method: string;
  /** Whether the call may be sent anew with other credentials. */
  renew(): Promise<boolean>;
}

/** How long to wait before the same request may be sent again; Infinity: it may not. */
async function waitBeforeRepeat(answer: WireAnswer, call: CallSoFar): Promise<number> {
  if (answer.kind === 'answer' && (answer.status === 429 || answer.status === 503)) {
    return call.repeats < MAX_REPEATS ? announcedWait(answer.retryAfterMs ?? Infinity) : Infinity;
  }
  return call.repeats === 0 && (await mayRepeatAtOnce(answer, call)) ? 0 : Infinity;
}

async function mayRepeatAtOnce(answer: WireAnswer, call: CallSoFar): Promise<boolean> {
  if (answer.kind === 'answer') return answer.status === 401 && call.renew();
  return answer.reason === 'Disconnected' && call.method === 'GET';
}

/** Spread over a fifth more than was asked for: all who were turned away at once should not come back at once. */
function announcedWait(retryAfterMs: number): number {
  if (retryAfterMs > LONGEST_RETRY_AFTER_MS) return Infinity;
  return Math.max(SHORTEST_WAIT_MS, retryAfterMs) * (1 + 0.2 * Math.random());
}
