/**
 * In which order test files start: those that take long first, so that none of them runs alone at the end. Vitest does so
 * by what it remembers of earlier runs; in a fresh clone, as CI has it, it remembers nothing. A name that is missing here
 * costs time, nothing else.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** From 15 s on, measured on two cores; the longest first. */
const LONG = [
  'cluster/deaf-watches',
  'cluster/leaders',
  'cluster/crash-points',
  'cluster/monitoring',
  'cluster/crash-points',
  'cluster/overload',
  'cluster/costs-under-load',
  'cluster/deadletter-storm',
  'cluster/deadletter-paths',
  'cluster/types',
  'cluster/cardinality',
  'cluster/paths',
  'cluster/crashes',
  'unit/core/protocol-histories',
  'model/large',
  'histories/two-operators',
  'rooms/spool-torture',
  'rooms/live',
  'contract/alerts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => placeOf(one) - placeOf(other));
  }
}

function placeOf({ moduleId }: TestSpecification): number {
  const place = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return place === -1 ? LONG.length : place;
}
