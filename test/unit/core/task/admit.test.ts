import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SubmitOutcome } from '../../../../src/core/outcome.ts';
import * as admit from '../../../../src/core/task/admit.ts';
import { PERMIT_MS } from '../../../../src/core/task/policy.ts';

/** Six turns may be begun, and every id is durable when the next turns are granted. */
const pumped = (all: admit.Admission, mono: number): string[] => {
  all.atOnce = 1.5;
  for (const key of all.recording.keys()) admit.recorded(all, key);
  return admit.pump(all, mono);
};
const ACCEPTED: SubmitOutcome = { kind: 'accepted', captchaID: '1' };
const BUSY: SubmitOutcome = { kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' };
const WRONG_KEY: SubmitOutcome = { kind: 'refused', class: 'keyRejected', code: 'ERROR_WRONG_USER_KEY' };
const BANNED: SubmitOutcome = { kind: 'refused', class: 'addressBlocked', code: 'IP_BANNED', retryAfterMs: 300_000 };
const UNKNOWN: SubmitOutcome = { kind: 'unknown', cause: 'reset' };

const moment = (mono: number) => ({ now: 0, mono, random: 0.5 });
const admission = (limits = {}) =>
  admit.createAdmission({ maxConcurrentSubmissions: 32, rejectedKeysLimit: 4, ...limits });
const joinMany = (all: admit.Admission, count: number, apiKey = 'k', mono = 0) => {
  for (let n = 0; n < count; n += 1)
    admit.join(all, { key: `${apiKey}${n}`, namespace: 'default', age: n }, apiKey, mono);
};
/** One answer of `threadsinfo`. */
const look = (all: admit.Admission, threads: number, working?: number, mono = 0) =>
  admit.lookAtThreads(all, 'k')({ threads, ...(working === undefined ? {} : { working }) }, moment(mono));
const isBarred = (namespace: string) => namespace === 'a';
/** Grants, begins and ends one call after the other. */
const callOnce = (all: admit.Admission, outcome: SubmitOutcome, mono: number) => {
  const [key] = pumped(all, mono);
  if (key === undefined) return undefined;
  admit.started(all, key);
  admit.called(all, key, outcome, moment(mono));
  return key;
};

describe('turns', () => {
  test('wait for ids that are not durable yet, but not for those that hang', () => {
    const all = admission();
    joinMany(all, 12);
    callOnce(all, ACCEPTED, 0);
    for (const key of pumped(all, 0)) {
      admit.started(all, key);
      admit.called(all, key, ACCEPTED, moment(0));
    }
    expect(admit.pump(all, 999)).toEqual([]);
    expect(admit.pump(all, 1_000).length).toBeGreaterThan(1);
  });
  test('go to the oldest task first, whenever it joined', () => {
    const all = admission();
    admit.join(all, { key: 'young', namespace: 'default', age: 20 }, 'k', 0);
    admit.join(all, { key: 'old', namespace: 'default', age: 10 }, 'k', 0);
    expect(pumped(all, 0)).toEqual(['old']);
  });
  test('go to the namespaces in turn: the backlog of one does not delay a task of another', () => {
    const all = admission({ maxConcurrentSubmissions: 1 });
    for (let n = 0; n < 10_000; n += 1) admit.join(all, { key: `burst/${n}`, namespace: 'burst', age: n }, 'k', 0);
    const served = Array.from({ length: 50 }, () => callOnce(all, ACCEPTED, 0));
    admit.join(all, { key: 'other/late', namespace: 'other', age: 20_000 }, 'k', 0);
    served.push(callOnce(all, ACCEPTED, 0), callOnce(all, ACCEPTED, 0));
    expect(served.slice(-2)).toContain('other/late');
    // Once its only task was served, the namespace is out of the round; and the oldest goes first within each.
    admit.join(all, { key: 'third/young', namespace: 'third', age: 2 }, 'k', 0);
    admit.join(all, { key: 'third/old', namespace: 'third', age: 1 }, 'k', 0);
    const next = Array.from({ length: 6 }, () => callOnce(all, ACCEPTED, 0) ?? '');
    expect(next.filter((key) => key.startsWith('third'))).toEqual(['third/old', 'third/young']);
    expect(next.filter((key) => key.startsWith('burst'))).toEqual(['burst/51', 'burst/52', 'burst/53', 'burst/54']);
    expect(next.slice(0, 4).filter((key) => key.startsWith('third'))).toHaveLength(2);
  });
  test('pass over a namespace that is barred, whose tasks keep their places', () => {
    const all = admission();
    for (const namespace of ['a', 'b']) {
      for (const n of [0, 1]) admit.join(all, { key: `${namespace}/${n}`, namespace, age: n }, 'k', 0);
    }
    callOnce(all, ACCEPTED, 0);
    expect(admit.pump(all, 0, isBarred)).toEqual(['b/0', 'b/1']);
    expect(admit.pump(all, 0, isBarred)).toEqual([]);
    expect(admit.pump(all, 0)).toEqual(['a/1']);
  });
  test('a namespace that rejoins is not served before those that waited', () => {
    const all = admission({ maxConcurrentSubmissions: 1 });
    for (const namespace of ['a', 'b', 'c']) {
      for (const n of [0, 1]) admit.join(all, { key: `${namespace}/${n}`, namespace, age: n }, 'k', 0);
    }
    expect(callOnce(all, ACCEPTED, 0)).toBe('a/0');
    admit.leave(all, 'a/1');
    admit.join(all, { key: 'a/1', namespace: 'a', age: 1 }, 'k', 0);
    expect([callOnce(all, ACCEPTED, 0), callOnce(all, ACCEPTED, 0)]).toEqual(['b/0', 'c/0']);
  });
  test('a key never accepted gets one call at a time', () => {
    const all = admission();
    joinMany(all, 5);
    expect(pumped(all, 0)).toHaveLength(1);
    expect(pumped(all, 0)).toHaveLength(0);
  });
  test('an accepted key gets as many calls as are allowed at once', () => {
    const all = admission({ maxConcurrentSubmissions: 3 });
    joinMany(all, 10);
    callOnce(all, ACCEPTED, 0);
    expect(pumped(all, 0)).toHaveLength(3);
  });
  test('are begun no faster than ids become durable, four for each request that the API server takes at once', () => {
    const all = admission();
    joinMany(all, 20);
    callOnce(all, ACCEPTED, 0);
    admit.recorded(all, 'k0');
    all.atOnce = 2;
    const begun = admit.pump(all, 0);
    expect(begun).toHaveLength(8);
    // What is called makes room for the next intent; what is accepted takes it until its id is durable.
    for (const key of begun) admit.started(all, key);
    for (const key of begun.slice(0, 4)) admit.called(all, key, ACCEPTED, moment(4_500));
    for (const key of begun.slice(4)) admit.called(all, key, BUSY, moment(0));
    all.atOnce = 1;
    expect(admit.pump(all, 5_000)).toEqual([]);
    expect(begun.map((key) => admit.recorded(all, key)).filter((isNew) => isNew)).toHaveLength(4);
    expect(admit.pump(all, 6_000)).toHaveLength(1);
  });
  test('of several keys alternate, so that no backlog starves another key', () => {
    const all = admission();
    joinMany(all, 50, 'a');
    joinMany(all, 50, 'b');
    for (const key of pumped(all, 0)) admit.called(all, key, ACCEPTED, moment(0));
    const keys = pumped(all, 0).map((key) => key[0]);
    expect(keys.filter((key) => key === 'a').length).toBe(3);
    expect(keys.filter((key) => key === 'b').length).toBe(3);
  });
  test('that are given up are given to the next', () => {
    const all = admission();
    joinMany(all, 2);
    const [first] = pumped(all, 0);
    admit.leave(all, first ?? '');
    expect(pumped(all, 0)).toEqual(['k1']);
  });
});

describe('a turn whose call is under way', () => {
  test('is not given up: it ends with the call', () => {
    const all = admission();
    joinMany(all, 2);
    pumped(all, 0);
    admit.started(all, 'k0');
    expect(admit.leave(all, 'k0')).toBe(false);
    admit.leaveAll(all);
    expect(admit.ticketOf(all, 'k0', 'k')).toBe('calling');
    joinMany(all, 2);
    expect(pumped(all, 0)).toEqual([]);
    admit.called(all, 'k0', ACCEPTED, moment(0));
    expect(admit.ticketOf(all, 'k0', 'k')).toBe('none');
    expect(pumped(all, 0)).toEqual(['k1']);
  });
});

describe('a place in the lane of a key that its task does not use any more', () => {
  test('is seen as such, and given up by taking another', () => {
    const all = admission();
    joinMany(all, 2, 'old');
    pumped(all, 0);
    for (const now of ['new', undefined]) {
      expect(admit.ticketOf(all, 'old0', now)).toBe('elsewhere');
      expect(admit.ticketOf(all, 'old1', now)).toBe('elsewhere');
    }
    admit.join(all, { key: 'old0', namespace: 'default', age: 0 }, 'new', 0);
    expect(admit.ticketOf(all, 'old0', 'new')).toBe('queued');
    expect(pumped(all, 0).sort()).toEqual(['old0', 'old1']);
  });
});

describe('a busy provider', () => {
  test('makes the whole key back off, and lets one probe pass a step', () => {
    const all = admission();
    joinMany(all, 10);
    callOnce(all, BUSY, 0);
    expect(pumped(all, 4_999)).toEqual([]);
    expect(callOnce(all, BUSY, 5_000)).toBe('k1');
    expect(pumped(all, 14_999)).toEqual([]);
    expect(pumped(all, 15_000)).toHaveLength(1);
    expect(pumped(all, 15_001)).toEqual([]);
  });
  test('32 answers of "busy" at once are one step', () => {
    const all = admission();
    joinMany(all, 50);
    callOnce(all, ACCEPTED, 0);
    const granted = pumped(all, 0);
    for (const key of granted) admit.called(all, key, BUSY, moment(100));
    expect(pumped(all, 5_100)).toHaveLength(1);
  });
  test('is forgotten at the first acceptance', () => {
    const all = admission();
    joinMany(all, 50);
    callOnce(all, BUSY, 0);
    callOnce(all, ACCEPTED, 5_000);
    expect(admit.blockage(all, 'k', 5_000)).toBeUndefined();
    expect(pumped(all, 5_000).length).toBeGreaterThan(1);
  });
  test('is approached again step by step, not by everybody at once', () => {
    const all = admission();
    joinMany(all, 50);
    callOnce(all, ACCEPTED, 0);
    for (const key of pumped(all, 0)) admit.called(all, key, BUSY, moment(0));
    callOnce(all, ACCEPTED, 5_000);
    const second = pumped(all, 5_000);
    expect(second).toHaveLength(2);
    for (const key of second) admit.called(all, key, ACCEPTED, moment(5_000));
    expect(pumped(all, 5_000).length).toBeGreaterThan(2);
  });
  test('says so to those who wait', () => {
    const all = admission();
    joinMany(all, 2);
    callOnce(all, BUSY, 0);
    expect(admit.blockage(all, 'k', 1)).toMatchObject({ reason: 'ProviderBusy' });
    callOnce(all, UNKNOWN, 5_000);
    expect(admit.blockage(all, 'k', 5_001)).toMatchObject({ reason: 'ProviderUnreachable' });
  });
});

describe('rejected keys and addresses', () => {
  test('a rejected key rests for five minutes, for polls too', () => {
    const all = admission();
    joinMany(all, 2);
    callOnce(all, WRONG_KEY, 0);
    expect(pumped(all, 299_999)).toEqual([]);
    expect(admit.pollPauseMs(all, 'k', 1_000)).toBe(299_000);
    expect(pumped(all, 300_000)).toHaveLength(1);
  });
  test('a suspended account makes its key rest for five minutes, and no other', () => {
    const all = admission();
    joinMany(all, 3);
    callOnce(all, { kind: 'refused', class: 'accountExhausted', code: 'ERROR_ACCOUNT_SUSPENDED' }, 0);
    joinMany(all, 1, 'other');
    expect(pumped(all, 299_999)).toEqual(['other0']);
    expect(pumped(all, 300_000)).toEqual(['k1']);
    expect(pumped(all, 300_001)).toEqual([]);
  });
  test('a callback address that is refused says nothing about the key', () => {
    const all = admission();
    joinMany(all, 2);
    callOnce(all, { kind: 'refused', class: 'callbackRefused', code: 'ERROR_IP_ADDRES' }, 0);
    expect(pumped(all, 0)).toEqual(['k1']);
  });
  test('when too many keys were rejected, keys never accepted wait and accepted ones go on', () => {
    const all = admission({ rejectedKeysLimit: 2 });
    joinMany(all, 2, 'good');
    callOnce(all, ACCEPTED, 0);
    for (const apiKey of ['bad', 'worse']) {
      joinMany(all, 1, apiKey);
      pumped(all, 0);
      admit.called(all, `${apiKey}0`, WRONG_KEY, moment(0));
    }
    joinMany(all, 1, 'new');
    expect(admit.ticketOf(all, 'good1', 'good')).toBe('granted');
    expect(pumped(all, 0)).toEqual([]);
    expect(admit.blockage(all, 'new', 0)).toMatchObject({ reason: 'KeyRejected' });
    expect(pumped(all, 300_000)).toContain('new0');
  });
  test('no more keys never accepted are tried at once than may be rejected: one more, and the address is banned', () => {
    const all = admission();
    for (let n = 0; n < 20; n += 1) admit.join(all, { key: `k${n}`, namespace: `team-${n}`, age: n }, `key-${n}`, 0);
    const tried = admit.pump(all, 0);
    for (const key of tried) admit.started(all, key);
    expect([...tried, ...admit.pump(all, 0)]).toHaveLength(4);
    admit.called(all, tried[0]!, WRONG_KEY, moment(0));
    expect(admit.pump(all, 0)).toEqual([]);
    admit.called(all, tried[1]!, ACCEPTED, moment(0));
    expect(admit.pump(all, 0)).toHaveLength(1);
    const unlimited = admission({ rejectedKeysLimit: 0 });
    joinMany(unlimited, 1, 'a');
    for (let n = 0; n < 5; n += 1) admit.polled(unlimited, 'b', WRONG_KEY, moment(0));
    expect(admit.pump(unlimited, 0)).toHaveLength(1);
  });
  test('of keys never accepted those of a namespace whose keys are tried or were rejected go last', () => {
    const all = admission();
    for (let n = 0; n < 9; n += 1) admit.join(all, { key: `evil/${n}`, namespace: 'evil', age: n }, `evil-${n}`, 0);
    admit.join(all, { key: 'good/0', namespace: 'good', age: 99 }, 'good', 0);
    const tried = admit.pump(all, 0);
    expect(tried).toHaveLength(4);
    expect(tried.slice(0, 2)).toEqual(['evil/0', 'good/0']);
    for (const key of tried) {
      admit.started(all, key);
      admit.called(all, key, key === 'good/0' ? ACCEPTED : WRONG_KEY, moment(0));
    }
    admit.join(all, { key: 'late/0', namespace: 'late', age: 100 }, 'late', 0);
    expect(admit.pump(all, 0)).toEqual(['late/0']);
  });
  test('thousands of keys that may not be tried are not looked at one by one', () => {
    const all = admission();
    for (let n = 0; n < 4; n += 1) admit.polled(all, 'bad', WRONG_KEY, moment(0));
    for (let n = 0; n < 3_000; n += 1) admit.join(all, { key: `evil/${n}`, namespace: 'evil', age: n }, `key-${n}`, 0);
    let looks = 0;
    const isBarred = () => (looks += 1) < 0;
    expect(admit.pump(all, 0, isBarred)).toEqual([]);
    expect(looks).toBe(0);
  });
  test('rejections are forgotten after five minutes, also where they limit nothing', () => {
    const all = admission({ rejectedKeysLimit: 0 });
    const refused = { kind: 'refused', class: 'keyRejected', code: 'ERROR_KEY_DOES_NOT_EXIST' } as const;
    for (let minute = 0; minute < 60; minute += 1) admit.polled(all, 'k', refused, moment(minute * 60_000));
    expect(all.rejections).toHaveLength(5);
  });
  test('a banned address stops every key, and one probe of all keys ends it', () => {
    const all = admission();
    joinMany(all, 1, 'a');
    callOnce(all, BANNED, 0);
    joinMany(all, 2, 'b');
    joinMany(all, 2, 'c');
    expect(pumped(all, 299_999)).toEqual([]);
    expect(admit.pollPauseMs(all, 'b', 0)).toBe(300_000);
    const [probe] = pumped(all, 300_000);
    expect(pumped(all, 300_000)).toEqual([]);
    admit.called(all, probe ?? '', ACCEPTED, moment(300_000));
    expect(pumped(all, 300_000).length).toBeGreaterThan(0);
  });
  test('a turn from before a ban that is given up lets no second probe pass', () => {
    const all = admission();
    joinMany(all, 1, 'a');
    joinMany(all, 1, 'b');
    expect(pumped(all, 0)).toEqual(['a0', 'b0']);
    admit.called(all, 'a0', BANNED, moment(0));
    joinMany(all, 1, 'c');
    joinMany(all, 1, 'd');
    expect(pumped(all, 300_000)).toHaveLength(1);
    admit.leave(all, 'b0');
    expect(pumped(all, 300_000)).toEqual([]);
  });
  test('a probe that was not used leaves the next one free', () => {
    const all = admission();
    joinMany(all, 1, 'a');
    callOnce(all, BANNED, 0);
    joinMany(all, 2, 'b');
    const [probe] = pumped(all, 300_000);
    admit.leave(all, probe ?? '');
    expect(pumped(all, 300_000)).toEqual(['b1']);
  });
  test('what res.php says about the key stops submissions as well, what it says about load does not', () => {
    const all = admission();
    joinMany(all, 1);
    admit.polled(all, 'k', { kind: 'refused', class: 'busy', code: 'ERROR_TOO_MUCH_REQUESTS' }, moment(0));
    expect(admit.pollPauseMs(all, 'k', 0)).toBe(10_000);
    expect(pumped(all, 0)).toEqual(['k0']);
    admit.polled(all, 'k', { kind: 'refused', class: 'keyRejected', code: 'ERROR_KEY_DOES_NOT_EXIST' }, moment(0));
    joinMany(all, 2);
    expect(pumped(all, 0)).toEqual([]);
  });
});

describe('threads of the account', () => {
  test('bound the open tasks, from acceptance to the final answer', () => {
    const all = admission();
    joinMany(all, 10);
    callOnce(all, ACCEPTED, 0);
    look(all, 2);
    expect(pumped(all, 0)).toEqual(['k1']);
    admit.called(all, 'k1', ACCEPTED, moment(0));
    expect(pumped(all, 0)).toEqual([]);
    expect(admit.blockage(all, 'k', 0)).toMatchObject({ reason: 'ProviderBusy' });
    admit.returnPermit(all, 'k0');
    expect(pumped(all, 0)).toEqual(['k2']);
  });
  test('come back by themselves after five minutes', () => {
    const all = admission();
    joinMany(all, 3);
    callOnce(all, ACCEPTED, 0);
    look(all, 1);
    expect(pumped(all, PERMIT_MS - 1)).toEqual([]);
    expect(pumped(all, PERMIT_MS)).toEqual(['k1']);
  });
  test('come back as well where nobody knows how many there are, and the key is forgotten in the end', () => {
    const all = admission();
    joinMany(all, 1);
    callOnce(all, ACCEPTED, 0);
    admit.forgetUnused(all, PERMIT_MS);
    expect(admit.keysInUse(all, PERMIT_MS)).toEqual([]);
    expect(admit.forgetUnused(all, PERMIT_MS + 10 * 60_000)).toEqual(['k']);
    expect(all.permits.size).toBe(0);
  });
  test('count tasks that were accepted before this process looked', () => {
    const all = admission();
    admit.holdPermit(all, 'earlier', 'k', 100_000);
    look(all, 1);
    joinMany(all, 1);
    expect(pumped(all, 0)).toEqual([]);
  });
});

type Step =
  | { do: 'join' | 'leave' | 'start' | 'return'; n: number }
  | { do: 'call'; n: number; outcome: SubmitOutcome }
  | { do: 'wait'; ms: number }
  | { do: 'look'; threads: number; working: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('join' as const), n: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), n: fc.nat(20) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('start' as const), n: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('return' as const), n: fc.nat(20) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      n: fc.nat(20),
      outcome: fc.constantFrom(ACCEPTED, ACCEPTED, BUSY, UNKNOWN, WRONG_KEY, BANNED),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 400_000 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('look' as const), threads: fc.nat(4), working: fc.nat(4) }),
  },
);

test('whatever happens, the limits hold and nobody waits for ever', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const all = admission({ maxConcurrentSubmissions: 3 });
      const turns = new Set<string>();
      let mono = 0;
      let accepted = false;
      const apply: Record<Step['do'], (one: never) => void> = {
        join: ({ n }: { n: number }) => {
          if (!turns.has(`k${n}`)) admit.join(all, { key: `k${n}`, namespace: 'default', age: n }, 'k', mono);
        },
        leave: ({ n }: { n: number }) => {
          if (admit.leave(all, `k${n}`)) turns.delete(`k${n}`);
        },
        start: ({ n }: { n: number }) => admit.started(all, `k${n}`),
        return: ({ n }: { n: number }) => admit.returnPermit(all, `k${n}`),
        call: ({ n, outcome }: { n: number; outcome: SubmitOutcome }) => {
          if (!turns.delete(`k${n}`)) return;
          admit.started(all, `k${n}`);
          admit.called(all, `k${n}`, outcome, moment(mono));
          accepted ||= outcome.kind === 'accepted';
        },
        wait: ({ ms }: { ms: number }) => void (mono += ms),
        look: ({ threads, working }: { threads: number; working: number }) => look(all, threads, working, mono),
      };
      for (const one of steps) {
        apply[one.do](one as never);
        for (const key of pumped(all, mono)) turns.add(key);
        expect(turns.size).toBeLessThanOrEqual(accepted ? 3 : 1);
        for (const key of turns) expect(['granted', 'calling']).toContain(admit.ticketOf(all, key, 'k'));
      }
      // From here on the provider accepts everything and every task is answered: each waiting task gets its turn.
      for (let n = 0; n < 200 && (turns.size > 0 || admit.queuedFor(all, 'k').length > 0); n += 1) {
        for (const key of turns) {
          admit.started(all, key);
          admit.called(all, key, ACCEPTED, moment(mono));
          admit.returnPermit(all, key);
        }
        turns.clear();
        mono += 310_000;
        look(all, 4, 0, mono);
        for (const key of pumped(all, mono)) turns.add(key);
      }
      expect(admit.queuedFor(all, 'k')).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

describe('a key that nobody uses any more', () => {
  const MINUTE = 60_000;
  test('is forgotten after ten minutes, with the breaker that would be reported for ever', () => {
    const all = admission();
    joinMany(all, 1);
    callOnce(all, WRONG_KEY, 0);
    admit.leaveAll(all);
    expect(admit.forgetUnused(all, MINUTE)).toEqual([]);
    expect(admit.openBreakers(all).keyRejected).toBe(1);
    expect(admit.forgetUnused(all, 11 * MINUTE)).toEqual(['k']);
    expect(admit.openBreakers(all).keyRejected).toBe(0);
  });
  test('is kept while a task waits, calls or holds a permit, and while it rests', () => {
    const all = admission();
    joinMany(all, 2, 'waiting');
    admit.holdPermit(all, 'held0', 'held', 60 * MINUTE);
    joinMany(all, 1, 'resting', 0);
    const rests: SubmitOutcome = { ...WRONG_KEY, retryAfterMs: 30 * MINUTE };
    for (const key of pumped(all, 0)) {
      if (key === 'resting0') admit.called(all, key, rests, moment(0));
    }
    expect(admit.forgetUnused(all, 0)).toEqual([]);
    expect(admit.forgetUnused(all, 20 * MINUTE)).toEqual([]);
    expect(admit.forgetUnused(all, 31 * MINUTE)).toEqual(['resting']);
  });
  test('counts its ten minutes anew after each use', () => {
    const all = admission();
    joinMany(all, 1);
    callOnce(all, ACCEPTED, 0);
    admit.returnPermit(all, 'k0');
    admit.forgetUnused(all, MINUTE);
    joinMany(all, 1);
    admit.forgetUnused(all, 9 * MINUTE);
    admit.leaveAll(all);
    expect(admit.forgetUnused(all, 15 * MINUTE)).toEqual([]);
    expect(admit.forgetUnused(all, 25 * MINUTE)).toEqual(['k']);
  });
});
