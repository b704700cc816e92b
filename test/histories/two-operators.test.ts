/**
 * Two operators over one task, in thousands of random histories: both may believe that they lead, caches lag, replies
 * are lost, processes pause and die between any two steps. The rules and the memory are the product's; API and provider
 * are models. What must hold: the provider never accepts the same attempt twice, no attempt is sent that another has
 * replaced, every paid submission beyond the first is counted as unknown, and the task ends.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CaptchaTask, CaptchaTaskStatus } from '../../src/api/captchatask.ts';
import type { SubmitOutcome } from '../../src/core/outcome.ts';
import type { TaskEffect } from '../../src/core/task/effects.ts';
import { decideTask } from '../../src/core/task/decide.ts';
import * as memories from '../../src/core/task/memory.ts';
import { DEFAULT_POLICY } from '../../src/core/task/policy.ts';
import { isFinished, solved, submitted } from '../../src/core/task/transitions.ts';
import { formatTime } from '../../src/core/task/times.ts';
import { T0, aTask } from '../support/builders.ts';
import { factsOf } from '../support/facts.ts';

interface Process {
  boot: number;
  leads: boolean;
  cache: CaptchaTask;
  memory: memories.TaskMemory;
  intents: number;
  /** The rest of a step that was begun: what happens when the process runs on. */
  rest: (() => void) | undefined;
  holdsTurn: boolean;
}

interface Call {
  process: Process;
  boot: number;
  attempt: number;
  by: string;
  accepted?: string;
}

class Breach extends Error {}

function newer(process: Process, copy: CaptchaTask): void {
  if (Number(copy.metadata.resourceVersion) > Number(process.cache.metadata.resourceVersion)) process.cache = copy;
}

function createHistory(seedTask: CaptchaTask) {
  let mono = 1_000_000;
  let stored = seedTask;
  const versions = [stored];
  const calls: Call[] = [];
  const ledger: { attempt: number; id: string }[] = [];
  const boot = (number: number): Process => ({
    boot: number,
    leads: true,
    cache: stored,
    memory: memories.freshMemory(stored.metadata.uid),
    intents: 0,
    rest: undefined,
    holdsTurn: false,
  });
  const processes = [boot(1), boot(1)];
  const now = (): number => T0 + (mono - 1_000_000);

  /** A PUT that is checked against the version of the copy it was decided on. */
  function put(task: CaptchaTask, status: CaptchaTaskStatus): CaptchaTask | undefined {
    if (task.metadata.resourceVersion !== stored.metadata.resourceVersion) return undefined;
    const resourceVersion = String(Number(stored.metadata.resourceVersion) + 1);
    stored = { ...stored, metadata: { ...stored.metadata, resourceVersion }, status };
    versions.push(stored);
    return stored;
  }

  interface Order {
    process: Process;
    task: CaptchaTask;
    replyLost: boolean;
  }
  type Change = (memory: memories.TaskMemory) => memories.TaskMemory;
  type Carriers = {
    [Kind in TaskEffect['kind']]?: (order: Order, effect: Extract<TaskEffect, { kind: Kind }>) => void;
  };

  /** The reply is taken in by the next step of the process; until then it may die. */
  function write(
    { process, task, replyLost }: Order,
    status: CaptchaTaskStatus,
    settle: Change = (memory) => memory,
  ): void {
    const written = put(task, status);
    process.rest = () => {
      newer(process, stored);
      if (written !== undefined && !replyLost) process.memory = settle(process.memory);
    };
  }

  const carriers: Carriers = {
    writeStatus: (order, { status }) => write(order, status),
    recordReply: (order, { status }) => write(order, status, (memory) => memories.replySettled(memory)),
    recordRefusal: (order, { status }) => write(order, status, memories.refusalSettled),
    settleReply: ({ process }) => void (process.memory = memories.replySettled(process.memory)),
    writeIntent({ process, task, replyLost }, { by, status }) {
      process.intents += 1;
      const intent = { by, attempt: status.attempts ?? 1, sentMono: mono };
      process.memory = memories.intentSent(process.memory, intent);
      const written = put(task, status);
      process.rest = () => {
        newer(process, stored);
        const known = (written !== undefined && !replyLost) || stored.status?.submission?.intentBy === by;
        process.memory = known ? memories.intentWritten(process.memory) : memories.intentDropped(process.memory);
      };
    },
    submit({ process, task }) {
      const attempt = task.status?.attempts ?? 0;
      if ((stored.status?.attempts ?? 0) > attempt) throw new Breach('a replaced attempt is sent');
      process.holdsTurn = false;
      process.memory = memories.callSent(process.memory);
      calls.push({ process, boot: process.boot, attempt, by: task.status?.submission?.intentBy ?? '' });
    },
    forgoCall({ process }) {
      process.holdsTurn = false;
      process.memory = memories.callForgone(process.memory, mono);
    },
    joinLane: ({ process }) => void (process.holdsTurn = true),
    leaveLane: ({ process }) => void (process.holdsTurn = false),
    poll({ process, task }) {
      process.memory = memories.pollWanted(process.memory, task.status?.submission, mono + 10_000);
    },
  };

  function carryOut(order: Order, effect: TaskEffect): void {
    const carry = carriers[effect.kind] as ((order: Order, effect: TaskEffect) => void) | undefined;
    if (carry === undefined) throw new Breach(`unexpected ${effect.kind}`);
    carry(order, effect);
  }

  function step(process: Process, replyLost: boolean): void {
    if (process.rest !== undefined) {
      const { rest } = process;
      process.rest = undefined;
      rest();
      return;
    }
    process.memory = memories.sighted(process.memory, process.cache, mono);
    const facts = factsOf(process.cache, {
      memory: process.memory,
      mayAct: process.leads,
      lane: { ticket: process.holdsTurn ? 'granted' : 'none', pollPauseMs: 0 },
      pingback: { kind: 'url', url: 'https://callback.example' },
      intentName: `${processes.indexOf(process)}-${process.boot}/${process.intents + 1}`,
    });
    const { effect } = decideTask(facts, { now: now(), mono, random: 0.5 }, DEFAULT_POLICY);
    if (effect !== undefined) carryOut({ process, task: process.cache, replyLost }, effect);
  }

  /** The provider takes a call and is paid, or refuses it, and answers; or its answer finds nobody. */
  function serve(index: number, answer: 'accept' | 'busy' | 'reset'): void {
    const call = calls[index % Math.max(1, calls.length)];
    if (call === undefined) return;
    if (answer !== 'busy' && call.accepted === undefined) {
      call.accepted = String(1_000 + ledger.length);
      if (ledger.some((paid) => paid.attempt === call.attempt)) throw new Breach(`attempt ${call.attempt} paid twice`);
      ledger.push({ attempt: call.attempt, id: call.accepted });
    }
    calls.splice(calls.indexOf(call), 1);
    if (call.boot !== call.process.boot) return;
    const outcome: SubmitOutcome =
      answer === 'accept'
        ? { kind: 'accepted', captchaID: call.accepted ?? '' }
        : answer === 'busy'
          ? { kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' }
          : { kind: 'unknown', cause: 'reset' };
    call.process.memory = memories.callEnded(call.process.memory, { by: call.by, outcome }, mono);
  }

  /** The sidecar applies the result of a paid attempt. */
  function callBack(index: number): void {
    const paid = ledger[index % Math.max(1, ledger.length)];
    if (paid === undefined || isFinished(stored)) return;
    const { attempt, id: captchaID } = paid;
    const receivedTime = formatTime(now());
    put(stored, solved(stored, { value: 'v', source: 'Callback', attempt, captchaID, receivedTime }, now()));
  }

  /** The sidecar learns the id of the current attempt from a callback that is only a hint. */
  function hint(): void {
    const submission = stored.status?.submission;
    const paid = ledger.find(({ attempt }) => attempt === submission?.attempt);
    const takes = paid !== undefined && !isFinished(stored) && submission?.endTime === undefined;
    if (takes && submission?.captchaID === undefined) put(stored, submitted(stored, paid.id, now(), now()));
  }

  return {
    processes,
    step: (which: number, replyLost: boolean) => step(processes[which] as Process, replyLost),
    serve,
    callBack,
    hint,
    wait: (ms: number) => void (mono += ms),
    observe: (which: number, behind: number) =>
      newer(processes[which] as Process, versions.at(-1 - Math.min(behind, versions.length - 1)) as CaptchaTask),
    lead: (which: number, leads: boolean) => void ((processes[which] as Process).leads = leads),
    restart(which: number) {
      processes[which] = boot((processes[which] as Process).boot + 1);
    },
    ledger,
    calls,
    stored: () => stored,
  };
}

type History = ReturnType<typeof createHistory>;
const which = fc.nat(1);
const act = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.tuple(which, fc.boolean()).map(
      ([who, lost]) =>
        (h: History) =>
          h.step(who, lost),
    ),
  },
  {
    weight: 10,
    arbitrary: fc
      .tuple(fc.nat(3), fc.constantFrom('accept' as const, 'accept' as const, 'busy' as const, 'reset' as const))
      .map(
        ([n, answer]) =>
          (h: History) =>
            h.serve(n, answer),
      ),
  },
  {
    weight: 8,
    arbitrary: fc.tuple(which, fc.nat(2)).map(
      ([who, behind]) =>
        (h: History) =>
          h.observe(who, behind),
    ),
  },
  {
    weight: 8,
    arbitrary: fc.constantFrom(50, 900, 4_999, 5_000, 16_000, 61_000).map((ms) => (h: History) => h.wait(ms)),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(which, fc.boolean()).map(
      ([who, leads]) =>
        (h: History) =>
          h.lead(who, leads),
    ),
  },
  { weight: 2, arbitrary: which.map((who) => (h: History) => h.restart(who)) },
  {
    weight: 1,
    arbitrary: fc.nat(3).map((n) => (h: History) => (n === 0 ? h.callBack(n) : h.hint())),
  },
);

/** Everything heals: one leader, fresh caches, a provider that answers, and callbacks for what was paid. */
function settle(history: History): void {
  history.lead(0, true);
  history.lead(1, false);
  for (let round = 0; round < 400 && !isFinished(history.stored()); round += 1) {
    for (const one of [0, 1]) {
      history.observe(one, 0);
      history.step(one, false);
    }
    if (round % 5 === 4) history.serve(0, 'accept');
    if (round > 300) history.callBack(round);
    history.wait(1_000);
  }
}

test('two operators never have the same attempt accepted twice, and every further payment is counted as unknown', () => {
  const task = aTask().spec({ activeDeadlineSeconds: 86_400, callbackTimeoutSeconds: 86_400 }).build();
  fc.assert(
    fc.property(fc.array(act, { minLength: 20, maxLength: 150 }), (acts) => {
      const history = createHistory(task);
      for (const one of acts) one(history);
      settle(history);
      const { status } = history.stored();
      expect(isFinished(history.stored())).toBe(true);
      expect(history.ledger.length - 1).toBeLessThanOrEqual(status?.unknownSubmissions ?? 0);
      expect(history.ledger.length).toBeLessThanOrEqual(2);
    }),
    { numRuns: 3_000 },
  );
});
