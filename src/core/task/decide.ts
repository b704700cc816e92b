/**
 * What is to be done about one task now: every rule in order on this page, the first that matches decides. Read from
 * top to bottom it is sections 3 to 7 of the contract; conditions and choices are told by story in `reply.ts`,
 * `submission.ts`, `polling.ts` and `holding.ts`. It looks at nothing but its arguments, so a history of facts can be
 * replayed through it.
 *
 * Order matters twice. What the provider said is recorded before anything is decided (a reply forgotten is money
 * lost), and that part works without leadership. Then whatever holds the task (letter, suspension) comes before
 * whatever would end it (deadline, unknown, retries), and that before whatever would move it on (poll, submit).
 *
 * One rule stands outside the table because it is about every row: a task that does not wait for its turn, or does not
 * use it now, gives it up first. A turn that is kept and not used stops everybody who shares the API key.
 */
import type { TaskEffect } from './effects.ts';
import type { Moment, TaskFacts } from './facts.ts';
import type { TaskPolicy } from './policy.ts';
import { type Decision, type Table, firstOf, inOrder } from '../decision.ts';
import * as holding from './holding.ts';
import * as polling from './polling.ts';
import * as reply from './reply.ts';
import * as submission from './submission.ts';
import {
  type Situation,
  type TaskChoice,
  IDLE,
  msToDeadline,
  msToWatch,
  order,
  situationOf,
  waitForKey,
  wakeIn,
  watchOn,
} from './situation.ts';
import { isFinished } from './transitions.ts';

export type TaskDecision = Decision<TaskEffect>;

interface Row {
  when: (situation: Situation) => boolean;
  choose: (situation: Situation) => TaskChoice;
  /** Waits for the task's turn or uses it. Under any other rule a task keeps nobody of its API key waiting. */
  keepsPlace?: true;
}

/** How often a task that may not enter the journal looks again. */
const JOURNAL_RECHECK_MS = 250;

/** Tried from top to bottom. The name says what is true of a task that gets here, and goes to the log. */
const TABLE: Table<Row> = {
  'a finished task needs nothing': { when: ({ task }) => isFinished(task), choose: () => IDLE },

  // What the provider said to this process, whether it leads or not.
  'a reply to an intent that ended or was replaced changes nothing': {
    when: reply.isReplyToAnother,
    choose: () => order({ kind: 'settleReply', conflict: false }),
  },
  'a reply after the id became known from elsewhere keeps the stored id': {
    when: reply.isReplyToKnown,
    choose: reply.keepStoredID,
  },
  'an accepted id goes into the journal, with others, while requests queue': {
    when: reply.entersJournal,
    choose: reply.enterID,
  },
  'an id that is in the journal, or on its way, goes into status last in line, and before the first poll': {
    when: reply.yields,
    choose: reply.yieldToOthers,
  },
  'an accepted id is recorded at once': { when: reply.isAccepted, choose: reply.recordAccepted },
  'a received result is delivered': {
    when: ({ memory }) => memory.held !== undefined,
    choose: () => order({ kind: 'deliver' }),
  },
  'an own intent that may not be used any more is given up, however old: its call is never made': {
    when: submission.ownsUselessIntent,
    choose: () => order({ kind: 'forgoCall' }),
  },
  'a submission that was not accepted is written back': {
    when: reply.isNotAccepted,
    choose: reply.recordNotAccepted,
  },

  // From here on only the leader acts, and only on a task that stays.
  'a task being deleted starts nothing': {
    when: ({ task }) => task.metadata.deletionTimestamp !== undefined,
    choose: () => IDLE,
  },
  'a standby starts nothing': { when: ({ facts }) => !facts.mayAct, choose: () => IDLE },
  'an entry of the journal is waited for until its write is answered': {
    when: submission.isEntering,
    choose: () => wakeIn(60_000),
    keepsPlace: true,
  },
  'an own intent whose write is in doubt is looked for before anything is started': {
    when: ({ memory }) => memory.intent?.written === false,
    choose: () => order({ kind: 'settleDoubt' }),
    keepsPlace: true,
  },
  'a call under way is waited for': { when: submission.isCalling, choose: () => wakeIn(60_000) },
  'the provider is called once for an own intent while it is fresh': {
    when: submission.ownsFreshIntent,
    choose: () => order({ kind: 'submit' }),
    keepsPlace: true,
  },

  // A dead letter holds it.
  'a confirmed mark holds the task while its letter exists': {
    when: (situation) => holding.hasConfirmedMark(situation) && situation.facts.letter.state === 'present',
    choose: holding.holdForLetter,
  },
  'a confirmed mark whose letter is gone by a quorum read fails the task': {
    when: holding.hasConfirmedMark,
    choose: holding.failWithoutLetter,
  },
  'an unconfirmed mark is left for a while to whoever holds the result': {
    when: holding.hasFreshMark,
    choose: holding.leaveToHolder,
  },
  'an unconfirmed mark is confirmed when its letter exists after all, and dropped when not': {
    when: holding.isMarked,
    choose: holding.confirmOrDrop,
  },

  // The provider's last word on an attempt.
  'a final answer of a poll that is no result ends the attempt or the task': {
    when: polling.isRefused,
    choose: polling.recordRefusal,
  },
  'a task that can never succeed by the word that ended its attempt is not submitted again': {
    when: submission.endedForGood,
    choose: submission.failRejected,
  },

  // Its owner holds it.
  'a suspended task says so, its clock stops and nothing starts': {
    when: ({ task }) => task.spec.suspend,
    choose: holding.saySuspended,
  },
  'a resumed task starts its clock anew': { when: holding.wasSuspended, choose: holding.resume },

  // Its deadline, after one more look at every place where a result may lie.
  'a deadline that passed waits until the operator has watched for a while': {
    when: holding.isLateAndUnwatched,
    choose: (situation) => watchOn(situation),
  },
  'a task with an id is polled once more before its deadline counts': {
    when: (situation) => holding.isOverdue(situation) && polling.needsFinalPoll(situation),
    choose: polling.pollFinally,
  },
  'a solution Secret that the task owns already is looked for before its deadline counts': {
    when: (situation) => holding.isOverdue(situation) && holding.mayOwnSolutionSecret(situation),
    choose: () => order({ kind: 'readSolutionSecret' }),
  },
  'a task that has passed its deadline fails': { when: holding.isOverdue, choose: holding.failOverdue },

  // Nobody knows whether its submission was accepted; or its attempt has ended.
  'an unknown submission says so': { when: submission.hasNotSaidUnknown, choose: submission.sayUnknown },
  'an unknown submission waits for its callback during the grace': {
    when: submission.isInGrace,
    choose: submission.waitForCallback,
  },
  'a second unknown submission fails the task': { when: submission.isUnknownAgain, choose: submission.failUnknown },
  'an attempt that ended fails the task when its retries are used up': {
    when: submission.hasNoRetry,
    choose: submission.failUnsolvable,
  },

  // Accepted: it is polled.
  'an entry with an id is put into status before its task is polled': {
    when: ({ facts }) => facts.entry?.captchaID !== undefined,
    choose: ({ task }) => order({ kind: 'writeStatus', status: { ...task.status } }),
  },
  'a poll that is under way is waited for': { when: polling.isUnderWay, choose: () => wakeIn(60_000) },
  'a task says once that it is being polled, while there is a key to poll it with': {
    when: polling.hasNotSaidPolling,
    choose: polling.sayPolling,
  },
  'an accepted task is polled when it is due': { when: polling.isAccepted, choose: polling.pollWhenDue },

  // Nothing is under way, and nothing holds it: on to its next submission.
  'a task rests after an answer that may concern it alone': {
    when: (situation) => submission.restLeftMs(situation) > 0,
    choose: submission.rest,
  },
  'the API key is read when it is needed': {
    when: ({ facts }) => facts.key.state === 'unread',
    choose: () => order({ kind: 'readKey' }),
    keepsPlace: true,
  },
  'a task without an API key waits and says what is missing': {
    when: ({ facts }) => facts.key.state === 'missing',
    choose: waitForKey,
  },
  'a task whose proxy or image is missing waits and says so': {
    when: (situation) => submission.msToSources(situation) > 0,
    choose: submission.waitForSources,
  },
  'a task that wants to be submitted takes a place in the queue of its key': {
    when: ({ facts }) => facts.lane.ticket === 'none',
    choose: () => order({ kind: 'joinLane' }),
  },
  'a task waits for its turn, and says why when its key is blocked': {
    when: ({ facts }) => facts.lane.ticket !== 'granted',
    choose: submission.waitForTurn,
    keepsPlace: true,
  },
  'proxy, image and long texts are read when it is the turn of the task': {
    when: submission.lacksSources,
    choose: () => order({ kind: 'readSources' }),
    keepsPlace: true,
  },
  'a turn is given up while the journal takes no entry of its namespace, for others may use theirs': {
    when: (situation) => submission.isFirst(situation) && situation.facts.journal === 'barred',
    choose: () => order({ kind: 'leaveLane' }),
    keepsPlace: true,
  },
  'a first submission waits while the journal takes no entry': {
    when: (situation) => submission.isFirst(situation) && situation.facts.journal !== 'open',
    choose: () => wakeIn(JOURNAL_RECHECK_MS),
    keepsPlace: true,
  },
  'the intent is written before the provider is called': {
    when: () => true,
    choose: submission.writeIntent,
    keepsPlace: true,
  },
};

export const TASK_RULES = inOrder(TABLE);

const GIVES_UP: TaskDecision = {
  rule: 'a place or a turn that a task does not use now is given up before anything else',
  effect: { kind: 'leaveLane' },
};

export function decideTask(facts: TaskFacts, moment: Moment, policy: TaskPolicy): TaskDecision {
  const situation = situationOf(facts, moment, policy);
  const rule = firstOf(TASK_RULES, ({ when }) => when(situation));
  if (holdsPlace(situation) && (rule.keepsPlace !== true || facts.lane.ticket === 'elsewhere')) return GIVES_UP;
  if (hasOutlivedTurn(situation)) return GIVES_UP;
  const { effect, wakeInMs: restMs } = rule.choose(situation);
  if (effect !== undefined) return { rule: rule.name, effect };
  const wakeInMs = soonest(restMs, wakeForDeadline(situation));
  return wakeInMs === undefined ? { rule: rule.name } : { rule: rule.name, wakeInMs };
}

/** A place or a turn in a lane that can be given up; a turn whose call is under way ends with the call. */
function holdsPlace({ facts }: Situation): boolean {
  const { ticket } = facts.lane;
  return ticket === 'queued' || ticket === 'granted' || ticket === 'elsewhere';
}

/** Leadership was lost while the proxy or an image was being read for its turn: nobody would use or drop what came. */
function hasOutlivedTurn({ facts, memory }: Situation): boolean {
  return facts.lane.ticket === 'none' && memory.sources?.state === 'ready';
}

function wakeForDeadline(situation: Situation): number | undefined {
  if (isFinished(situation.task) || situation.status?.deadLetter !== undefined || !situation.facts.mayAct)
    return undefined;
  const ms = msToDeadline(situation);
  if (ms === undefined || ms > 0) return ms;
  // Passed, but nobody acts on it before the operator has watched for long enough; a poll may be due much later.
  const watchMs = msToWatch(situation);
  return watchMs > 0 ? Math.min(watchMs, 1_000) : undefined;
}

function soonest(left: number | undefined, right: number | undefined): number | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return Math.min(left, right);
}
