/**
 * What holds a task, and what ends it by time: a dead letter (section 4 of the contract), its owner (`spec.suspend`),
 * and the deadline. A marked task is neither failed nor resubmitted nor polled and its deadline waits; a suspended one
 * starts nothing and its clock stops. A deadline counts only after the operator has watched for a while, so that
 * callbacks from the spool win. Conditions and choices; the table in `decide.ts` alone says what comes first.
 */
import type { DeadLetterMark } from '../../api/captchatask.ts';
import { summaryOf } from './conditions.ts';
import { type TaskMemory, markKey } from './memory.ts';
import { POLLABLE_MARK_MS, UNCONFIRMED_MARK_MS } from './policy.ts';
import {
  type Situation,
  type TaskChoice,
  IDLE,
  deadlinePassed,
  msToWatch,
  order,
  wakeIn,
  watchOn,
  write,
} from './situation.ts';
import { failed, markConfirmed, markDropped, openReason, waiting } from './transitions.ts';

/** How often a held task looks again although no letter changed. */
const LETTER_RECHECK_MS = 60_000;
const ABANDONED_MESSAGE = 'A result was received but its dead letter was abandoned: it needs a person.';

/* Dead letters */

export function isMarked({ status }: Situation): boolean {
  return status?.deadLetter !== undefined;
}

export function hasConfirmedMark({ status }: Situation): boolean {
  return status?.deadLetter?.confirmed === true;
}

export function holdForLetter({ facts, task, status, moment }: Situation): TaskChoice {
  const abandoned = facts.letter.state === 'present' && facts.letter.phase === 'Abandoned';
  const said = summaryOf(status);
  if (said?.reason === 'DeadLettered' && (said.stalled === true) === abandoned) return wakeIn(LETTER_RECHECK_MS);
  const detail = abandoned ? { stalled: true, message: ABANDONED_MESSAGE } : {};
  return write(waiting(task, 'DeadLettered', moment.now, detail));
}

/** The cache does not show the letter: that proves nothing, a quorum read does. */
export function failWithoutLetter({ memory, status, task, moment }: Situation): TaskChoice {
  const letter = letterReadFor(memory, status?.deadLetter);
  if (letter?.state === 'absent') {
    const message = 'The dead letter that held the result was deleted before it was applied.';
    return write(failed(task, { class: 'DeadLetter', reason: 'DeadLetterAbandoned', message }, moment.now));
  }
  const ageMs = letter === undefined ? Infinity : moment.mono - letter.readMono;
  return ageMs < LETTER_RECHECK_MS ? wakeIn(LETTER_RECHECK_MS - ageMs) : order({ kind: 'readLetter' });
}

export function hasFreshMark(situation: Situation): boolean {
  return isMarked(situation) && (msToDrop(situation) > 0 || msToWatch(situation) > 0);
}

export function leaveToHolder(situation: Situation): TaskChoice {
  return watchOn(situation, msToDrop(situation));
}

export function confirmOrDrop({ memory, status, task, moment }: Situation): TaskChoice {
  const letter = letterReadFor(memory, status?.deadLetter);
  if (letter === undefined) return order({ kind: 'readLetter' });
  const settled = letter.state === 'present' ? markConfirmed : markDropped;
  return write(settled(task, moment.now));
}

function letterReadFor(memory: TaskMemory, mark: DeadLetterMark | undefined): TaskMemory['letter'] {
  return mark !== undefined && memory.letter?.mark === markKey(mark) ? memory.letter : undefined;
}

/** From the first sight of the mark, on the monotonic clock: its own time is that of another machine. */
function msToDrop({ memory, open, moment }: Situation): number {
  const graceMs = open?.captchaID === undefined ? UNCONFIRMED_MARK_MS : POLLABLE_MARK_MS;
  return (memory.markSighted?.atMono ?? moment.mono) + graceMs - moment.mono;
}

/* Suspension */

export function saySuspended({ task, status, moment }: Situation): TaskChoice {
  const said = summaryOf(status)?.reason === 'Suspended' && status?.startTime === undefined;
  return said ? IDLE : write(waiting(task, 'Suspended', moment.now));
}

export function wasSuspended({ status }: Situation): boolean {
  return summaryOf(status)?.reason === 'Suspended';
}

export function resume({ task, open, moment }: Situation): TaskChoice {
  return write(waiting(task, open === undefined ? 'Pending' : openReason(task, open), moment.now));
}

/* The deadline */

/** With an id it is polled as ever meanwhile. */
export function isLateAndUnwatched(situation: Situation): boolean {
  return deadlinePassed(situation) && msToWatch(situation) > 0 && situation.open?.captchaID === undefined;
}

/** Its deadline has passed, and every callback that waited in a spool has had its time. */
export function isOverdue(situation: Situation): boolean {
  return deadlinePassed(situation) && msToWatch(situation) <= 0;
}

export function mayOwnSolutionSecret({ task, memory }: Situation): boolean {
  return task.spec.solutionSecretName !== undefined && !memory.solutionSecretRead;
}

export function failOverdue({ task, moment }: Situation): TaskChoice {
  const message = 'The task was not solved before its deadline.';
  return write(failed(task, { class: 'Deadline', reason: 'DeadlineExceeded', message }, moment.now));
}
