import { defineConfig } from 'vitest/config';

// One project a tier: `npx vitest --project unit` runs one of them. The cluster tier shares one control plane and a
// small machine, so its files run one after another.
const quick = { pool: 'forks' as const, testTimeout: 30_000, hookTimeout: 60_000 };
export default defineConfig({
  test: {
    projects: [
      { test: { ...quick, name: 'unit', include: ['test/unit/**/*.test.ts', 'test/histories/**/*.test.ts'] } },
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
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 600_000,
          globalSetup: ['test/support/cluster-setup.ts'],
        },
      },
    ],
  },
});
