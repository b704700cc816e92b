/** Turns come no faster than allowed, and none is lost. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createPacer, createSharedPacer } from '../../../src/waiting/pace.ts';

const gaps = fc.array(fc.nat(300), { minLength: 1, maxLength: 200 });

test('is never faster than allowed, after a burst of one second', () => {
  fc.assert(
    fc.property(gaps, (all) => {
      const pacer = createPacer(20);
      let mono = 0;
      const instants = all.map((gap) => {
        mono += gap;
        return Math.max(mono, pacer.book(mono));
      });
      const within = instants.map((from) => instants.filter((one) => one >= from && one < from + 1_000).length);
      // One second's worth, and what was saved up before it.
      expect(Math.max(...within)).toBeLessThanOrEqual(40);
      const lastMono = instants.at(-1) ?? 0;
      expect(all.length).toBeLessThanOrEqual(20 + (lastMono / 1_000) * 20 + 1);
    }),
  );
});

test('lets a burst through and books everyone after it a turn of his own', () => {
  const pacer = createPacer(10, 3);
  expect(Array.from({ length: 6 }, () => pacer.book(1_000))).toEqual([800, 900, 1_000, 1_100, 1_200, 1_300]);
});

test('saves up no more than the burst while nothing happens', () => {
  const pacer = createPacer(10, 2);
  pacer.book(0);
  expect(Array.from({ length: 3 }, () => pacer.book(60_000))).toEqual([59_900, 60_000, 60_100]);
});

test('takes a turn exactly where a bucket of tokens that fills evenly has one', () => {
  fc.assert(
    fc.property(gaps, (all) => {
      const pacer = createPacer(5, 25);
      let [mono, tokens] = [0, 25];
      for (const gap of all) {
        mono += gap;
        tokens = Math.min(25, tokens + gap / 200);
        // Beside the edge, where the two add up other fractions.
        if (Math.abs(tokens - 1) < 1e-9) tokens = 1;
        expect(pacer.take(mono)).toBe(tokens >= 1);
        if (tokens >= 1) tokens--;
      }
    }),
  );
});

test('a shared pace gives every group its turns, however many another one has booked', () => {
  const pacer = createSharedPacer(20);
  for (let n = 0; n < 10_000; n += 1) pacer.book('storm', 0);
  const waits = Array.from({ length: 40 }, () => pacer.book('other', 0));
  expect(waits[0]).toBeLessThanOrEqual(0);
  expect(waits.at(-1)).toBeLessThan(4_000);
});

test('a shared pace is not exceeded by all groups together, whatever they booked', () => {
  const pacer = createSharedPacer(20);
  const due: number[] = [];
  for (let group = 0; group < 10; group += 1) {
    for (let n = 0; n < 100; n += 1) due.push(pacer.book(`group-${group}`, 0));
  }
  let taken = 0;
  for (let mono = 0; mono <= 1_000; mono += 10) {
    for (const at of due) if (at <= mono && pacer.take(mono)) taken += 1;
  }
  expect(taken).toBeLessThanOrEqual(40);
});

test('a group that is alone has the whole pace', () => {
  const [shared, own] = [createSharedPacer(10, 3), createPacer(10, 3)];
  for (let n = 0; n < 50; n += 1) expect(shared.book('one', n * 40)).toBeCloseTo(own.book(n * 40));
});
