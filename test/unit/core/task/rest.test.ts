/**
 * Whatever state a task is in: as long as nothing around it changes, a few writes say all there is to say, and then it
 * rests until an instant that it names. Rules that undo each other would write for ever, and a rule that forgets to
 * name the instant would forget the task.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CaptchaTaskSpec } from '../../../../src/api/captchatask.ts';
import type { TaskDecision } from '../../../../src/core/task/decide.ts';
import type { TaskMemory } from '../../../../src/core/task/memory.ts';
import type { TaskBuilder } from '../../../support/builders.ts';
import { UNKNOWN_REASONS } from '../../../../src/api/names.ts';
import { decideTask } from '../../../../src/core/task/decide.ts';
import * as memories from '../../../../src/core/task/memory.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { sameJson } from '../../../../src/core/task/patch.ts';
import { isFinished, markDropped, pollDue } from '../../../../src/core/task/transitions.ts';
import { T0, aTask } from '../../../support/builders.ts';
import { type FactsChange, MONO0, at, factsOf } from '../../../support/facts.ts';

/** Reading its letter, polling or submitting a task is no write; saying why it waits, or its end, is one each. */
const MAX_WRITES = 4;
/** These are woken by others: by a change of their spec, and by the lane. */
const WOKEN_BY_OTHERS = [
  'a suspended task says so, its clock stops and nothing starts',
  'a task waits for its turn, and says why when its key is blocked',
];

type Step = (task: TaskBuilder, ms: number) => TaskBuilder;

type Status = NonNullable<ReturnType<TaskBuilder['build']>['status']>;

/** A step that is taken only where the status allows it. */
function where(allows: (status: Status) => boolean, step: Step): Step {
  return (task, ms) => (allows(task.build().status ?? {}) ? step(task, ms) : task);
}
const isOpen = ({ submission }: Status) => submission !== undefined && submission.endTime === undefined;
const isUnanswered = (status: Status) => isOpen(status) && status.submission?.captchaID === undefined;
const isMarked = ({ deadLetter }: Status) => deadLetter !== undefined;

const codes = fc.constantFrom('ERROR_CAPTCHA_UNSOLVABLE', 'ERROR_BAD_PROXY', 'ERROR_BAD_TOKEN_OR_PAGEURL', 'UNLISTED');
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom(...UNKNOWN_REASONS).map(
    (reason): Step =>
      (task, ms) =>
        task.waiting(reason, T0 + ms),
  ),
  fc.record({ by: fc.constantFrom('operator-a/1', 'operator-b/1'), pingback: fc.boolean() }).map(
    (intent): Step =>
      (task, ms) =>
        task.intended(T0 + ms, intent),
  ),
  fc
    .constantFrom(0, 120_000)
    .map((after) => where(isUnanswered, (task, ms) => task.submitted(T0 + ms, { pollAfter: T0 + ms + after }))),
  fc.constant(where(isUnanswered, (task, ms) => task.notAccepted('ProviderBusy', T0 + ms))),
  codes.map((code) => where(isOpen, (task, ms) => task.attemptEnded(code, T0 + ms))),
  fc.constant(where(isOpen, (task, ms) => task.status(pollDue(task.build(), T0 + ms)))),
  fc.constant<Step>((task, ms) => task.marked('letter', T0 + ms)),
  fc.constant(where(isMarked, (task, ms) => task.markConfirmed(T0 + ms))),
  fc.constant(where(isMarked, (task, ms) => task.status(markDropped(task.build(), T0 + ms)))),
  fc.boolean().map(
    (suspend): Step =>
      (task) =>
        task.spec({ suspend }),
  ),
);

const specs: fc.Arbitrary<Partial<CaptchaTaskSpec>> = fc.record({
  backoffLimit: fc.constantFrom(0, 1, 3),
  callbackTimeoutSeconds: fc.constantFrom(0, 120),
  activeDeadlineSeconds: fc.constantFrom(1, 600),
  suspend: fc.constantFrom(false, false, false, true),
  captcha: fc.constantFrom(
    { type: 'RecaptchaV2' as const, recaptchaV2: { siteKey: 'k', pageURL: 'https://a.example' } },
    { type: 'GeeTestV3' as const, geeTestV3: { gt: 'a', challenge: 'b', pageURL: 'https://a.example' } },
  ),
});

const missing = { state: 'missing', message: 'Secret "a" does not exist.' } as const;
const keys = fc.constantFrom<NonNullable<FactsChange['key']>>(
  { state: 'present' },
  { state: 'present' },
  { state: 'present' },
  { ...missing, retryInMs: 5_000 },
  { ...missing, retryInMs: 400, unreadForMs: 100 },
  { ...missing, retryInMs: 5_000, unreadForMs: 60_000 },
);
const blockages = fc.record({
  reason: fc.constantFrom('ProviderBusy' as const, 'KeyRejected' as const, 'Pending' as const),
  message: fc.constantFrom('All threads of the account are in use.', 'The provider refuses this API key for now.'),
});
const arounds: fc.Arbitrary<Omit<FactsChange, 'memory'>> = fc.record({
  watchedMs: fc.constantFrom(0, 60_000),
  actingMs: fc.constantFrom(0, 60_000, 1_000_000),
  key: keys,
  lane: fc.record(
    {
      ticket: fc.constantFrom('none' as const, 'none' as const, 'queued' as const, 'granted' as const),
      pollPauseMs: fc.constantFrom(0, 5_000),
      blockage: blockages,
    },
    { requiredKeys: ['ticket', 'pollPauseMs'] },
  ),
  letter: fc.oneof(
    fc.constant({ state: 'absent' as const }),
    fc.constantFrom('Pending' as const, 'Abandoned' as const).map((phase) => ({ state: 'present' as const, phase })),
  ),
});

/** What this process may remember of the task; `now` is the instant of all decisions. */
const memoryOf = (task: TaskBuilder, nowMs: number): fc.Arbitrary<TaskMemory> => {
  const built = task.build();
  const { submission, deadLetter } = built.status ?? {};
  const sighted = memories.sighted(memories.freshMemory(built.metadata.uid), built, MONO0 - 100_000);
  const own = { by: 'operator-a/1', attempt: 1, sentMono: MONO0, written: true };
  const change = fc.record<Partial<TaskMemory>>(
    {
      waitingSinceMono: fc.constantFrom(MONO0, MONO0 + nowMs - 100),
      solutionSecretRead: fc.boolean(),
      intent: fc.constantFrom('notSent' as const, 'ended' as const, 'ended' as const).map((call) => ({ ...own, call })),
      sources: fc.constantFrom({}, { unreadSinceMono: MONO0 + nowMs - 200 }).map((unread) => ({
        state: 'missing' as const,
        message: 'Secret "p" does not exist.',
        readMono: MONO0 + nowMs - 100,
        ...unread,
      })),
      ...(deadLetter === undefined
        ? {}
        : {
            letter: fc.constantFrom('absent' as const, 'present' as const).map((state) => ({
              mark: memories.markKey(deadLetter),
              state,
              readMono: MONO0 + nowMs - 10,
            })),
          }),
    },
    { requiredKeys: ['solutionSecretRead'] },
  );
  const poll = fc.record({
    booked: fc.constant(false),
    underWay: fc.boolean(),
    failures: fc.constant(0),
    pending: fc.boolean(),
    finalTries: fc.constantFrom(0, 3),
    finalDone: fc.boolean(),
    after: fc.constant(submission?.pollAfterTime ?? ''),
    nextMono: fc.constantFrom(MONO0 + nowMs - 1, MONO0 + nowMs + 5_000),
  });
  return fc.tuple(change, poll).map(([known, polls]) => ({ ...sighted, ...known, poll: polls }));
};

const lives: fc.Arbitrary<(task: TaskBuilder) => TaskBuilder> = fc.constantFrom(
  (task) => task,
  (task) => task.waiting('Pending', T0),
  (task) => task.intended(T0),
  (task) => task.intended(T0).submitted(T0),
  (task) => task.intended(T0).submitted(T0),
  (task) => task.intended(T0, { pingback: false }).submitted(T0, { pollAfter: T0 + 5_000 }),
);

const states = fc
  .record({
    life: lives,
    spec: specs,
    steps: fc.array(fc.tuple(steps, fc.nat(100_000)), { maxLength: 4 }),
    nowMs: fc.nat(900_000),
  })
  .map(({ nowMs, ...drawn }) => {
    const task = drawn.steps.reduce((before, [step, ms]) => step(before, ms), drawn.life(aTask().spec(drawn.spec)));
    return { task, nowMs };
  })
  .chain(({ task, nowMs }) =>
    fc.record({ task: fc.constant(task), nowMs: fc.constant(nowMs), memory: memoryOf(task, nowMs), around: arounds }),
  );

/** Decides for as long as the decision is a write, or gives up a place, and answers with the last decision. */
function settle(state: { task: TaskBuilder; nowMs: number; memory: TaskMemory; around: FactsChange }) {
  let { memory, around } = state;
  let task = state.task.build();
  const written: string[] = [];
  for (;;) {
    const decision = decideTask(factsOf(task, { ...around, memory }), at(state.nowMs), DEFAULT_POLICY);
    const { effect } = decision;
    if (effect?.kind === 'leaveLane') {
      around = { ...around, lane: { pollPauseMs: 0, ...around.lane, ticket: 'none' } };
      continue;
    }
    if (effect?.kind !== 'writeStatus') return { task, decision, written };
    written.push(decision.rule);
    expect(sameJson(task.status, effect.status), `${decision.rule}: writes what is there already`).toBe(false);
    expect(written.length, written.join(' | ')).toBeLessThanOrEqual(MAX_WRITES);
    task = { ...task, status: effect.status };
    memory = memories.sighted(memory, task, MONO0 + state.nowMs);
  }
}

function namesItsInstant({ rule, effect, wakeInMs }: TaskDecision): boolean {
  return effect !== undefined || wakeInMs !== undefined || WOKEN_BY_OTHERS.includes(rule);
}

test('as long as nothing around it changes, a task is written a few times at most, and then rests until a named instant', () => {
  fc.assert(
    fc.property(states, (state) => {
      const { task, decision } = settle(state);
      if (!isFinished(task)) expect(namesItsInstant(decision), decision.rule).toBe(true);
    }),
    { numRuns: 10_000 },
  );
});
