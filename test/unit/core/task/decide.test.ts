import { describe, expect, test } from 'vitest';
import type { TaskBuilder } from '../../../support/builders.ts';
import { T0, aTask } from '../../../support/builders.ts';
import { type FactsChange, MONO0, decideAt, kind, own, reasonOf, statusOf } from '../../../support/facts.ts';

describe('what is over', () => {
  test('a finished task needs nothing', () => {
    expect(decideAt(aTask().intended().submitted().solved(), 0).effect).toBeUndefined();
  });
  test('a standby neither submits nor polls nor fails a task', () => {
    for (const task of [aTask(), aTask().intended().submitted(), aTask().intended()]) {
      expect(decideAt(task, 10_000_000, { mayAct: false }).effect).toBeUndefined();
    }
  });
});

describe('a place in the queue, or a turn', () => {
  const letter = { state: 'present', phase: 'Pending' } as const;
  const key = {
    state: 'missing',
    message: 'Secret "a" does not exist.',
    retryInMs: 9_000,
  } as const;
  const sources = {
    state: 'missing',
    message: 'Secret "p" does not exist.',
    readMono: MONO0,
  } as const;
  const deleted = aTask().build();
  deleted.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
  const notUsed: [string, TaskBuilder, FactsChange][] = [
    ['is suspended', aTask().spec({ suspend: true }), {}],
    ['is being deleted', { ...aTask(), build: () => deleted }, {}],
    ['may not be acted on', aTask(), { mayAct: false }],
    ['has no API key', aTask(), { key }],
    ['lacks what its submission needs', aTask(), { memory: { sources } }],
    ['rests', aTask(), { memory: { notBeforeMono: MONO0 + 10_000 } }],
    ['has passed its deadline', aTask().waiting('Pending', T0 - 700_000), { watchedMs: 0 }],
    ['has been accepted', aTask().intended().submitted(), {}],
    ['was submitted by another process', aTask().intended(T0, { by: 'operator-b/1' }), {}],
    ['wrote its intent too long ago', aTask().intended(), { memory: { intent: own({ sentMono: MONO0 - 5_000 }) } }],
    ['is held by a letter', aTask().intended().submitted().marked().markConfirmed(), { letter }],
    ['has failed', aTask().failed(), {}],
  ];
  test.each(notUsed)('is given up before anything else by a task that %s', (_what, task, change) => {
    for (const ticket of ['queued', 'granted', 'elsewhere'] as const) {
      expect(kind(decideAt(task, 0, { ...change, lane: { ticket, pollPauseMs: 0 } }))).toBe('leaveLane');
    }
    for (const ticket of ['none', 'calling'] as const) {
      expect(kind(decideAt(task, 0, { ...change, lane: { ticket, pollPauseMs: 0 } }))).not.toBe('leaveLane');
    }
  });
  test('of another API key is given up even by a task that waits for its turn or could use it', () => {
    const lane = { ticket: 'elsewhere', pollPauseMs: 0 } as const;
    expect(kind(decideAt(aTask(), 0, { lane }))).toBe('leaveLane');
    expect(kind(decideAt(aTask().intended(), 0, { lane, memory: { intent: own() } }))).toBe('leaveLane');
  });
  test('takes with it what was read for it, where leadership was lost meanwhile', () => {
    const memory = { sources: { state: 'ready', image: new Uint8Array(9) } } as const;
    for (const mayAct of [true, false]) expect(kind(decideAt(aTask(), 0, { mayAct, memory }))).toBe('leaveLane');
    const lane = { ticket: 'calling', pollPauseMs: 0 } as const;
    expect(kind(decideAt(aTask(), 0, { mayAct: false, memory, lane }))).toBeUndefined();
  });
  test('is kept while its API key is read', () => {
    const lane = { ticket: 'granted', pollPauseMs: 0 } as const;
    expect(kind(decideAt(aTask(), 0, { lane, key: { state: 'unread' } }))).toBe('readKey');
  });
  test('whose call is under way is waited for, whatever became of the attempt', () => {
    const lane = { ticket: 'calling', pollPauseMs: 0 } as const;
    const task = aTask().spec({ backoffLimit: 1 }).intended().submitted().attemptEnded();
    expect(decideAt(task, 0, { lane, memory: { intent: own({ call: 'underWay' }) } }).effect).toBeUndefined();
  });
});

describe('a waiting task', () => {
  const lane = { ticket: 'queued', pollPauseMs: 0, blockage: { reason: 'ProviderBusy' } } as const;
  const memory = { waitingSinceMono: MONO0 };
  test('says why after two seconds, once', () => {
    expect(decideAt(aTask(), 1_999, { lane, memory })).toMatchObject({ wakeInMs: 1 });
    expect(reasonOf(decideAt(aTask(), 2_000, { lane, memory }))).toBe('ProviderBusy');
    expect(decideAt(aTask().waiting('ProviderBusy'), 60_000, { lane, memory }).effect).toBeUndefined();
  });
  test('writes again when the reason changes', () => {
    expect(reasonOf(decideAt(aTask().waiting('MissingAPIKey'), 60_000, { lane, memory }))).toBe('ProviderBusy');
  });
  test('writes nothing while the lane moves, or while others write', () => {
    const moving = { ticket: 'queued', pollPauseMs: 0 } as const;
    expect(decideAt(aTask(), 60_000, { lane: moving, memory }).effect).toBeUndefined();
    expect(decideAt(aTask(), 60_000, { lane, memory, mayWriteWaiting: false }).effect).toBeUndefined();
  });
  test('without its key is stalled and says what is missing', () => {
    const key = { state: 'missing', message: 'Secret "a" does not exist.', retryInMs: 9_000 } as const;
    const decision = decideAt(aTask(), 3_000, { key, memory });
    expect(statusOf(decision)?.conditions?.map((one) => [one.type, one.message])).toContainEqual([
      'Stalled',
      'Secret "a" does not exist.',
    ]);
    const said = aTask().status(statusOf(decision) ?? {});
    expect(decideAt(said, 3_000, { key, memory })).toMatchObject({ wakeInMs: 9_000 });
  });
});
