/**
 * Rules for tasks that something holds: a dead letter (section 4) or their owner (`spec.suspend`). A marked task is
 * neither failed nor resubmitted nor polled and its deadline waits; a suspended one starts nothing.
 */
import type { DeadLetterMark } from '../../api/captchatask.ts';
import { type TaskMemory, markKey } from './memory.ts';
import { summaryOf } from './conditions.ts';
import { POLLABLE_MARK_MS, UNCONFIRMED_MARK_MS } from './policy.ts';
import { type TaskChoice, IDLE, type Rule, type Situation, msToWatch, order, wakeIn, write } from './situation.ts';
import { failed, markConfirmed, markDropped, openReason, waiting } from './transitions.ts';

/** How often a held task looks again although no letter changed. */
const LETTER_RECHECK_MS = 60_000;
const ABANDONED_MESSAGE = 'A result was received but its dead letter was abandoned: it needs a person.';

export const LETTER_RULES: readonly Rule[] = [
  {
    name: 'a confirmed mark holds the task while its letter exists',
    when: ({ status, facts }) => status?.deadLetter?.confirmed === true && facts.letter.state === 'present',
    choose: holdForLetter,
  },
  {
    name: 'a confirmed mark whose letter is gone by a quorum read fails the task',
    when: ({ status }) => status?.deadLetter?.confirmed === true,
    choose: failOrLookAgain,
  },
  {
    name: 'an unconfirmed mark is left for a while to whoever holds the result',
    when: (situation) =>
      situation.status?.deadLetter !== undefined && (msToDrop(situation) > 0 || msToWatch(situation) > 0),
    choose: (situation) => wakeIn(Math.max(msToDrop(situation), Math.min(msToWatch(situation), 1_000))),
  },
  {
    name: 'an unconfirmed mark is confirmed when its letter exists after all, and dropped when not',
    when: ({ status }) => status?.deadLetter !== undefined,
    choose: ({ memory, status, task, moment }) => {
      const letter = letterReadFor(memory, status?.deadLetter);
      if (letter === undefined) return order({ kind: 'readLetter' });
      const settled = letter.state === 'present' ? markConfirmed : markDropped;
      return write(settled(task, moment.now));
    },
  },
];

export const SUSPEND_RULES: readonly Rule[] = [
  {
    name: 'a suspended task says so, its clock stops and nothing starts',
    when: ({ task }) => task.spec.suspend,
    choose: ({ task, status, moment }) => {
      const said = summaryOf(status)?.reason === 'Suspended' && status?.startTime === undefined;
      return said ? IDLE : write(waiting(task, 'Suspended', moment.now));
    },
  },
  {
    name: 'a resumed task starts its clock anew',
    when: ({ status }) => summaryOf(status)?.reason === 'Suspended',
    choose: ({ task, open, moment }) =>
      write(waiting(task, open === undefined ? 'Pending' : openReason(task, open), moment.now)),
  },
];

function holdForLetter({ facts, task, status, moment }: Situation): TaskChoice {
  const abandoned = facts.letter.state === 'present' && facts.letter.phase === 'Abandoned';
  const said = summaryOf(status);
  if (said?.reason === 'DeadLettered' && (said.stalled === true) === abandoned) return wakeIn(LETTER_RECHECK_MS);
  const detail = abandoned ? { stalled: true, message: ABANDONED_MESSAGE } : {};
  return write(waiting(task, 'DeadLettered', moment.now, detail));
}

/** The cache does not show the letter: that proves nothing, a quorum read does. */
function failOrLookAgain({ memory, status, task, moment }: Situation): TaskChoice {
  const letter = letterReadFor(memory, status?.deadLetter);
  if (letter?.state === 'absent') {
    const message = 'The dead letter that held the result was deleted before it was applied.';
    return write(failed(task, { class: 'DeadLetter', reason: 'DeadLetterAbandoned', message }, moment.now));
  }
  const ageMs = letter === undefined ? Infinity : moment.mono - letter.readMono;
  return ageMs < LETTER_RECHECK_MS ? wakeIn(LETTER_RECHECK_MS - ageMs) : order({ kind: 'readLetter' });
}

function letterReadFor(memory: TaskMemory, mark: DeadLetterMark | undefined): TaskMemory['letter'] {
  return mark !== undefined && memory.letter?.mark === markKey(mark) ? memory.letter : undefined;
}

/** From the first sight of the mark, on the monotonic clock: its own time is that of another machine. */
function msToDrop({ memory, open, moment }: Situation): number {
  const graceMs = open?.captchaID === undefined ? UNCONFIRMED_MARK_MS : POLLABLE_MARK_MS;
  return (memory.markSighted?.atMono ?? moment.mono) + graceMs - moment.mono;
}
