/** First come, first served. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLine } from '../../../src/waiting/line.ts';

test('gives back everything in the order of its coming, however long it is and whatever comes meanwhile', () => {
  // Pushed, or taken where negative: enough that the line is cut in between.
  const steps = fc.array(fc.integer({ min: -3_000, max: 2_000 }), { maxLength: 12 });
  fc.assert(
    fc.property(steps, (counts) => {
      const line = createLine<number>();
      const taken: number[] = [];
      let pushed = 0;
      const take = (): boolean => {
        const next = line.take();
        if (next !== undefined) taken.push(next);
        return next !== undefined;
      };
      for (const count of counts) {
        for (let n = 0; n < count; n++) line.push(pushed++);
        for (let n = 0; n > count; n--) take();
        expect(line.size).toBe(pushed - taken.length);
      }
      while (take());
      expect(taken.length).toBe(pushed);
      expect(taken.findIndex((item, place) => item !== place)).toBe(-1);
    }),
    { numRuns: 50 },
  );
});

test('is empty after it was cleared, and goes on', () => {
  const line = createLine<string>();
  line.push('a');
  line.clear();
  line.push('b');
  expect([line.size, line.take(), line.take()]).toEqual([1, 'b', undefined]);
});
