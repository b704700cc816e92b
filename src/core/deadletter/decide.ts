/**
 * What to do about a letter now: every rule in order on this page, the first that matches decides.
 *
 * Phases. `Pending` (also without status): retried when due. `Resolved`: a retry solved the task; left by nothing.
 * `Superseded`: the task was finished, gone or recreated otherwise. `Abandoned`: the budget is used up or no retry can
 * help; the letter still holds its task and its content. A redrive brings every phase but `Resolved` back to `Pending`.
 * Ended letters are deleted when their time is over.
 */
import type { DeadLetterStatus } from '../../api/deadletter.ts';
import type { LetterFacts } from './facts.ts';
import type { LetterPolicy } from './schedule.ts';
import type { Millis } from '../task/times.ts';
import { type Choice, type Decision, type Table, firstOf, inOrder } from '../decision.ts';
import { parseTime } from '../task/times.ts';
import { askedRedrive, phaseOf } from './facts.ts';
import { firstRetryAt, introduced, redriven } from './transitions.ts';

/** Everything the dead-letter controller can be told to do. */
export type LetterEffect =
  | { kind: 'writeStatus'; status: DeadLetterStatus }
  /** One delivery of the content; its outcome is folded into status. */
  | { kind: 'retry' }
  /** With uid and resourceVersion preconditions: a redrive in the meantime keeps the letter. */
  | { kind: 'delete' };

export type LetterDecision = Decision<LetterEffect>;

interface Row {
  when: (facts: LetterFacts, now: Millis, policy: LetterPolicy) => boolean;
  choose: (facts: LetterFacts, now: Millis, policy: LetterPolicy) => Choice<LetterEffect>;
}

/** Tried from top to bottom. The name says what is true of a letter that gets here, and goes to the log. */
const TABLE: Table<Row> = {
  'only the leader acts': { when: ({ mayAct }) => !mayAct, choose: () => ({}) },
  'a new value of the retry annotation redrives a letter that is not resolved': {
    when: ({ letter }) => phaseOf(letter) !== 'Resolved' && askedRedrive(letter) !== undefined,
    choose: ({ letter }, now) => write(redriven(letter, askedRedrive(letter) ?? '', now)),
  },
  'a letter that has ended is deleted when its time is over': {
    when: ({ letter }, now, policy) => phaseOf(letter) !== 'Pending' && deleteAt(letter, policy) <= now,
    choose: () => ({ effect: { kind: 'delete' } }),
  },
  'a letter that has ended stays for a while': {
    when: ({ letter }) => phaseOf(letter) !== 'Pending',
    choose: ({ letter }, now, policy) => ({ wakeInMs: deleteAt(letter, policy) - now }),
  },
  'a new letter says when it will be retried and what to do, or that no retry can help': {
    when: ({ letter }) => letter.status?.phase === undefined,
    choose: ({ letter }, now, policy) => write(introduced(letter, now, policy)),
  },
  'a letter waits for its time': {
    when: ({ letter }, now, policy) => dueAt(letter, now, policy) > now,
    choose: ({ letter }, now, policy) => ({ wakeInMs: dueAt(letter, now, policy) - now }),
  },
  'one retry at a time for each task': { when: ({ taskBusy }) => taskBusy, choose: () => ({}) },
  'a due letter is retried': { when: () => true, choose: () => ({ effect: { kind: 'retry' } }) },
};
const RULES = inOrder(TABLE);

/** The first rule that matches, and what it says. */
export function decideLetter(facts: LetterFacts, now: Millis, policy: LetterPolicy): LetterDecision {
  const rule = firstOf(RULES, ({ when }) => when(facts, now, policy));
  return { rule: rule.name, ...rule.choose(facts, now, policy) };
}

function write(status: DeadLetterStatus): Choice<LetterEffect> {
  return { effect: { kind: 'writeStatus', status } };
}

/** A time further away than any schedule puts it comes from another clock, or from an older configuration: due now. */
function dueAt(letter: LetterFacts['letter'], now: Millis, policy: LetterPolicy): Millis {
  const at = parseTime(letter.status?.nextRetryTime) ?? firstRetryAt(letter, policy);
  return at - now > policy.retryMaxMs + policy.retryMinMs ? now : at;
}

/** Someone may have removed the time: then the letter's age counts. */
function deleteAt(letter: LetterFacts['letter'], policy: LetterPolicy): Millis {
  const ended = parseTime(letter.status?.completionTime) ?? parseTime(letter.metadata.creationTimestamp) ?? 0;
  return ended + policy.ttlMs;
}
