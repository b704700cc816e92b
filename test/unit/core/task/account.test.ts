import { describe, expect, test } from 'vitest';
import type { SubmitOutcome, ThreadCounts } from '../../../../src/core/outcome.ts';
import * as admit from '../../../../src/core/task/admit.ts';
import { PERMIT_MS } from '../../../../src/core/task/policy.ts';

/** Six turns may be begun, and every id is durable when the next turns are granted. */
const pumped = (all: admit.Admission, mono: number): string[] => {
  all.atOnce = 1.5;
  for (const key of all.recording.keys()) admit.recorded(all, key);
  return admit.pump(all, mono);
};
const ACCEPTED: SubmitOutcome = { kind: 'accepted', captchaID: '1' };
const ZERO_BALANCE: SubmitOutcome = { kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' };
const NO_SLOT: SubmitOutcome = { kind: 'refused', class: 'busy', code: 'ERROR_NO_SLOT_AVAILABLE' };
const SUSPENDED: SubmitOutcome = { kind: 'refused', class: 'accountExhausted', code: 'ERROR_ACCOUNT_SUSPENDED' };
const MINUTE = 60_000;

const moment = (mono: number) => ({ now: 0, mono, random: 0.5 });

/** One key, of which many tasks wait, and what its provider says. */
function account() {
  const all = admit.createAdmission({ maxConcurrentSubmissions: 32, rejectedKeysLimit: 4 });
  for (let n = 0; n < 60; n += 1) admit.join(all, { key: `k${n}`, namespace: 'default', age: n }, 'k', 0);
  const look = (counts: ThreadCounts | undefined, mono = 0) => admit.lookAtThreads(all, 'k')(counts, moment(mono));
  return {
    all,
    look,
    pump: (mono = 0) => pumped(all, mono),
    begin(mono = 0) {
      const keys = pumped(all, mono);
      for (const key of keys) admit.started(all, key);
      return keys;
    },
    end: (keys: string[], outcome: SubmitOutcome, mono = 0) => {
      for (const key of keys) admit.called(all, key, outcome, moment(mono));
    },
    /** One call, and a look after it. */
    call(outcome: SubmitOutcome, mono: number, counts?: ThreadCounts) {
      const [key, ...others] = pumped(all, mono);
      for (const other of others) admit.leave(all, other);
      if (key === undefined) return undefined;
      admit.started(all, key);
      admit.called(all, key, outcome, moment(mono));
      if (counts !== undefined) look(counts, mono);
      return key;
    },
    reason: (mono: number) => admit.blockage(all, 'k', mono)?.reason,
    lookAgainMs: (mono: number) => admit.keysInUse(all, mono)[0]?.lookAgainMs,
  };
}

describe('threads that others use', () => {
  test('are left to them: no more of our tasks are open than the rest', () => {
    const { call, look, pump, reason } = account();
    call(ACCEPTED, 0);
    look({ threads: 10, working: 8 });
    // One of the eight is ours.
    expect(pump()).toHaveLength(2);
    expect(reason(0)).toBe('ProviderBusy');
  });

  test('are not those of our own tasks, whether they are counted yet or still', () => {
    const { all, begin, end, pump } = account();
    end(begin(), ACCEPTED);
    const [early, ...during] = begin();
    if (early === undefined) throw new Error('nothing was begun');
    end([early], ACCEPTED);
    const answered = admit.lookAtThreads(all, 'k');
    // While the question is on its way one task ends, and others are accepted.
    admit.returnPermit(all, early);
    end(during, ACCEPTED);
    answered({ threads: 10, working: 2 + during.length }, moment(0));
    expect(all.permits.size).toBe(1 + during.length);
    expect(pump()).toHaveLength(10 - 1 - during.length);
  });

  test('are free again as soon as a look says so, which comes sooner while tasks wait for them', () => {
    const { call, look, pump, lookAgainMs } = account();
    call(ACCEPTED, 0);
    expect(lookAgainMs(0)).toBe(MINUTE);
    look({ threads: 4, working: 4 });
    expect(pump()).toEqual([]);
    expect(lookAgainMs(0)).toBe(10_000);
    look({ threads: 4, working: 2 });
    expect(pump()).toHaveLength(2);
    look({ threads: 4, working: 1 });
    expect(lookAgainMs(0)).toBe(MINUTE);
  });

  test('are forgotten when the provider does not say any more who works, and its number stands', () => {
    const { call, look, pump } = account();
    call(ACCEPTED, 0);
    look({ threads: 4, working: 4 });
    look(undefined);
    expect(pump()).toHaveLength(3);
  });
});

describe('a provider that queues without a word', () => {
  test('gets no task for a thread that an older one waits for or holds, five minutes and longer', () => {
    const { call, look, pump } = account();
    call(ACCEPTED, 0);
    look({ threads: 1, working: 1 });
    for (let mono = MINUTE; mono <= 2 * PERMIT_MS; mono += MINUTE) {
      expect(pump(mono - 1)).toEqual([]);
      expect(pump(mono)).toEqual([]);
      look({ threads: 1, working: 1 }, mono);
    }
    look({ threads: 1, working: 0 }, 2 * PERMIT_MS);
    expect(pump(2 * PERMIT_MS)).toHaveLength(1);
  });

  test('that does not say who works gets the next task after five minutes', () => {
    const { call, look, pump } = account();
    call(ACCEPTED, 0);
    look({ threads: 1 });
    expect(pump(PERMIT_MS - 1)).toEqual([]);
    expect(pump(PERMIT_MS)).toHaveLength(1);
  });
});

describe('an account that answers "no balance"', () => {
  const FREE = { threads: 5, working: 0 };
  const NONE = { threads: 0 };
  const FULL = { threads: 5, working: 5 };

  test.each([
    ['shows free threads', FREE],
    ['has none at all', NONE],
  ])('is exhausted when it %s, in two looks ten seconds apart', (_what, counts) => {
    const { call, pump, reason } = account();
    call(ZERO_BALANCE, 0, counts);
    call(ZERO_BALANCE, 6_000, counts);
    expect(reason(6_000)).toBe('ProviderBusy');
    call(ZERO_BALANCE, 17_000, counts);
    expect(reason(17_000)).toBe('AccountExhausted');
    expect(pump(17_000 + 5 * MINUTE - 1)).toEqual([]);
    expect(pump(17_000 + 5 * MINUTE)).toHaveLength(1);
    expect(pump(17_001 + 5 * MINUTE)).toEqual([]);
  });

  test('is looked at at once, also where nothing was ever accepted', () => {
    const { call, look, lookAgainMs } = account();
    expect(lookAgainMs(0)).toBeUndefined();
    call(ZERO_BALANCE, 0);
    expect(lookAgainMs(0)).toBe(0);
    look(FREE, 0);
    expect(lookAgainMs(0)).toBeUndefined();
  });

  test.each([
    ['the pool is full', FULL],
    ['nobody says how many work', { threads: 5 }],
    ['the provider does not say how many threads there are', undefined],
  ])('is busy while %s', (_what, counts) => {
    const { call, look, reason } = account();
    for (const mono of [0, 6_000, 20_000, 50_000]) {
      call(ZERO_BALANCE, mono);
      look(counts, mono);
    }
    expect(reason(50_000)).toBe('ProviderBusy');
  });

  test('is busy where tasks of ours are at work, though it says that it has no threads', () => {
    const { call, reason } = account();
    call(ACCEPTED, 0);
    call(ZERO_BALANCE, 0, NONE);
    call(ZERO_BALANCE, 20_000, NONE);
    expect(reason(20_000)).toBe('ProviderBusy');
  });

  test('is busy where a look between showed a full pool, or a submission was accepted', () => {
    for (const between of [ZERO_BALANCE, ACCEPTED]) {
      const { call, reason } = account();
      call(ZERO_BALANCE, 0, FREE);
      call(between, 6_000, between === ACCEPTED ? undefined : FULL);
      call(ZERO_BALANCE, 17_000, FREE);
      expect(reason(17_000)).toBe('ProviderBusy');
    }
  });

  test('is proved exhausted by looks after such an answer only', () => {
    const { all, call, look, begin, end, reason } = account();
    call(ZERO_BALANCE, 0, FREE);
    // Nothing was answered since the last one; and this answer came after the question.
    look(FREE, 20_000);
    const answered = admit.lookAtThreads(all, 'k');
    end(begin(20_000), ZERO_BALANCE, 20_000);
    answered(FREE, moment(20_000));
    expect(reason(20_000)).toBe('ProviderBusy');
  });

  test('is busy when the word is another one, whatever its threads', () => {
    const { call, reason } = account();
    for (const mono of [0, 10_000, 30_000]) call(NO_SLOT, mono, FREE);
    expect(reason(30_000)).toBe('ProviderBusy');
  });

  const exhausted = () => {
    const one = account();
    one.call(ZERO_BALANCE, 0, FREE);
    one.call(ZERO_BALANCE, 10_000, FREE);
    return one;
  };

  test('says so still after a probe, whose look changes nothing', () => {
    const { call, reason, pump } = exhausted();
    call(ZERO_BALANCE, 400_000);
    expect(reason(400_000)).toBe('AccountExhausted');
    expect(pump(400_000 + 5 * MINUTE - 1)).toEqual([]);
  });

  test('is busy from the probe on when its plan was renewed and the pool is full', () => {
    const { call, look, reason, pump } = exhausted();
    call(ZERO_BALANCE, 400_000, FULL);
    expect(reason(400_000)).toBe('ProviderBusy');
    look(FREE, 405_000);
    expect(pump(405_000)).toHaveLength(1);
  });

  test('serves again from the first acceptance on', () => {
    const { call, reason, pump } = exhausted();
    call(ACCEPTED, 400_000);
    expect(reason(400_000)).toBeUndefined();
    expect(pump(400_000).length).toBeGreaterThan(1);
  });

  test('is stalled: only a person can help', () => {
    const { all } = exhausted();
    expect(admit.blockage(all, 'k', 10_000)).toMatchObject({ stalled: true });
  });
});

test('a suspended account is no busier for having free threads or none', () => {
  const { call, look, reason } = account();
  call(SUSPENDED, 0);
  expect(reason(0)).toBe('AccountExhausted');
  look({ threads: 5, working: 5 }, 1_000);
  expect(reason(1_000)).toBe('AccountExhausted');
});

test('keys have numbers in the order of their first acceptance; that of a forgotten key is given again', () => {
  const all = admit.createAdmission({ maxConcurrentSubmissions: 32, rejectedKeysLimit: 4 });
  const submit = (key: string, outcome: SubmitOutcome) => {
    admit.join(all, { key, namespace: 'default', age: 0 }, `of-${key}`, 0);
    pumped(all, 0);
    admit.called(all, key, outcome, moment(0));
  };
  const numbers = () => new Set(admit.threadUse(all).map(({ key }) => key));
  // Whoever brings wrong keys hides nobody else's account.
  submit('wrong', { kind: 'refused', class: 'keyRejected', code: 'ERROR_WRONG_USER_KEY' });
  for (const key of ['a', 'b', 'c']) submit(key, ACCEPTED);
  expect(numbers()).toEqual(new Set([1, 2, 3]));
  admit.returnPermit(all, 'a');
  admit.forgetUnused(all, 0);
  admit.holdPermit(all, 'd', 'of-d', 20 * MINUTE);
  expect(numbers()).toEqual(new Set([1, 2, 3, 4]));
  for (const key of ['b', 'c']) admit.holdPermit(all, `${key}2`, `of-${key}`, 20 * MINUTE);
  admit.forgetUnused(all, 10 * MINUTE);
  expect(numbers()).toEqual(new Set([2, 3, 4]));
  submit('e', ACCEPTED);
  expect(numbers()).toEqual(new Set([1, 2, 3, 4]));
});

test('a key that nobody uses just now shows no threads but ours: its account is not looked at', () => {
  const all = admit.createAdmission({ maxConcurrentSubmissions: 32, rejectedKeysLimit: 4 });
  admit.holdPermit(all, 'login', 'of-login', 1_000);
  admit.lookAtThreads(all, 'of-login')({ threads: 4, working: 4 }, moment(0));
  expect(admit.threadUse(all)).toEqual([{ key: 1, total: 4, working: 4, ours: 1 }]);
  admit.returnPermit(all, 'login');
  expect(admit.threadUse(all)).toEqual([{ key: 1, total: undefined, working: undefined, ours: 0 }]);
});
