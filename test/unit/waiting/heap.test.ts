/** The first in an order comes first, whatever was added meanwhile. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHeap } from '../../../src/waiting/heap.ts';

const smallerFirst = () => createHeap<number>((left, right) => left < right);

test('gives back everything, smallest first', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = smallerFirst();
      for (const number of numbers) heap.push(number);
      const sorted = Array.from(numbers, () => heap.pop());
      expect(sorted).toEqual([...numbers].sort((left, right) => left - right));
      expect(heap.pop()).toBeUndefined();
    }),
  );
});

test('shows the smallest of what is inside, while others come and go', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(9))), (steps) => {
      const heap = smallerFirst();
      const inside: number[] = [];
      for (const step of steps) {
        if (step === null) expect(heap.pop()).toBe(inside.shift());
        else heap.push(step);
        if (step !== null) inside.push(step);
        inside.sort((left, right) => left - right);
        expect([heap.size, heap.peek()]).toEqual([inside.length, inside[0]]);
      }
    }),
  );
});
