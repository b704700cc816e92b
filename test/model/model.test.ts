/**
 * The submission protocol, explored completely in its small worlds; and the mutants that are found there, each by the
 * sentence that it breaks. The larger worlds and the other mutants: `large.test.ts` and `npm run model`.
 */
import { expect, test } from 'vitest';
import { SMALL } from './configurations.ts';
import { explore } from './explore.ts';
import { createModel } from './model.ts';
import { JOURNAL_MUTANTS } from './journal-mutants.ts';
import { MUTANTS } from './mutants.ts';
import { PRODUCT } from './product.ts';

test.for(Object.entries(SMALL))('%s: nothing that must not be can be reached, and an end always can', ([, world]) => {
  const { faults, complete, states } = explore(createModel(world, PRODUCT));
  expect(faults).toEqual([]);
  expect(complete).toBe(true);
  expect(states).toBeGreaterThan(500);
});

test.for(Object.entries({ ...MUTANTS, ...JOURNAL_MUTANTS }).filter(([, { late }]) => late !== true))(
  'the model notices when %s',
  ([, { world, breaks, product }]) => {
    const { faults } = explore(createModel(world, product), { until: breaks });
    expect(faults.map(({ sentence }) => sentence)).toContain(breaks);
  },
);
