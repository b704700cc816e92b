/**
 * What is to be done about one task now: an ordered table of named rules, first match wins. Read from top to bottom it
 * is sections 3 to 7 of the contract. `controllers/loop` calls it after every gather; it looks at nothing but its
 * arguments, so a history of facts can be replayed through it.
 *
 * Order matters twice. What the provider said is recorded before anything is decided (a reply forgotten is money
 * lost), and that part works without leadership. Then whatever holds the task (letter, suspension) comes before
 * whatever would end it (deadline, unknown, retries), and that before whatever would move it on (poll, submit).
 *
 * One rule stands outside the table because it is about every row: a task that does not wait for its turn, or does not
 * use it now, gives it up first. A turn kept in vain stops everybody who shares the API key.
 */
import type { Decision } from '../decision.ts';
import type { TaskEffect } from './effects.ts';
import type { Moment, TaskFacts } from './facts.ts';
import type { TaskPolicy } from './policy.ts';
import { DEADLINE_RULES, RETRY_RULES, UNRESOLVED_RULES } from './ending.ts';
import { LETTER_RULES, SUSPEND_RULES } from './holding.ts';
import { ADMISSION_RULES, POLL_RULES } from './progress.ts';
import { LAST_WORD_RULES, REFUSAL_RULES, REPLY_RULES } from './replies.ts';
import {
  IDLE,
  type Rule,
  type Situation,
  holdsPlace,
  msToDeadline,
  msToWatch,
  order,
  ownsFreshIntent,
  situationOf,
  wakeIn,
} from './situation.ts';
import { isFinished } from './transitions.ts';

export type TaskDecision = Decision<TaskEffect>;

export const TASK_RULES: readonly Rule[] = [
  { name: 'a finished task needs nothing', when: ({ task }) => isFinished(task), choose: () => IDLE },
  ...REPLY_RULES,
  {
    name: 'a received result is delivered',
    when: ({ memory }) => memory.held !== undefined,
    choose: () => order({ kind: 'deliver' }),
  },
  ...REFUSAL_RULES,
  {
    name: 'a task being deleted starts nothing',
    when: ({ task }) => task.metadata.deletionTimestamp !== undefined,
    choose: () => IDLE,
  },
  { name: 'a standby starts nothing', when: ({ facts }) => !facts.mayAct, choose: () => IDLE },
  {
    name: 'a call under way is waited for',
    when: ({ memory, open }) => memory.intent?.call === 'underWay' && open?.intentBy === memory.intent.by,
    choose: () => wakeIn(60_000),
  },
  {
    name: 'the provider is called once for an own intent while it is fresh',
    when: ownsFreshIntent,
    choose: () => order({ kind: 'submit' }),
    keepsPlace: true,
  },
  ...LETTER_RULES,
  ...LAST_WORD_RULES,
  ...SUSPEND_RULES,
  ...DEADLINE_RULES,
  ...UNRESOLVED_RULES,
  ...RETRY_RULES,
  ...POLL_RULES,
  ...ADMISSION_RULES,
];

const GIVES_UP: TaskDecision = {
  rule: 'a place or a turn that a task does not use now is given up before anything else',
  effect: { kind: 'leaveLane' },
};

export function decideTask(facts: TaskFacts, moment: Moment, policy: TaskPolicy): TaskDecision {
  const situation = situationOf(facts, moment, policy);
  for (const rule of TASK_RULES) {
    if (!rule.when(situation)) continue;
    if (holdsPlace(situation) && (rule.keepsPlace !== true || facts.lane.ticket === 'elsewhere')) return GIVES_UP;
    const choice = rule.choose(situation);
    if (choice.effect !== undefined) return { rule: rule.name, effect: choice.effect };
    const wakeInMs = soonest(choice.wakeInMs, wakeForDeadline(situation));
    return { rule: rule.name, ...(wakeInMs === undefined ? {} : { wakeInMs }) };
  }
  throw new Error('the last rule of the table matches everything');
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
