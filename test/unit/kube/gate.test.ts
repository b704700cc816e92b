/** Places are bounded, given in order, and not lost by those who gave up. */
import { expect, test } from 'vitest';
import { createGate } from '../../../src/kube/gate.ts';

test('gives out its width at once and the next place to whoever waits longest', async () => {
  const gate = createGate(2);
  expect([gate.enter(1_000, undefined), gate.enter(1_000, undefined)]).toEqual([true, true]);
  const order: string[] = [];
  const first = Promise.resolve(gate.enter(1_000, undefined)).then(() => order.push('first'));
  const second = Promise.resolve(gate.enter(1_000, undefined)).then(() => order.push('second'));
  expect([gate.inFlight(), gate.waiting()]).toEqual([2, 2]);
  gate.leave();
  await first;
  gate.leave();
  await second;
  expect(order).toEqual(['first', 'second']);
  gate.leave();
  gate.leave();
  expect([gate.inFlight(), gate.waiting()]).toEqual([0, 0]);
});

test('passes over those who gave up, by time or by signal', async () => {
  const gate = createGate(1);
  expect(gate.enter(1_000, undefined)).toBe(true);
  const aborter = new AbortController();
  const late = gate.enter(1, undefined);
  const aborted = gate.enter(1_000, aborter.signal);
  const patient = gate.enter(1_000, undefined);
  aborter.abort();
  expect([await late, await aborted, gate.waiting()]).toEqual([false, false, 1]);
  gate.leave();
  expect(await patient).toBe(true);
  gate.leave();
  expect(gate.enter(1, undefined)).toBe(true);
});
