/**
 * How a task gets to the provider (section 5 of the contract): the one call of an intent, what follows when nobody knows
 * whether it was accepted or when the attempt ended, and the way to the next submission. Conditions and choices, in
 * groups; the table in `decide.ts` alone says what comes first. What the provider replies is in `reply.ts`.
 */
import { classifyCode } from '../provider-codes.ts';
import { summaryOf } from './conditions.ts';
import { INTENT_FRESH_MS, UNSEEN_CALL_GRACE_MS, WAITING_WRITE_MS, rereadMs } from './policy.ts';
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
import { failed, intended, isUnresolved, isUntold, rejected, waiting } from './transitions.ts';
import { formatTime } from './times.ts';

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
  const { mono, now } = of.moment;
  const { sentMono = -Infinity, sentNow = now } = of.memory.intent ?? {};
  // The monotonic clock stands still while the machine is suspended, and a successor may have come meanwhile.
  return ownsUnusedIntent(of) && Math.max(mono - sentMono, now - sentNow) < INTENT_FRESH_MS;
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

/** What the last try left to say is said as every reason to wait is; one that is in status already says it. */
export function rest(situation: Situation): TaskChoice {
  const leftMs = restLeftMs(situation);
  const { restSays } = situation.memory;
  if (restSays === undefined) return wakeIn(leftMs);
  const { reason, ...detail } = restSays;
  return sayWaiting(situation, reason, detail, leftMs);
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

/** The intent of a first submission is an entry of the journal; any other is in status. */
export function isFirst({ task }: Situation): boolean {
  return isUntold(task, 1);
}

export function writeIntent(situation: Situation): TaskChoice {
  const { task, status, facts, moment } = situation;
  const { intentName: by, pingback } = facts;
  const pingbackURL = pingback.kind === 'url' ? pingback.url : undefined;
  const carries = pingback.kind === 'url';
  if (isFirst(situation)) {
    const { uid, namespace, name } = task.metadata;
    const entry = { uid, namespace, name, by, intentTime: formatTime(moment.now), pingback: carries };
    return order({ kind: 'enterIntent', entry, pingbackURL });
  }
  const sameAttempt = (status?.attempts ?? 0) >= 1 && status?.submission === undefined;
  const next = intended(task, { by, pingback: carries, sameAttempt }, moment.now);
  return order({ kind: 'writeIntent', status: next, by, pingbackURL });
}

/** Entered, and nobody knows yet whether the journal holds it. */
export function isEntering({ memory }: Situation): boolean {
  return memory.intent?.written === false && memory.intent.entry !== undefined;
}
