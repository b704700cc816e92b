/**
 * Everything about asking `res.php?action=get` for a result (section 7 of the contract): when a task is polled, once
 * more before its deadline counts, and what an answer means. A result is held until it is delivered, a final refusal
 * until it is written, anything else postpones the next poll. An answer without the shape of the task's type is asked
 * for again, and the third one is final. What is no result and comes after its attempt has ended or been replaced is
 * forgotten. Key, address and block codes never fail a task here; the lane pauses polling for them.
 */
import type { CaptchaTask, Submission } from '../../api/captchatask.ts';
import type { PollOutcome, Refusal, RefusalClass } from '../outcome.ts';
import type { KeyView, Moment } from './facts.ts';
import { UNREADABLE_ANSWER } from '../provider-codes.ts';
import { jittered } from '../../waiting/backoff.ts';
import { firstPollDelayMs } from '../solution.ts';
import { SILENT_MESSAGE } from './callback-mode.ts';
import { summaryOf } from './conditions.ts';
import { type PollMemory, type TaskMemory, NO_POLLS, isOf, resultHeld } from './memory.ts';
import {
  type TaskPolicy,
  FINAL_POLL_TRIES,
  POLL_BACKOFF,
  UNPINGED_POLL_INTERVAL_MS,
  UNREADABLE_ANSWERS,
  UNREAD_KEY_PATIENCE_MS,
  backoffMs,
} from './policy.ts';
import { type Situation, type TaskChoice, IDLE, order, waitForKey, wakeIn, write } from './situation.ts';
import { type Millis, parseTime } from './times.ts';
import { attemptEnded, rejected, waiting } from './transitions.ts';

/* When a task is polled */

/** When an accepted submission is first polled. */
export function firstPollAt(task: CaptchaTask, pingback: boolean, now: Millis): Millis {
  const delayMs = pingback ? task.spec.callbackTimeoutSeconds * 1_000 : firstPollDelayMs(task.spec.captcha.type);
  return now + delayMs;
}

/** The wait between two polls that found nothing, ±10 %. */
function intervalMs(pingback: boolean, policy: TaskPolicy, random: number): number {
  return Math.round(jittered(pingback ? policy.pollIntervalMs : UNPINGED_POLL_INTERVAL_MS, 0.1, random));
}

export function isAccepted({ open }: Situation): boolean {
  return open?.captchaID !== undefined;
}

export function isUnderWay({ open, memory }: Situation): boolean {
  return open?.captchaID !== undefined && memory.poll.underWay;
}

/** It was polled and is not ready: from then on its reason is `Polling`, while there is a key to poll it with. */
export function hasNotSaidPolling({ memory, open, status, facts }: Situation): boolean {
  const polled = open?.captchaID !== undefined && memory.poll.pending && facts.key.state === 'present';
  return polled && summaryOf(status)?.reason !== 'Polling';
}

export function sayPolling(situation: Situation): TaskChoice {
  const detail = isSilenced(situation) ? { message: SILENT_MESSAGE } : {};
  return write(waiting(situation.task, 'Polling', situation.moment.now, detail));
}

export function pollWhenDue(situation: Situation): TaskChoice {
  const { facts } = situation;
  const dueInMs = msToPoll(situation);
  if (dueInMs > 0) return wakeIn(dueInMs);
  if (facts.key.state === 'unread') return order({ kind: 'readKey' });
  if (facts.key.state === 'missing') return waitForKey(situation);
  if (facts.lane.pollPauseMs > 0) return wakeIn(facts.lane.pollPauseMs);
  return order({ kind: 'poll', final: false });
}

/** Until the next poll: from our last one while status shows the same `pollAfterTime`, else from that. */
function msToPoll(situation: Situation): number {
  const { memory, facts, moment, policy, task, open } = situation;
  const { poll } = memory;
  if (poll.nextMono !== undefined && poll.after === open?.pollAfterTime) return poll.nextMono - moment.mono;
  const dueInMs = dueAt(situation) - moment.now;
  // Status holds whole seconds, rounded down: a hint of just now looks up to a second older.
  const overdueAtStart = -dueInMs > facts.actingMs + 1_000;
  if (!overdueAtStart) return dueInMs;
  // Everything that fell due while nobody acted is spread over one interval, each task at its own place.
  return fractionOf(task.metadata.uid) * intervalMs(true, policy, 0.5) - facts.actingMs;
}

/**
 * While no callbacks come for its key, a task is first polled as early as one that expects none. Once they come again,
 * `pollAfterTime` counts.
 */
function dueAt(situation: Situation): number {
  const { task, moment, open } = situation;
  const at = parseTime(open?.pollAfterTime) ?? moment.now;
  if (!isSilenced(situation)) return at;
  return Math.min(at, (parseTime(open?.submittedTime) ?? at) + firstPollDelayMs(task.spec.captcha.type));
}

/** A callback was to come, and none of its API key does. */
function isSilenced({ facts, open }: Situation): boolean {
  return open?.pingback === true && facts.callbacks.silent;
}

/** A number in [0,1) that belongs to the uid (FNV-1a, and its bits mixed once more). */
function fractionOf(uid: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < uid.length; index += 1) hash = Math.imul(hash ^ uid.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) / 0x1_0000_0000;
}

/* Once more, before the deadline counts */

export function needsFinalPoll({ open, memory, facts }: Situation): boolean {
  if (open?.captchaID === undefined || lacksKey(facts.key)) return false;
  return !memory.poll.finalDone && memory.poll.finalTries < FINAL_POLL_TRIES;
}

/** A Secret that only cannot be read just now is waited for: the result that a poll may find was paid for. */
function lacksKey(key: KeyView): boolean {
  return key.state === 'missing' && (key.unreadForMs ?? Infinity) >= UNREAD_KEY_PATIENCE_MS;
}

export function pollFinally({ memory, facts, moment }: Situation): TaskChoice {
  if (memory.poll.underWay) return wakeIn(60_000);
  if (facts.key.state === 'unread') return order({ kind: 'readKey' });
  if (facts.key.state === 'missing') return wakeIn(facts.key.retryInMs);
  const { finalTries, booked, nextMono = 0 } = memory.poll;
  const restMs = finalTries === 0 && !booked ? 0 : nextMono - moment.mono;
  const waitMs = Math.max(facts.lane.pollPauseMs, restMs);
  return waitMs > 0 ? wakeIn(waitMs) : order({ kind: 'poll', final: true });
}

/*
 * How polling goes, in memory. Postponed (or wanted): `nextMono` is when the task is due. Due, it books a place in the
 * pace of its key: `booked`, and `nextMono` is that place. When the place has come the poll is sent: `underWay`, until
 * its answer postpones the next one, is the provider's last word, or is a result.
 */

/** The stored id is not the one our call was given: the next poll tells which one lives. */
export function pollWanted(memory: TaskMemory, submission: Submission | undefined, mono: number): TaskMemory {
  return { ...memory, poll: { ...pollOf(memory, submission), ...continues(submission), nextMono: mono } };
}

export function pollSent(memory: TaskMemory, submission: Submission | undefined, final: boolean): TaskMemory {
  const poll = pollOf(memory, submission);
  const finalTries = poll.finalTries + (final ? 1 : 0);
  return { ...memory, poll: { ...poll, booked: false, underWay: true, finalTries } };
}

/** A poll found nothing final; the next one is due at `nextMono`. */
function pollPostponed(
  memory: TaskMemory,
  submission: Submission | undefined,
  next: {
    nextMono: number;
    answer: 'pending' | 'unreadable' | 'refused' | 'unreachable';
    final: boolean;
    sentMono?: number | undefined;
  },
): TaskMemory {
  const { after: _before, ...poll } = pollOf(memory, submission);
  const pending = next.answer === 'pending';
  return {
    ...memory,
    poll: {
      ...poll,
      ...continues(submission),
      nextMono: next.nextMono,
      booked: false,
      underWay: false,
      failures: pending ? 0 : poll.failures + 1,
      pending: poll.pending || pending,
      ...(pending && next.sentMono !== undefined ? { unsolvedMono: next.sentMono } : {}),
      unreadable: (poll.unreadable ?? 0) + (next.answer === 'unreadable' ? 1 : 0),
      // A refusal about load, the key or this address says nothing about the task: it has not been asked about yet.
      finalDone: poll.finalDone || (next.final && (pending || next.answer === 'unreadable')),
    },
  };
}

/** The poll has a place in the pace of its key; until then the task waits like any other. */
export function pollBooked(memory: TaskMemory, submission: Submission | undefined, nextMono: number): TaskMemory {
  const { after: _before, ...poll } = pollOf(memory, submission);
  return { ...memory, poll: { ...poll, ...continues(submission), nextMono, booked: true } };
}

function pollOf(memory: TaskMemory, submission: Submission | undefined): PollMemory {
  if (isOf(memory.poll.of, submission) || submission?.captchaID === undefined) return memory.poll;
  return { ...NO_POLLS, of: { attempt: submission.attempt, captchaID: submission.captchaID } };
}

function continues(submission: Submission | undefined): Pick<PollMemory, 'after'> {
  return submission?.pollAfterTime === undefined ? {} : { after: submission.pollAfterTime };
}

/** The provider's last word on the submission that is being polled. */
function pollRefused(memory: TaskMemory, answer: Refusal): TaskMemory {
  const { of } = memory.poll;
  return of === undefined ? memory : { ...memory, refusal: { of, answer }, poll: { ...memory.poll, underWay: false } };
}

/* What an answer means */

export function isRefused({ memory, open }: Situation): boolean {
  return isOf(memory.refusal?.of, open);
}

export function recordRefusal({ memory, task, moment }: Situation): TaskChoice {
  if (memory.refusal === undefined) return IDLE;
  const { class: refusalClass, code } = memory.refusal.answer;
  const record = refusalClass === 'permanent' ? rejected : attemptEnded;
  return order({ kind: 'recordRefusal', status: record(task, code, moment.now) });
}

/** Refusals that are the provider's last word on this submission. */
const FINAL_CLASSES: ReadonlySet<RefusalClass> = new Set(['permanent', 'retriable', 'proxy']);

/** What the solver found answers something else; a new attempt may do better. */
const UNREADABLE: Refusal = { kind: 'refused', class: 'retriable', code: UNREADABLE_ANSWER };

/** A final poll that did not get through is repeated soon: the task is overdue. */
const FINAL_BACKOFF = { baseMs: 2_000, maxMs: 2_000 };

export interface AnsweredPoll {
  /** As it was when it was polled. */
  task: CaptchaTask;
  outcome: PollOutcome;
  final: boolean;
  /** Callbacks of its API key are silent: it is polled like a submission without. */
  silent?: boolean;
  /** When it was sent: a captcha that its answer calls not ready was not solved by then. */
  sentMono?: number;
}

/** Whether the answer came after its attempt had ended or been replaced, and says nothing any more. */
export function cameLate(memory: TaskMemory | undefined, { task, outcome }: AnsweredPoll): boolean {
  if (outcome.kind === 'solved') return false;
  return memory?.poll.underWay !== true || !isOf(memory.poll.of, task.status?.submission);
}

/** The memory after a poll of this submission was answered (or was not). */
export function pollAnswered(memory: TaskMemory, poll: AnsweredPoll, moment: Moment, policy: TaskPolicy): TaskMemory {
  const { task, outcome, final, silent = false, sentMono } = poll;
  const submission = task.status?.submission;
  if (outcome.kind === 'solved') return held(memory, task, outcome, moment);
  if (cameLate(memory, poll)) return memory;
  const refusal = finalRefusal(memory, outcome);
  if (refusal !== undefined) return pollRefused(memory, refusal);
  const backoff = final ? FINAL_BACKOFF : POLL_BACKOFF;
  const waitMs =
    outcome.kind === 'pending'
      ? intervalMs(submission?.pingback === true && !silent, policy, moment.random)
      : backoffMs(backoff, memory.poll.failures + 1, moment.random);
  const nextMono = moment.mono + waitMs;
  return pollPostponed(memory, submission, { nextMono, answer: outcome.kind, final, sentMono });
}

function finalRefusal({ poll }: TaskMemory, outcome: PollOutcome): Refusal | undefined {
  if (outcome.kind === 'refused') return FINAL_CLASSES.has(outcome.class) ? outcome : undefined;
  const unreadable = outcome.kind === 'unreadable' ? (poll.unreadable ?? 0) + 1 : 0;
  return unreadable >= UNREADABLE_ANSWERS ? UNREADABLE : undefined;
}

function held(
  memory: TaskMemory,
  task: CaptchaTask,
  answer: { value: string; userAgent?: string },
  moment: Moment,
): TaskMemory {
  const { namespace, name, uid } = task.metadata;
  const submission = task.status?.submission;
  return resultHeld(memory, {
    task: { namespace, name, uid },
    attempt: submission?.attempt ?? 1,
    captchaID: submission?.captchaID ?? '',
    value: answer.value,
    ...(answer.userAgent === undefined ? {} : { userAgent: answer.userAgent }),
    source: 'Poll',
    receivedTime: moment.now,
    ...unsolvedTime(memory, submission, moment),
  });
}

function unsolvedTime(
  { poll }: TaskMemory,
  submission: Submission | undefined,
  { now, mono }: Moment,
): { unsolvedTime?: number } {
  if (poll.unsolvedMono === undefined || !isOf(poll.of, submission)) return {};
  return { unsolvedTime: now - (mono - poll.unsolvedMono) };
}
