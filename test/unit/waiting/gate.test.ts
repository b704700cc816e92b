/** Places are bounded, given in order, and not lost by those who gave up. */
import { expect, test } from 'vitest';
import { createGate } from '../../../src/waiting/gate.ts';

test('gives out its width at once and the next place to whoever waits longest', () => {
  const gate = createGate(2);
  expect([gate.enter(), gate.enter(), gate.enter()]).toEqual([true, true, false]);
  const order: string[] = [];
  for (const name of ['first', 'second']) gate.wait(() => order.push(name));
  expect([gate.inside(), gate.waiting()]).toEqual([2, 2]);
  gate.leave();
  expect([order, gate.enter()]).toEqual([['first'], false]);
  gate.leave();
  expect(order).toEqual(['first', 'second']);
  gate.leave();
  gate.leave();
  expect([gate.inside(), gate.waiting()]).toEqual([0, 0]);
});

test('passes over those who gave up; giving up twice, or after the place was given, changes nothing', () => {
  const gate = createGate(1);
  gate.enter();
  const order: string[] = [];
  const [late, patient] = ['late', 'patient'].map((name) => gate.wait(() => order.push(name)));
  late?.();
  late?.();
  expect(gate.waiting()).toBe(1);
  gate.leave();
  patient?.();
  expect([order, gate.inside(), gate.waiting()]).toEqual([['patient'], 1, 0]);
  gate.leave();
  expect(gate.enter()).toBe(true);
});

test('turns away whoever finds the line full', () => {
  const gate = createGate(1, 1);
  gate.enter();
  const giveUp = gate.wait(() => undefined);
  expect(gate.wait(() => undefined)).toBeUndefined();
  giveUp?.();
  expect(gate.wait(() => undefined)).toBeDefined();
});

test('a place that nobody holds cannot be given back', () => {
  expect(() => createGate(1).leave()).toThrow('not inside');
});
