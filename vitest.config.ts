import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

// One project a tier: `npx vitest --project unit` runs one of them. A test file waits more than it computes, so four run
// at once also where there are two cores. The cluster tier comes after all others, because real processes on a machine
// that has no time for them prove less; each of its three places has a control plane of its own (cluster-setup.ts).
// The limits end tests that hang, they measure nothing: ten seconds of CPU are minutes where a machine is busy.
const forks = { pool: 'forks' as const };
const quick = { ...forks, maxWorkers: 4, sequence: { groupOrder: 0 }, testTimeout: 120_000, hookTimeout: 120_000 };
const cluster = { ...forks, maxWorkers: 3, sequence: { groupOrder: 1 }, testTimeout: 180_000, hookTimeout: 600_000 };
const UNIT = ['test/unit/**/*.test.ts', 'test/histories/**/*.test.ts', 'test/model/model.test.ts'];
export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      // Values in, values out: files that share a process take half the time, and nothing else is between them.
      { test: { ...quick, name: 'unit', isolate: false, include: UNIT } },
      { test: { ...quick, name: 'model', testTimeout: 300_000, include: ['test/model/large.test.ts'] } },
      { test: { ...quick, name: 'rooms', include: ['test/rooms/**/*.test.ts'] } },
      { test: { ...quick, name: 'contract', include: ['test/contract/**/*.test.ts'] } },
      {
        test: {
          ...quick,
          name: 'clients',
          include: ['test/clients/**/*.test.ts'],
          globalSetup: ['test/clients/setup.ts'],
        },
      },
      {
        test: {
          ...cluster,
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          globalSetup: ['test/support/cluster-setup.ts'],
          // The rows of the crash points mostly wait.
          maxConcurrency: 9,
        },
      },
    ],
  },
});
