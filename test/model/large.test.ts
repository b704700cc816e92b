/** The submission protocol in its larger worlds, and the mutants that take longer to find: a minute or two. */
import { expect, test } from 'vitest';
import { MEDIUM } from './configurations.ts';
import { explore } from './explore.ts';
import { createModel } from './model.ts';
import { MUTANTS } from './mutants.ts';
import { PRODUCT } from './product.ts';

test.for(Object.entries(MEDIUM))('%s: nothing that must not be can be reached, and an end always can', ([, world]) => {
  const { faults, complete } = explore(createModel(world, PRODUCT));
  expect(faults).toEqual([]);
  expect(complete).toBe(true);
});

test.for(Object.entries(MUTANTS).filter(([, { late }]) => late === true))(
  'the model notices when %s',
  ([, { world, breaks, product }]) => {
    const { faults } = explore(createModel(world, product), { until: breaks });
    expect(faults.map(({ sentence }) => sentence)).toContain(breaks);
  },
);
