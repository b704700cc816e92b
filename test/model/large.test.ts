/** The submission protocol in its larger worlds, and the mutants that take longer to find: a minute or two. */
import { expect, test } from 'vitest';
import { TASK_RULES } from '../../src/core/task/decide.ts';
import { MEDIUM, SMALL } from './configurations.ts';
import { explore } from './explore.ts';
import { createModel } from './model.ts';
import { JOURNAL_MUTANTS } from './journal-mutants.ts';
import { MUTANTS } from './mutants.ts';
import { PRODUCT, type Product } from './product.ts';

/** Rules that no world reaches: the model says nothing about them. */
const UNREACHED = [
  'a finished task needs nothing',
  'a task being deleted starts nothing',
  'a deadline that passed waits until the operator has watched for a while',
  'a task rests after an answer that may concern it alone',
  'the API key is read when it is needed',
  'a task without an API key waits and says what is missing',
  'a task whose proxy or image is missing waits and says so',
  'proxy, image and long texts are read when it is the turn of the task',
  'a turn is given up while the journal takes no entry of its namespace, for others may use theirs',
  'a first submission waits while the journal takes no entry',
];

const reached = new Set<string>();
const observed: Product = {
  ...PRODUCT,
  decide(facts, moment, policy) {
    const decision = PRODUCT.decide(facts, moment, policy);
    reached.add(decision.rule);
    return decision;
  },
};

test.for(Object.entries({ ...SMALL, ...MEDIUM }))(
  '%s: nothing that must not be can be reached, and an end always can',
  ([, world]) => {
    const { faults, complete } = explore(createModel(world, observed));
    expect(faults).toEqual([]);
    expect(complete).toBe(true);
  },
);

test('every rule of the table is reached in some world, but for those that are named here', () => {
  const rules = TASK_RULES.map(({ name }) => name);
  expect(rules.filter((rule) => !reached.has(rule))).toEqual(UNREACHED);
});

test.for(Object.entries({ ...MUTANTS, ...JOURNAL_MUTANTS }).filter(([, { late }]) => late === true))(
  'the model notices when %s',
  ([, { world, breaks, product }]) => {
    const { faults } = explore(createModel(world, product), { until: breaks });
    expect(faults.map(({ sentence }) => sentence)).toContain(breaks);
  },
);
