/**
 * What this process does with the provider's reply to its own submission (section 5 of the contract). It is recorded by
 * whoever has it, leader or not: one that is forgotten is a paid submission lost. Conditions and choices; the table in
 * `decide.ts` alone says what comes first.
 */
import type { Refusal, RefusalClass } from '../outcome.ts';
import type { Blockage, Moment } from './facts.ts';
import type { Millis } from './times.ts';
import { lifetimeSeconds } from '../solution.ts';
import { BREAKER_SAYS } from './breaker.ts';
import { REFUSED_MESSAGE, SILENT_MESSAGE } from './callback-mode.ts';
import type { SubmitReply, TaskMemory } from './memory.ts';
import { BUSY_BACKOFF, LAST_RECORD_MS, UNLISTED_TRIES, backoffMs } from './policy.ts';
import { firstPollAt } from './polling.ts';
import { type Situation, type TaskChoice, IDLE, msToDeadline, order, wakeIn } from './situation.ts';
import { attemptEnded, isUntold, notAccepted, rejected, submitted, waiting } from './transitions.ts';

/**
 * An id belongs to whatever submission of its attempt stands there: a callback or a successor may have written it, or
 * nobody yet. Any other reply is about the one intent that it was given to.
 */
export function isReplyToAnother({ memory, task, open }: Situation): boolean {
  const { reply } = memory;
  if (reply === undefined || open?.intentBy === reply.by) return false;
  return reply.outcome.kind !== 'accepted' || !(open?.attempt === reply.attempt || isUntold(task, reply.attempt));
}

/** The id in the journal is this reply's own. */
export function isReplyToKnown({ facts, memory, open }: Situation): boolean {
  return memory.reply !== undefined && open?.captchaID !== undefined && facts.entry?.captchaID === undefined;
}

export function keepStoredID({ memory, open }: Situation): TaskChoice {
  const outcome = memory.reply?.outcome;
  const conflict = outcome?.kind === 'accepted' && outcome.captchaID !== open?.captchaID;
  return order({ kind: 'settleReply', conflict });
}

export function isAccepted({ memory }: Situation): boolean {
  return memory.reply?.outcome.kind === 'accepted';
}

/* An accepted id: into the journal, or into status */

/**
 * The id is durable in the journal as soon as in status, and there it costs next to nothing; where the result is quick,
 * `Submitted` need not be written at all. So that write goes last while requests queue, as long as nobody needs it.
 */
export function entersJournal(situation: Situation): boolean {
  return yields(situation) && situation.facts.record === 'later' && situation.facts.entry?.captchaID === undefined;
}

export function enterID({ memory: { reply } }: Situation): TaskChoice {
  if (reply?.outcome.kind !== 'accepted') return IDLE;
  return order({ kind: 'enterID', by: reply.by, captchaID: reply.outcome.captchaID });
}

export function yields(situation: Situation): boolean {
  return mayYield(situation) && situation.facts.record !== 'now';
}

/** The journal calls it up; else it is written in time for its first poll. */
export function yieldToOthers(situation: Situation): TaskChoice {
  return wakeIn(msToFirstPoll(situation) - LAST_RECORD_MS);
}

/** Nothing else is to be said or done about the task, and nothing depends on when status says it. */
function mayYield(situation: Situation): boolean {
  const { facts, task, memory } = situation;
  if (!isAccepted(situation) || !facts.mayAct || facts.entry?.by !== memory.reply?.by) return false;
  const isLeaving = task.metadata.deletionTimestamp !== undefined || task.spec.suspend;
  return !isLeaving && memory.held === undefined && isInTime(situation);
}

function isInTime(situation: Situation): boolean {
  const leftMs = Math.min(msToFirstPoll(situation), msToDeadline(situation) ?? Infinity);
  return leftMs > LAST_RECORD_MS && keepsItsLife(situation);
}

function msToFirstPoll({ facts, task, open, memory, moment }: Situation): number {
  const waits = open?.pingback === true && !facts.callbacks.silent;
  return firstPollAt(task, waits, repliedAt(memory, moment)) - moment.now;
}

/**
 * Of a submission that status does not show, the callback knows only that it is not older than its task. A result's life
 * counts from that then, and a token out of a long backlog would look dead.
 */
function keepsItsLife({ task: { metadata, spec }, memory, moment }: Situation): boolean {
  const lifetime = lifetimeSeconds(spec.captcha.type) ?? Infinity;
  return repliedAt(memory, moment) - Date.parse(metadata.creationTimestamp) <= (lifetime * 1_000) / 2;
}

export function recordAccepted(situation: Situation): TaskChoice {
  const { memory, open, moment } = situation;
  const outcome = memory.reply?.outcome;
  if (outcome?.kind !== 'accepted') return IDLE;
  const task = withoutEntryTime(situation);
  const at = repliedAt(memory, moment);
  // From the same instant: `core/task/callback-mode` tells a hint by it.
  const status = submitted(task, outcome.captchaID, firstPollAt(task, open?.pingback ?? false, at), at);
  const message = polledBecause(situation);
  if (message === undefined) return order({ kind: 'recordReply', status });
  return order({ kind: 'recordReply', status: waiting({ ...task, status }, 'Polling', moment.now, { message }) });
}

/** An entry cannot say when it was accepted; the process that was told can. */
function withoutEntryTime({ facts: { entry }, task }: Situation): Situation['task'] {
  const { status } = task;
  if (entry?.captchaID === undefined || status?.submission === undefined) return task;
  const { submittedTime: _guessed, ...submission } = status.submission;
  return { ...task, status: { ...status, submission } };
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
  const { memory, moment } = situation;
  const outcome = memory.reply?.outcome;
  if (outcome === undefined) return IDLE;
  if (outcome.kind === 'refused') return recordRefused(situation, outcome);
  if (outcome.kind === 'notSent' || outcome.kind === 'keyOutdated') {
    return giveBack(situation, { reason: 'Pending' });
  }
  if (outcome.kind === 'unreachable' && outcome.cause === 'http429') {
    return giveBack(situation, { reason: 'ProviderBusy' });
  }
  const restMs = mayBeTheTask(outcome) ? backoffMs(BUSY_BACKOFF, 1, moment.random) : undefined;
  return giveBack(situation, { reason: 'ProviderUnreachable' }, restMs);
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

function recordRefused(situation: Situation, refusal: Refusal): TaskChoice {
  const { facts, task, memory, moment } = situation;
  const { code } = refusal;
  const said = saidOf(refusal.class, facts.lane.blockage);
  if (said !== undefined) return giveBack(situation, said);
  if (refusal.class === 'retriable') return record(attemptEnded(task, code, moment.now));
  if (memory.intent?.pingbackURL !== undefined && memory.urlDoubt?.refused === true) {
    // Nothing was accepted, so the same attempt is tried at once without what was refused.
    const message = `The provider refuses the callback URL (${code}); the task is submitted without one.`;
    return giveBack(situation, { reason: 'Pending', message });
  }
  const message = triedAgain(refusal, memory.unlistedTries);
  if (message === undefined) return record(rejected(task, code, moment.now));
  const restMs = backoffMs(BUSY_BACKOFF, memory.unlistedTries, moment.random);
  return giveBack(situation, { reason: 'Pending', message }, restMs);
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

/**
 * Nothing of the try remains but the number of its attempt, and of an entry not even that: it leaves the journal, and
 * the task says why it waits once it has waited. Who does not hold the journal leaves the entry to its successor, and
 * writes it back when status shows it.
 */
function giveBack(situation: Situation, said: Blockage, restMs?: number): TaskChoice {
  const { facts, task, moment } = situation;
  const { reason, ...detail } = said;
  const { entry } = facts;
  if (entry === undefined) return record(notAccepted(task, reason, moment.now, detail), restMs);
  if (facts.journal === 'closed' || facts.entryLeaves === true) return wakeIn(60_000);
  const { message } = detail;
  const says = message === undefined ? { reason } : { reason, message };
  const rest = restMs === undefined ? {} : { untilMono: moment.mono + restMs, says };
  return order({ kind: 'dropEntry', by: entry.by, rest });
}

function record(status: ReturnType<typeof notAccepted>, restMs?: number): TaskChoice {
  return order({ kind: 'recordReply', status, ...(restMs === undefined ? {} : { restMs }) });
}
