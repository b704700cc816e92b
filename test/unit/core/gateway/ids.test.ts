/** The ids that the gateway gives out. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { belongsTo, ID_CHANCE, idOf, taskNameOf } from '../../../../src/core/gateway/ids.ts';

const chance = fc.integer({ min: ID_CHANCE[0], max: ID_CHANCE[1] - 1 });
const namespace = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);

describe('an id', () => {
  test('is 18 digits without a leading zero, and proves its namespace', () => {
    fc.assert(
      fc.property(namespace, chance, (name, number) => {
        const id = idOf(name, number);
        expect(id).toMatch(/^[1-9]\d{17}$/);
        expect(belongsTo(name, id)).toBe(true);
        expect(taskNameOf(id)).toBe(`gw-${id}`);
      }),
    );
  });

  test('that was made up, or belongs to another namespace, passes once in ten thousand', () => {
    let foreign = 0;
    let forged = 0;
    const tries = 100_000;
    for (let index = 0; index < tries; index++) {
      const id = idOf('team-a', ID_CHANCE[0] + index * 797_003);
      if (belongsTo('team-b', id)) foreign++;
      if (belongsTo('team-a', String(100_000_000_000_000_000 + index * 7_919_000_003))) forged++;
    }
    // Ten are expected of each; the numbers are fixed, so this is no matter of chance.
    expect(foreign).toBeLessThan(30);
    expect(forged).toBeLessThan(30);
  });

  test.each(['', '1', '12345678901234567', '1234567890123456789', '12345678901234567x', ' 123456789012345678'])(
    '"%s" is none',
    (id) => expect(belongsTo('team-a', id)).toBe(false),
  );
});
