import { defineConfig } from 'vitest/config';

// One project a tier: `npx vitest --project unit` runs one of them. The cluster tier shares one control plane and a
// small machine, so its files run one after another, and after all others. Those hardly use a core each, so a few of
// them run at once; so do the two files of the cluster tier that do little but wait (`--project 'cluster*'` runs both).
const besideOthers = { pool: 'forks' as const, maxWorkers: 4, sequence: { groupOrder: 0 } };
// The limits end tests that hang, they measure nothing: ten seconds of CPU are minutes where a machine is busy.
const quick = { ...besideOthers, testTimeout: 120_000, hookTimeout: 120_000 };
const cluster = {
  pool: 'forks' as const,
  testTimeout: 180_000,
  hookTimeout: 600_000,
  globalSetup: ['test/support/cluster-setup.ts'],
};
const WAITING = ['test/cluster/deaf-watches.test.ts', 'test/cluster/leaders.test.ts'];
const UNIT = ['test/unit/**/*.test.ts', 'test/histories/**/*.test.ts', 'test/model/model.test.ts'];
export default defineConfig({
  test: {
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
      { test: { ...cluster, ...besideOthers, name: 'cluster-waiting', include: WAITING } },
      {
        test: {
          ...cluster,
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          exclude: WAITING,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
