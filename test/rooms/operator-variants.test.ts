/**
 * One task of every captcha type through the running task controller and our own client, against each provider that
 * the simulator can be: it is solved with the right value and the agent it is bound to, and paid for once. Where a
 * variant leaves no result to be had, the task says so as documented. Time passes while nobody waits for a reply.
 */
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { summaryOf } from '../../src/core/task/conditions.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import { DIALECTS, type Dialect } from '../../dev/simulator/switches.ts';
import { createProviderClient } from '../../src/provider/client.ts';
import { T0, aTask } from '../support/builders.ts';
import { AGENT, KINDS, KIND_PROXY, isResult, type Kind } from '../support/captcha-kinds.ts';
import { SLOWLY, VARIANTS, expectedOutcomes } from '../support/provider-variants.ts';
import { startStage, type Stage } from '../support/task-controller.ts';

const toFake = ['Date', 'performance', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const;
beforeEach(() => vi.useFakeTimers({ now: T0, toFake: [...toFake] }));

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  vi.useRealTimers();
});

/** Long enough for those whose key rests after every unreadable reply, one call at a time. */
const DEADLINE_SECONDS = 3_600;
const LONGEST_MS = (DEADLINE_SECONDS + 100) * 1_000;
const STEP_MS = 250;
const NEED_PROXY = new Set(['CaptchaFox', 'CloudflareChallenge']);
const objectName = (kind: string): string => kind.toLowerCase().replaceAll(' ', '-');

/** What a task says at its end, in the words of the condition and the failure. */
const ENDS: Readonly<Record<string, object>> = {
  solved: { reason: 'Solved', attempts: 1 },
  'solved, no agent': { reason: 'Solved', attempts: 1 },
  unreadable: { reason: 'Unsolvable', attempts: 1, class: 'Retriable', code: 'UNREADABLE_ANSWER' },
  'refused: permanent': { reason: 'ProviderRejected', attempts: 1, class: 'Permanent' },
  'unknown: unreadable': { reason: 'SubmissionUnknown', attempts: 2, class: 'Unknown' },
};
/** Its challenge works once: it is never submitted again. */
const ONE_ATTEMPT_ONLY = 'GeeTestV3';

function wantedEnd(name: string, outcome: string): unknown {
  const end = ENDS[outcome];
  if (end === undefined) throw new Error(`no end is named for "${outcome}"`);
  return expect.objectContaining(name === ONE_ATTEMPT_ONLY ? { ...end, attempts: 1 } : end);
}

function endOf({ status }: CaptchaTask): object {
  const { attempts, failure } = status ?? {};
  return { reason: summaryOf(status)?.reason, attempts, class: failure?.class, code: failure?.code };
}

/** Lets time pass, in small steps and only while no call is under way, until every task has ended. */
async function untilAllEnded(
  stage: Stage,
  underWay: () => number,
  onTime: (passedMs: number) => void,
): Promise<CaptchaTask[]> {
  const names = Object.keys(KINDS).map(objectName);
  for (let passedMs = 0; passedMs < LONGEST_MS; passedMs += STEP_MS) {
    onTime(passedMs);
    do await setImmediate();
    while (underWay() > 0);
    const tasks = names.flatMap((name) => stage.task(name) ?? []);
    if (tasks.every(({ status }) => status?.completionTime !== undefined)) return tasks;
    await vi.advanceTimersByTimeAsync(STEP_MS);
  }
  throw new Error('a task has not ended');
}

interface Solved {
  tasks: CaptchaTask[];
  simulator: Simulator;
}

async function solveAll(
  dialect: Dialect,
  switches: object,
  onTime: (stage: Stage, passedMs: number) => void = () => {},
): Promise<Solved> {
  const simulator = await startSimulator({ dialect, switches, answerAfterMs: 5 });
  closers.push(() => simulator.stop());
  const client = createProviderClient({ baseUrl: simulator.url });
  closers.push(() => client.close());
  let underWay = 0;
  const counted = async <T>(call: Promise<T>): Promise<T> => {
    underWay += 1;
    return await call.finally(() => (underWay -= 1));
  };
  const starting = startStage({
    mintPingback: undefined,
    provider: {
      submit: (request, options) => counted(client.submit(request, options)),
      poll: (request, options) => counted(client.poll(request, options)),
      threads: (request, options) => counted(client.threads(request, options)),
    },
  });
  await vi.advanceTimersByTimeAsync(10);
  const stage = await starting;
  closers.push(async () => {
    const stopping = stage.controller.stop({ drainMs: 0 });
    await vi.advanceTimersByTimeAsync(10_000);
    await stopping;
  });
  for (const [index, [name, { captcha }]] of Object.entries(KINDS).entries()) {
    const proxy = NEED_PROXY.has(captcha.type) ? { proxy: KIND_PROXY } : {};
    const uid = `b7b2a1c0-0000-4000-8000-${String(index).padStart(12, '0')}`;
    stage.apply(
      aTask()
        .named(objectName(name))
        .uid(uid)
        .spec({ captcha, ...proxy, activeDeadlineSeconds: DEADLINE_SECONDS }),
    );
  }
  const tasks = await untilAllEnded(
    stage,
    () => underWay,
    (passedMs) => onTime(stage, passedMs),
  );
  return { tasks, simulator };
}

function expectResult(kind: Kind, outcome: string, { status }: CaptchaTask): void {
  const { captchaID = '', value, userAgent } = status?.solution ?? {};
  if (!outcome.startsWith('solved')) return expect(value).toBeUndefined();
  expect(isResult(kind, captchaID, value), value).toBe(true);
  if (kind.agent === true) expect(userAgent).toBe(outcome === 'solved' ? AGENT : undefined);
}

async function expectEnds(dialect: Dialect, switches: object, variant?: string): Promise<void> {
  const { tasks, simulator } = await solveAll(dialect, switches);
  const outcomes = expectedOutcomes(dialect, variant);
  const found = Object.keys(KINDS).map((name, index) => [name, endOf(tasks[index] as CaptchaTask)]);
  const wanted = Object.keys(KINDS).map((name) => [name, wantedEnd(name, outcomes[name] ?? '')]);
  expect(found).toEqual(wanted);
  for (const [index, [name, kind]] of Object.entries(KINDS).entries())
    expectResult(kind, outcomes[name] ?? '', tasks[index] as CaptchaTask);
  const { paid } = await simulator.control.totals();
  const refused = Object.values(outcomes).filter((outcome) => outcome.startsWith('refused')).length;
  const attempts = tasks.reduce((sum, { status }) => sum + (status?.attempts ?? 0), 0);
  expect(paid).toBe(attempts - refused);
}

const QUICKLY = VARIANTS.filter(([name, value]) => name !== SLOWLY[0] || value !== SLOWLY[1]);

describe.each(DIALECTS)('with the provider in the dialect %s', (dialect) => {
  test('every task is solved, and paid for once', async () => {
    await expectEnds(dialect, {});
  });

  test.each(QUICKLY)(
    'with %s=%s every task comes to its documented end, and none is paid twice',
    async (name, value) => {
      await expectEnds(dialect, { [name]: value }, `${name}=${value}`);
    },
  );

  test('whose polls take no body every task is solved late, for other submissions show that the key is good', async () => {
    const [name, value] = SLOWLY;
    const v2 = KINDS['v2'] as Kind;
    const { tasks } = await solveAll(dialect, { [name]: value }, (stage, passedMs) => {
      const minute = passedMs / 60_000;
      if (!Number.isInteger(minute)) return;
      const uid = `c7b2a1c0-0000-4000-8000-${String(minute).padStart(12, '0')}`;
      stage.apply(aTask().named(`later-${minute}`).uid(uid).spec({ captcha: v2.captcha }));
    });
    expect(tasks.map(({ status }) => status?.attempts)).toEqual(tasks.map(() => 1));
    const outcomes = expectedOutcomes(dialect);
    for (const [index, [kindName, kind]] of Object.entries(KINDS).entries())
      expectResult(kind, outcomes[kindName] ?? '', tasks[index] as CaptchaTask);
  });
});
