/** Every wait is bounded and leaves nothing behind. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { enterWithin, pause, within } from '../../../src/kube/pause.ts';
import { createGate } from '../../../src/waiting/gate.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('a pause ends by its time or, at once, by its signal', async () => {
  const aborter = new AbortController();
  const long = pause(1_000, aborter.signal);
  const short = pause(10, aborter.signal);
  vi.advanceTimersByTime(10);
  expect(await short).toBe(true);
  aborter.abort();
  expect([await long, await pause(1_000, aborter.signal), await pause(0, undefined)]).toEqual([false, false, true]);
});

test('work is waited for until its time is over or the signal aborts', async () => {
  const never = new Promise<string>(() => undefined);
  expect(await within(Promise.resolve('done'), 1_000)).toBe('done');
  const late = within(never, 10);
  vi.advanceTimersByTime(10);
  expect([await late, await within(never, 1_000, AbortSignal.abort())]).toEqual([undefined, undefined]);
});

test('a place is waited for until it comes, the time is over, the signal aborts, or the line is full', async () => {
  const gate = createGate(1, 3);
  expect(enterWithin(gate, 100)).toBe(true);
  const aborter = new AbortController();
  const late = enterWithin(gate, 10);
  const aborted = enterWithin(gate, 100, aborter.signal);
  const patient = enterWithin(gate, 100);
  expect(await enterWithin(gate, 100)).toBe(false);
  aborter.abort();
  vi.advanceTimersByTime(10);
  expect([await late, await aborted, gate.waiting()]).toEqual([false, false, 1]);
  gate.leave();
  expect(await patient).toBe(true);
  gate.leave();
  expect(enterWithin(gate, 1)).toBe(true);
});

test('nobody waits for a place whose signal has aborted already', async () => {
  const gate = createGate(1);
  gate.enter();
  expect(await enterWithin(gate, 100, AbortSignal.abort())).toBe(false);
  expect(gate.waiting()).toBe(0);
});
