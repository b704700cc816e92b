/**
 * Facts about one task for tests of the rules: a leader that has watched long enough, a key that is there, a free
 * lane. Each test changes what it is about.
 */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { Moment, TaskFacts } from '../../src/core/task/facts.ts';
import type { OwnIntent, TaskMemory } from '../../src/core/task/memory.ts';
import { decideTask, type TaskDecision } from '../../src/core/task/decide.ts';
import { freshMemory } from '../../src/core/task/memory.ts';
import { DEFAULT_POLICY } from '../../src/core/task/policy.ts';
import type { TaskBuilder } from './builders.ts';
import { T0 } from './builders.ts';

/** The monotonic instant that belongs to T0. */
export const MONO0 = 1_000_000;

export type FactsChange = Partial<Omit<TaskFacts, 'task' | 'memory'>> & { memory?: Partial<TaskMemory> };

export function factsOf(task: CaptchaTask, change: FactsChange = {}): TaskFacts {
  const { memory, ...rest } = change;
  return {
    task,
    memory: { ...freshMemory(task.metadata.uid), ...memory },
    journal: 'open',
    record: 'now',
    mayAct: true,
    watchedMs: 60_000,
    actingMs: 60_000,
    key: { state: 'present' },
    lane: { ticket: 'none', pollPauseMs: 0 },
    letter: { state: 'absent' },
    pingback: { kind: 'none' },
    callbacks: { silent: false, refused: false },
    intentName: 'operator-a/1',
    mayWriteWaiting: true,
    ...rest,
  };
}

/** So many milliseconds after T0, on both clocks. */
export function at(ms: number, random = 0.5): Moment {
  return { now: T0 + ms, mono: MONO0 + ms, random };
}

/** What is decided about this task `ms` after T0. */
export function decideAt(builder: TaskBuilder, ms: number, change: FactsChange = {}): TaskDecision {
  return decideTask(factsOf(builder.build(), change), at(ms), DEFAULT_POLICY);
}

export const kind = ({ effect }: TaskDecision) => effect?.kind;
/** The status that the decision writes, if it writes one. */
export const statusOf = ({ effect }: TaskDecision) =>
  effect !== undefined && 'status' in effect ? effect.status : undefined;
export const reasonOf = (decision: TaskDecision) => statusOf(decision)?.conditions?.[0]?.reason;

/** The process that decides, as its intents name it. */
export const BY = 'operator-a/1';
/** An intent of this process, written at T0 and not used yet. */
export const own = (change: Partial<OwnIntent> = {}): OwnIntent => ({
  by: BY,
  attempt: 1,
  sentMono: MONO0,
  written: true,
  call: 'notSent',
  ...change,
});
/** The same, its call over so many milliseconds after T0. */
export const ended = (ms: number): OwnIntent => own({ call: 'ended', endedMono: MONO0 + ms });
