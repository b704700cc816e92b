/**
 * How a task gets to the provider, and what its answer means (section 5 of the contract): the reply, the one call of an
 * intent, what follows when nobody knows whether it was accepted or when the attempt ended, and the way to the next
 * submission. Conditions and choices, in groups; the table in `decide.ts` alone says what comes first. A reply is
 * recorded by whoever has it, leader or not: one that is forgotten is a paid submission lost.
 */
import type { Refusal, RefusalClass } from '../outcome.ts';
import type { Blockage, Moment } from './facts.ts';
import type { Millis } from './times.ts';
import { classifyCode } from '../provider-codes.ts';
import { BREAKER_SAYS } from './breaker.ts';
import { REFUSED_MESSAGE, SILENT_MESSAGE } from './callback-mode.ts';
import { summaryOf } from './conditions.ts';
import type { SubmitReply, TaskMemory } from './memory.ts';
import {
  BUSY_BACKOFF,
  INTENT_FRESH_MS,
  UNLISTED_TRIES,
  UNSEEN_CALL_GRACE_MS,
  WAITING_WRITE_MS,
  backoffMs,
  rereadMs,
} from './policy.ts';
import { firstPollAt } from './polling.ts';
import { needsSources } from './sources.ts';
import {
  type Situation,
  type TaskChoice,
  IDLE,
  msToWatch,
  order,
  sayWaiting,
  wakeIn,
  watchOn,
  write,
} from './situation.ts';
import {
  attemptEnded,
  failed,
  intended,
  isUnresolved,
  notAccepted,
  rejected,
  submitted,
  waiting,
} from './transitions.ts';

/* The reply */

export function isReplyToAnother({ memory, open }: Situation): boolean {
  return memory.reply !== undefined && open?.intentBy !== memory.reply.by;
}

export function isReplyToKnown({ memory, open }: Situation): boolean {
  return memory.reply !== undefined && open?.captchaID !== undefined;
}

export function keepStoredID({ memory, open }: Situation): TaskChoice {
  const outcome = memory.reply?.outcome;
  const conflict = outcome?.kind === 'accepted' && outcome.captchaID !== open?.captchaID;
  return order({ kind: 'settleReply', conflict });
}

export function isAccepted({ memory }: Situation): boolean {
  return memory.reply?.outcome.kind === 'accepted';
}

export function recordAccepted(situation: Situation): TaskChoice {
  const { memory, task, open, moment } = situation;
  const outcome = memory.reply?.outcome;
  if (outcome?.kind !== 'accepted') return IDLE;
  const at = repliedAt(memory, moment);
  // From the same instant: `core/task/callback-mode` tells a hint by it.
  const status = submitted(task, outcome.captchaID, firstPollAt(task, open?.pingback ?? false, at), at);
  const message = polledBecause(situation);
  if (message === undefined) return order({ kind: 'recordReply', status });
  return order({ kind: 'recordReply', status: waiting({ ...task, status }, 'Polling', moment.now, { message }) });
}

/** When the reply came. It may have had to wait to be recorded, and its captcha be solved by now. */
function repliedAt({ intent }: TaskMemory, { now, mono }: Moment): Millis {
  return now - (mono - (intent?.endedMono ?? mono));
}

/** Why a task that wanted a callback is polled from the start, where its API key is the cause and nothing holds it. */
function polledBecause({ facts, task, open, status }: Situation): string | undefined {
  if (task.spec.delivery !== 'Callback' || task.spec.suspend || status?.deadLetter !== undefined) return undefined;
  if (open?.pingback === true) return facts.callbacks.silent ? SILENT_MESSAGE : undefined;
  return facts.callbacks.refused ? REFUSED_MESSAGE : undefined;
}

export function isNotAccepted({ memory, status }: Situation): boolean {
  return memory.reply !== undefined && status?.deadLetter === undefined;
}

export function recordNotAccepted(situation: Situation): TaskChoice {
  const { task, memory, moment } = situation;
  const outcome = memory.reply?.outcome;
  if (outcome === undefined) return IDLE;
  if (outcome.kind === 'refused') return recordRefused(situation, outcome);
  if (outcome.kind === 'notSent' || outcome.kind === 'keyOutdated') {
    return record(notAccepted(task, 'Pending', moment.now));
  }
  if (outcome.kind === 'unreachable' && outcome.cause === 'http429') {
    return record(notAccepted(task, 'ProviderBusy', moment.now));
  }
  const restMs = mayBeTheTask(outcome) ? backoffMs(BUSY_BACKOFF, 1, moment.random) : undefined;
  return record(notAccepted(task, 'ProviderUnreachable', moment.now), restMs);
}

/** A 4xx may be about this one task: it rests, so that another one is the next probe of its key. */
function mayBeTheTask(outcome: SubmitReply): boolean {
  return outcome.kind === 'unreachable' && outcome.cause === 'http4xx';
}

/** What a task says while a refusal that concerns its key, its address or the provider keeps it waiting. */
const WAITING_FOR: Partial<Record<RefusalClass, Blockage>> = {
  busy: { reason: 'ProviderBusy' },
  blocked: { reason: 'ProviderBusy', message: 'The provider blocks this API key for a while.' },
  accountExhausted: BREAKER_SAYS.accountExhausted,
  addressBlocked: { reason: 'KeyRejected' },
  addressNotAllowed: { reason: 'KeyRejected' },
  transient: {
    reason: 'ProviderUnreachable',
    message: 'The provider reports a fault of its own; submissions back off.',
  },
};

function recordRefused({ facts, task, memory, moment }: Situation, refusal: Refusal): TaskChoice {
  const { code } = refusal;
  const { reason, ...detail } = saidOf(refusal.class, facts.lane.blockage) ?? {};
  if (reason !== undefined) return record(notAccepted(task, reason, moment.now, detail));
  if (refusal.class === 'retriable') return record(attemptEnded(task, code, moment.now));
  if (memory.intent?.pingbackURL !== undefined && memory.urlDoubt?.refused === true) {
    // Nothing was accepted, so the same attempt is tried at once without what was refused.
    const message = `The provider refuses the callback URL (${code}); the task is submitted without one.`;
    return record(notAccepted(task, 'Pending', moment.now, { message }));
  }
  const message = triedAgain(refusal, memory.unlistedTries);
  if (message === undefined) return record(rejected(task, code, moment.now));
  const restMs = backoffMs(BUSY_BACKOFF, memory.unlistedTries, moment.random);
  return record(notAccepted(task, 'Pending', moment.now, { message }), restMs);
}

/** "No balance" of an account that is known to be exhausted says that, and not that the provider is busy. */
function saidOf(refusalClass: RefusalClass, blockage: Blockage | undefined): Blockage | undefined {
  const exhausted = refusalClass === 'busy' && blockage?.reason === 'AccountExhausted';
  return exhausted ? blockage : WAITING_FOR[refusalClass];
}

/** What a task says that is tried again by itself; undefined where the refusal is its end. */
function triedAgain({ class: refusalClass, code }: Refusal, tries: number): string | undefined {
  if (refusalClass === 'callbackRefused') {
    return `The provider refuses the callback address (${code}); the task is tried again.`;
  }
  if (refusalClass !== 'unlisted' || tries >= UNLISTED_TRIES) return undefined;
  return `The provider answered with an unknown code (${code}); the task is tried again.`;
}

function record(status: ReturnType<typeof notAccepted>, restMs?: number): TaskChoice {
  return order({ kind: 'recordReply', status, ...(restMs === undefined ? {} : { restMs }) });
}

/* The call */

type OfIntent = Pick<Situation, 'memory' | 'open' | 'moment'>;

/** Ours, written, and never used: nobody else can have made its call. */
function ownsUnusedIntent({ memory, open }: OfIntent): boolean {
  const { intent } = memory;
  if (intent === undefined || !intent.written || intent.call !== 'notSent') return false;
  return open?.intentBy === intent.by && open.captchaID === undefined;
}

/** And young enough that nobody can have taken it for unknown. */
export function ownsFreshIntent(of: OfIntent): boolean {
  const sentMono = of.memory.intent?.sentMono ?? -Infinity;
  return ownsUnusedIntent(of) && of.moment.mono - sentMono < INTENT_FRESH_MS;
}

/** A call is made by the leader, in a turn that was given for it, for a fresh intent. */
export function ownsUselessIntent(situation: Situation): boolean {
  const { mayAct, lane } = situation.facts;
  return ownsUnusedIntent(situation) && !(ownsFreshIntent(situation) && mayAct && lane.ticket === 'granted');
}

export function isCalling({ memory, open }: Situation): boolean {
  return memory.intent?.call === 'underWay' && open?.intentBy === memory.intent.by;
}

/* What nobody knows the end of, and what ended without a result */

export function hasNotSaidUnknown({ task, status }: Situation): boolean {
  return isUnresolved(task) && summaryOf(status)?.reason !== 'SubmissionUnknown';
}

export function sayUnknown({ task, moment }: Situation): TaskChoice {
  return write(waiting(task, 'SubmissionUnknown', moment.now));
}

export function isInGrace(situation: Situation): boolean {
  return isUnresolved(situation.task) && (graceLeftMs(situation) > 0 || msToWatch(situation) > 0);
}

export function waitForCallback(situation: Situation): TaskChoice {
  return watchOn(situation, graceLeftMs(situation));
}

/** How long an unresolved submission is still left alone, on the monotonic clock. */
function graceLeftMs({ memory, open, moment, policy }: Situation): number {
  if (open === undefined) return 0;
  const graceMs = open.pingback ? policy.unknownSubmissionGraceMs : UNSEEN_CALL_GRACE_MS;
  const { intent, sighted } = memory;
  if (intent?.by !== open.intentBy) return (sighted?.atMono ?? moment.mono) + graceMs - moment.mono;
  if (!open.pingback && intent.call === 'ended') return 0;
  return (intent.endedMono ?? intent.sentMono) + graceMs - moment.mono;
}

export function isUnknownAgain({ task, status }: Situation): boolean {
  return isUnresolved(task) && ((status?.unknownSubmissions ?? 0) >= 1 || worksOnce(task));
}

export function failUnknown({ task, moment }: Situation): TaskChoice {
  const message = 'It stayed unknown whether the provider accepted the submission; it is not sent again.';
  return write(failed(task, { class: 'Unknown', reason: 'SubmissionUnknown', message }, moment.now));
}

/** By the word of a callback or a poll; of those only callbacks leave a permanent one for us to find. */
export function endedForGood({ status }: Situation): boolean {
  const { endTime, code } = status?.submission ?? {};
  const word = endTime === undefined || code === undefined ? undefined : classifyCode(code, 'callback');
  return word?.kind === 'refused' && word.class === 'permanent';
}

export function failRejected({ task, status, moment }: Situation): TaskChoice {
  return write(rejected(task, status?.submission?.code ?? '', moment.now));
}

export function hasNoRetry({ task, status }: Situation): boolean {
  return status?.submission?.endTime !== undefined && (retriesLeft(task) <= 0 || worksOnce(task));
}

export function failUnsolvable({ task, status, moment }: Situation): TaskChoice {
  const code = status?.submission?.code;
  const message = 'The provider could not solve the captcha and no retries are left.';
  const failure = { class: 'Retriable', reason: 'Unsolvable', message } as const;
  return write(failed(task, code === undefined ? failure : { ...failure, code }, moment.now));
}

function retriesLeft({ spec, status }: Situation['task']): number {
  const used = (status?.attempts ?? 1) - 1 - (status?.unknownSubmissions ?? 0);
  return spec.backoffLimit - used;
}

/** The challenge of GeeTest v3 works once: whatever happened to it, it is never submitted a second time. */
function worksOnce({ spec }: Situation['task']): boolean {
  return spec.captcha.type === 'GeeTestV3';
}

/* The way to the next submission: rest, key, sources, place, intent */

/** How long the task still rests after an answer that may concern it alone. */
export function restLeftMs({ memory, moment }: Situation): number {
  return (memory.notBeforeMono ?? -Infinity) - moment.mono;
}

/** Until proxy and image are read again; 0 where nothing is known to be missing. */
export function msToSources({ memory, moment }: Situation): number {
  if (memory.sources?.state !== 'missing') return 0;
  const { readMono, unreadSinceMono } = memory.sources;
  return rereadMs(unreadSinceMono === undefined ? undefined : readMono - unreadSinceMono) + readMono - moment.mono;
}

export function waitForSources(situation: Situation): TaskChoice {
  const { memory, moment } = situation;
  if (memory.sources?.state !== 'missing') return IDLE;
  const { message, unreadSinceMono = -Infinity } = memory.sources;
  const retryInMs = msToSources(situation);
  if (moment.mono - unreadSinceMono < WAITING_WRITE_MS) return wakeIn(retryInMs);
  return sayWaiting(situation, 'Pending', { message, stalled: true }, retryInMs);
}

export function waitForTurn(situation: Situation): TaskChoice {
  const { blockage } = situation.facts.lane;
  if (blockage === undefined) return IDLE;
  const { reason, ...detail } = blockage;
  return sayWaiting(situation, reason, detail);
}

export function lacksSources({ task, memory }: Situation): boolean {
  return needsSources(task) && memory.sources?.state !== 'ready';
}

export function writeIntent({ task, status, facts, moment }: Situation): TaskChoice {
  const { intentName: by, pingback } = facts;
  const sameAttempt = (status?.attempts ?? 0) >= 1 && status?.submission === undefined;
  const next = intended(task, { by, pingback: pingback.kind === 'url', sameAttempt }, moment.now);
  const pingbackURL = pingback.kind === 'url' ? pingback.url : undefined;
  return order({ kind: 'writeIntent', status: next, by, pingbackURL });
}
