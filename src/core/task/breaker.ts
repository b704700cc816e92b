/**
 * One breaker: a value that says until when a key (or the whole address) rests and why. Shut until `untilMono`; then
 * one probe at a time may pass; an acceptance closes it, a fault of the probe makes the next step longer. Faults of
 * calls that were under way when it shut are stragglers: 32 answers of "busy" are one step, not 32.
 */
import type { PollOutcome, RefusalClass, SubmitOutcome, Unreachable } from '../outcome.ts';
import type { Blockage } from './facts.ts';
import { BUSY_BACKOFF, UNREACHABLE_BACKOFF, backoffMs } from './policy.ts';

export const BREAKER_REASONS = [
  'busy',
  'blocked',
  'unreachable',
  'accountExhausted',
  'keyRejected',
  'addressNotAllowed',
  'addressBlocked',
] as const;
export type BreakerReason = (typeof BREAKER_REASONS)[number];

export interface Breaker {
  readonly reason: BreakerReason;
  /** Faults in a row, as steps of the backoff. */
  readonly failures: number;
  readonly untilMono: number;
  /** A probe is under way. */
  readonly probing: boolean;
}

export interface Fault {
  reason: BreakerReason;
  retryAfterMs?: number;
}

/** How long a rejected key or an exhausted account rests unless its Secret changes, and an undocumented block or ban. */
const REJECTED_MS = 5 * 60_000;
const BLOCKED_MS = 60_000;

/** What waiting tasks say while a breaker of this reason is not closed. */
export const BREAKER_SAYS: Readonly<Record<BreakerReason, Blockage>> = {
  busy: { reason: 'ProviderBusy' },
  blocked: { reason: 'ProviderBusy', message: 'The provider blocks this API key for a while.' },
  unreachable: { reason: 'ProviderUnreachable' },
  accountExhausted: { reason: 'AccountExhausted', stalled: true },
  keyRejected: { reason: 'KeyRejected', message: 'The provider rejects this API key; correct its Secret.' },
  addressNotAllowed: {
    reason: 'KeyRejected',
    message: "This address is not on the allow-list of the API key's account.",
  },
  addressBlocked: { reason: 'KeyRejected', message: 'The provider refuses every call from this address for a while.' },
};

const FAULT_OF_CLASS: Partial<Record<RefusalClass, BreakerReason>> = {
  busy: 'busy',
  blocked: 'blocked',
  accountExhausted: 'accountExhausted',
  keyRejected: 'keyRejected',
  addressNotAllowed: 'addressNotAllowed',
  addressBlocked: 'addressBlocked',
  transient: 'unreachable',
};

/**
 * What an answer says about the key or the address, if anything. `unknown` counts as a fault: a provider that gives no
 * readable answer gets no further calls for a while.
 */
export function faultOf(outcome: SubmitOutcome | PollOutcome): Fault | undefined {
  if (outcome.kind === 'unknown') return { reason: 'unreachable' };
  if (outcome.kind !== 'refused' && outcome.kind !== 'unreachable') return undefined;
  const reason = outcome.kind === 'refused' ? FAULT_OF_CLASS[outcome.class] : reasonOfTransport(outcome);
  if (reason === undefined) return undefined;
  return { reason, ...(outcome.retryAfterMs === undefined ? {} : { retryAfterMs: outcome.retryAfterMs }) };
}

function reasonOfTransport({ cause }: Unreachable): BreakerReason {
  return cause === 'http429' ? 'busy' : 'unreachable';
}

/** The breaker after a fault. */
export function trip(breaker: Breaker | undefined, fault: Fault, mono: number, random: number): Breaker {
  const { reason } = fault;
  const shut = breaker !== undefined && !breaker.probing && breaker.untilMono > mono;
  if (shut) {
    // A straggler: it lengthens the rest only by what it asks for itself, never by another step.
    const untilMono = mono + restMs({ ...fault, retryAfterMs: fault.retryAfterMs ?? 0 }, 1, random);
    return breaker.reason === reason || untilMono <= breaker.untilMono
      ? breaker
      : { reason, failures: 1, untilMono, probing: false };
  }
  const failures = breaker?.reason === reason ? breaker.failures + 1 : 1;
  return { reason, failures, untilMono: mono + restMs(fault, failures, random), probing: false };
}

function restMs({ reason, retryAfterMs = 0 }: Fault, failures: number, random: number): number {
  const backoff = { busy: BUSY_BACKOFF, unreachable: UNREACHABLE_BACKOFF }[reason as string];
  if (backoff !== undefined) return Math.max(retryAfterMs, backoffMs(backoff, failures, random));
  if (reason === 'blocked') return retryAfterMs === 0 ? BLOCKED_MS : retryAfterMs;
  return Math.max(retryAfterMs, REJECTED_MS);
}

/** Who passes now: everybody, one probe, or nobody. */
export function gate(breaker: Breaker | undefined, mono: number): 'open' | 'probe' | 'shut' {
  if (breaker === undefined) return 'open';
  return breaker.probing || breaker.untilMono > mono ? 'shut' : 'probe';
}

/** The breaker after an answer that was no fault: closed by an acceptance, else ready for the next probe. */
export function relieved(breaker: Breaker | undefined, accepted: boolean): Breaker | undefined {
  if (breaker === undefined || accepted) return undefined;
  return breaker.probing ? { ...breaker, probing: false } : breaker;
}
