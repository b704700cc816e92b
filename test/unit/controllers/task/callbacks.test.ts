/**
 * A provider whose callbacks do not come, come back, or whose account refuses to be given a callback URL: what the
 * running controller makes of it, on a clock that passes when a test lets it.
 */
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { TaskControllerOptions } from '../../../../src/controllers/task/index.ts';
import type { PollOutcome, SubmitOutcome } from '../../../../src/core/outcome.ts';
import type { SubmitRequest } from '../../../../src/provider/client.ts';
import type { EventRecord } from '../../../../src/kube/events.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import { pollDue, solved } from '../../../../src/core/task/transitions.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { summaryOf } from '../../../../src/core/task/conditions.ts';
import { aTask } from '../../../support/builders.ts';
import { startStage } from '../../../support/task-controller.ts';

const toFake = ['Date', 'performance', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const;
beforeEach(() => vi.useFakeTimers({ now: Date.parse('2026-01-01T12:00:00Z'), toFake: [...toFake] }));
afterEach(async () => {
  const stopping = stage.controller.stop({ drainMs: 0 });
  await vi.advanceTimersByTimeAsync(3_000);
  await stopping;
  vi.useRealTimers();
});

/** A reCAPTCHA v3 takes the provider so long. */
const SOLVING_MS = 5_000;
const V3 = { type: 'RecaptchaV3', recaptchaV3: { siteKey: 'site-key', pageURL: 'https://example.com/' } } as const;
const API_KEY = 'x'.repeat(32);

interface Order {
  carried: boolean;
  solvedAt: number;
  readAt?: number;
}

let stage: Stage;
let gauges: Map<string, () => number>;
let events: EventRecord[];
/** What the provider accepted, and was paid for, by id. */
let orders: Map<string, Order>;
/** Undefined: it accepts. */
let refusal: (request: SubmitRequest) => SubmitOutcome | undefined;

async function start(change: Partial<TaskControllerOptions> = {}): Promise<void> {
  gauges = new Map();
  events = [];
  orders = new Map();
  refusal = () => undefined;
  const starting = startStage({
    metrics: {
      inc: () => {},
      observe: () => {},
      gauge: (name, fill) => {
        gauges.set(name, () => {
          let value = 0;
          fill((_labels, found) => void (value = found));
          return value;
        });
      },
    },
    events: { record: (event) => void events.push(event) },
    ownKey: { value: API_KEY },
    ...change,
  });
  await vi.advanceTimersByTimeAsync(10);
  stage = await starting;
  stage.answer = (request) => {
    const refused = refusal(request);
    if (refused !== undefined) return refused;
    const captchaID = String(1_001 + orders.size);
    orders.set(captchaID, { carried: request.pingback !== undefined, solvedAt: Date.now() + SOLVING_MS });
    return { kind: 'accepted', captchaID };
  };
  stage.pollAnswer = (captchaID): PollOutcome => {
    const order = orders.get(captchaID);
    if (order === undefined || order.solvedAt > Date.now()) return { kind: 'pending' };
    order.readAt = Date.now();
    return { kind: 'solved', value: `token-${captchaID}` };
  };
}

/** Time passes, and everything that follows has happened. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    await turns(12);
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await setImmediate();
}

let tasks = 0;
async function apply(count: number, spec = {}): Promise<string[]> {
  const names = Array.from({ length: count }, () => `task-${(tasks += 1)}`);
  for (const name of names) {
    stage.apply(
      aTask()
        .created(Date.now())
        .named(name)
        .uid(`uid-${name}`)
        .spec({ captcha: V3, ...spec }),
    );
  }
  // A write of the journal waits some milliseconds for the one before it.
  for (let step = 0; step < 200; step += 1) {
    await vi.advanceTimersByTimeAsync(10);
    await turns(12);
  }
  return names;
}

const orderOf = (name: string) => orders.get(stage.task(name)?.status?.submission?.captchaID ?? '');
const agesWhenRead = (names: readonly string[]) =>
  names.map((name) => {
    const { readAt = Infinity, solvedAt = 0 } = orderOf(name) ?? {};
    return (readAt - solvedAt) / 1_000;
  });
const messageOf = (name: string) => summaryOf(stage.task(name)?.status)?.message;
const gauge = (name: string) => gauges.get(`captcha_operator_${name}`)?.();
const told = (reason: string) => events.filter((event) => event.reason === reason);

/** The sidecar's hand. */
function callBack(name: string): void {
  const task = stage.task(name);
  if (task === undefined) throw new Error(`no task ${name}`);
  const { attempt = 1, captchaID = [...orders.keys()].at(-1) ?? '' } = task.status?.submission ?? {};
  const receivedTime = formatTime(Date.now());
  stage.write(solved(task, { value: 'x', source: 'Callback', attempt, captchaID, receivedTime }, Date.now()), name);
}

async function becomeSilent(): Promise<void> {
  await apply(5);
  await pass(122);
  expect(gauge('callback_silent_keys')).toBe(1);
}

describe('a provider that ignores the callback URL', () => {
  test('is found out: of fifty tasks all but the first five are read within 20 s of being solved', async () => {
    await start();
    const first = await apply(5);
    await pass(105);
    const waiting = await apply(5);
    expect(waiting.map(messageOf)).toEqual(Array(5).fill('The provider accepted the task; waiting for its callback.'));
    await pass(15);
    expect(Math.min(...agesWhenRead(first))).toBeGreaterThan(100);
    expect(Math.max(...agesWhenRead(waiting))).toBeLessThan(20);
    const later: string[] = [];
    for (let batch = 0; batch < 8; batch += 1) {
      later.push(...(await apply(5)));
      await pass(3);
    }
    await pass(20);
    expect(later).toHaveLength(40);
    expect(Math.max(...agesWhenRead(later))).toBeLessThan(20);
    expect(orders.size).toBe(50);
    expect([...orders.values()].every(({ carried }) => carried)).toBe(true);
  });
  test('is told once, with a Warning and a gauge, and by its open tasks', async () => {
    await start();
    await becomeSilent();
    const [name = ''] = await apply(1);
    expect(messageOf(name)).toBe('Of late no callbacks came for this API key; asking the provider for the result.');
    expect(stage.reason(name)).toBe('Polling');
    await pass(10);
    expect(stage.reason(name)).toBe('Solved');
    expect(told('CallbacksSilent')).toMatchObject([{ type: 'Warning', action: 'Poll' }]);
    expect(JSON.stringify([events, stage.logged])).not.toContain(API_KEY);
  });
  test('shows itself once by each task, also where the journal lets its entry go by reading the finished task', async () => {
    await start();
    // A journal that was there before: for a while its holder trusts no absence, and reads.
    stage.lead(false);
    stage.lead(true);
    await pass(1);
    stage.pollAnswer = () => ({ kind: 'solved', value: 'solved at once' });
    const names = await apply(DEFAULT_POLICY.callbackSilenceLimit - 1, { callbackTimeoutSeconds: 1 });
    await pass(40);
    expect(names.map((name) => stage.task(name)?.status?.solution?.source)).toEqual(names.map(() => 'Poll'));
    expect(gauge('callback_silent_keys')).toBe(0);
  });
  test('stays unnoticed where the limit is 0', async () => {
    await start({ policy: { ...DEFAULT_POLICY, callbackSilenceLimit: 0 } });
    await apply(8);
    await pass(122);
    expect(gauge('callback_silent_keys')).toBe(0);
    const [name = ''] = await apply(1);
    await pass(100);
    expect(stage.reason(name)).toBe('AwaitingCallback');
  });
});

describe('callbacks that come back', () => {
  test('end the silence: the next task waits for its own', async () => {
    await start();
    await becomeSilent();
    const [name = ''] = await apply(1);
    callBack(name);
    await pass(1);
    expect(gauge('callback_silent_keys')).toBe(0);
    const [next = ''] = await apply(1);
    await pass(100);
    expect(stage.reason(next)).toBe('AwaitingCallback');
  });
  test('end it as well where status has not said yet that the task was submitted', async () => {
    await start();
    await becomeSilent();
    stage.client.queueing = () => true;
    const [name = ''] = await apply(1);
    expect(stage.task(name)?.status).toBeUndefined();
    callBack(name);
    await pass(1);
    expect(gauge('callback_silent_keys')).toBe(0);
  });
  test('are recognised as well where they only are hints', async () => {
    await start();
    await becomeSilent();
    const captcha = { type: 'Lemin', lemin: { captchaID: 'a', divID: 'b', pageURL: 'https://example.com/' } } as const;
    const [name = ''] = await apply(1, { captcha });
    const task = stage.task(name);
    await pass(4);
    if (task !== undefined) stage.write(pollDue(task, Date.now()), name);
    await pass(2);
    expect(stage.task(name)?.status?.solution?.source).toBe('Poll');
    expect(gauge('callback_silent_keys')).toBe(0);
  });
  test('begin the count anew: one lost callback now and then is no silence', async () => {
    await start();
    for (let round = 0; round < 4; round += 1) {
      const [kept = ''] = await apply(3);
      callBack(kept);
      await pass(122);
    }
    expect(orders.size).toBe(12);
    expect(gauge('callback_silent_keys')).toBe(0);
  });
});

describe('a look at how a task ended', () => {
  test('is not taken while callbacks are trusted, and by one task at a time while they are not', async () => {
    await start();
    let reads = 0;
    stage.client.fate = (request) => {
      if (request.verb === 'get') reads += 1;
      return undefined;
    };
    for (const name of await apply(5)) callBack(name);
    await pass(1);
    expect(reads).toBe(0);
    await becomeSilent();
    reads = 0;
    const names = await apply(5);
    for (const name of names) stage.remove(name);
    await pass(1);
    expect(reads).toBe(1);
    expect(gauge('callback_silent_keys')).toBe(1);
  });
});

const byName = (request: SubmitRequest): SubmitOutcome | undefined =>
  request.pingback === undefined ? undefined : { kind: 'refused', class: 'callbackRefused', code: 'ERROR_IP_ADDRES' };
const byUnlisted = (request: SubmitRequest): SubmitOutcome | undefined =>
  request.pingback === undefined ? undefined : { kind: 'refused', class: 'unlisted', code: 'ERROR_PINGBACK' };

describe('a provider that refuses the callback URL', () => {
  const REFUSED = 'The provider refuses the callback URL and accepted the task without it; asking it for the result.';

  test('gets the same attempt without it: all tasks are solved, none is paid twice, and they say why', async () => {
    await start();
    refusal = byName;
    const names = await apply(50);
    for (const name of names) {
      expect(stage.task(name)?.status).toMatchObject({ attempts: 1, submission: { attempt: 1, pingback: false } });
      expect(messageOf(name)).toBe(REFUSED);
    }
    await pass(20);
    expect(names.map((name) => stage.reason(name))).toEqual(Array(50).fill('Solved'));
    expect(orders.size).toBe(50);
    expect(told('CallbackRefused')).toMatchObject([{ type: 'Warning', action: 'Submit' }]);
    expect(JSON.stringify([events, stage.logged])).not.toContain(API_KEY);
  });
  test('may say so by a word that nobody knows: said twice to one task, it is about the URL', async () => {
    await start();
    refusal = byUnlisted;
    const [name = ''] = await apply(1);
    await pass(20);
    expect(stage.submissions.map(({ pingback }) => pingback !== undefined)).toEqual([true, true, false]);
    expect(stage.task(name)?.status).toMatchObject({ phase: 'Solved', attempts: 1 });
    expect(gauge('callback_refused_keys')).toBe(1);
  });
  test('is not blamed where the task is refused without it as well', async () => {
    await start();
    refusal = () => ({ kind: 'refused', class: 'unlisted', code: 'ERROR_NEW' });
    const [name = ''] = await apply(1);
    await pass(200);
    expect(stage.reason(name)).toBe('ProviderRejected');
    expect(stage.submissions).toHaveLength(5);
    expect(gauge('callback_refused_keys')).toBe(0);
  });
  test('is asked again after an hour, by one task; until then no submission carries it', async () => {
    await start();
    refusal = byName;
    await apply(1);
    expect(stage.submissions).toHaveLength(2);
    await pass(59 * 60);
    await apply(3);
    expect(stage.submissions).toHaveLength(5);
    await pass(70);
    await apply(3);
    expect(stage.submissions.slice(5).filter(({ pingback }) => pingback !== undefined)).toHaveLength(1);
    expect(gauge('callback_refused_keys')).toBe(1);
    await apply(3);
    expect(stage.submissions).toHaveLength(5 + 4 + 3);
    expect(orders.size).toBe(10);
    expect(told('CallbackRefused')).toHaveLength(1);
  });
  test('gets it again once it has taken it', async () => {
    await start();
    refusal = byName;
    await apply(1);
    await pass(61 * 60);
    refusal = () => undefined;
    await apply(3);
    expect(gauge('callback_refused_keys')).toBe(0);
    const [name = ''] = await apply(1);
    expect(stage.task(name)?.status?.submission?.pingback).toBe(true);
    expect(stage.reason(name)).toBe('AwaitingCallback');
  });
  test('is not asked without it again while it cannot be told whether that was accepted', async () => {
    await start();
    refusal = (request) => byName(request) ?? { kind: 'unknown', cause: 'reset' };
    const [name = ''] = await apply(1);
    expect(stage.submissions).toHaveLength(2);
    expect(stage.reason(name)).toBe('SubmissionUnknown');
    expect(gauge('callback_refused_keys')).toBe(0);
  });
});
