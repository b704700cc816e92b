/**
 * Once for the clients tier: a Python with the clients installed, or the reason why there is none. On a developer's
 * machine without Python or network those tests are skipped, and say so; in CI that is a failure.
 */
import type { TestProject } from 'vitest/node';
import { pythonWithClients, type Python } from './python.ts';

declare module 'vitest' {
  interface ProvidedContext {
    python: Python;
  }
}

const log = (line: string): void => console.error(`[clients] ${line}`);

export async function setup(project: TestProject): Promise<void> {
  const python = await pythonWithClients(process.env, log).catch((error: unknown): Python => ({
    missing: `the Python clients cannot be installed: ${String(error)}`,
  }));
  if ('missing' in python) {
    if (process.env['CI'] === 'true') throw new Error(python.missing);
    log(`${python.missing}; tests of the Python clients are skipped`);
  }
  project.provide('python', python);
}
