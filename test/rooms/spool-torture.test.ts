/**
 * A short form of `npm run torture -- spool mutants`: a few dozen deaths instead of a thousand, and the proof that the
 * torture notices the two mistakes that it is there for.
 */
import { describe, expect, test } from 'vitest';
import { tortureSpool } from '../torture/spool-level.ts';

describe('a sidecar that is killed again and again', { timeout: 240_000 }, () => {
  test('loses nothing that it answered 200, and applies nothing twice', async () => {
    const report = await tortureSpool({ kills: 6, answered: 600, seed: 1 });
    expect(report).toMatchObject({ lost: 0, twice: 0, wrong: [] });
  });

  test('is seen losing callbacks when it answers before it writes', async () => {
    const report = await tortureSpool({ kills: 6, answered: 600, seed: 1, mutant: 'answer-before-write' });
    expect(report.lost).toBeGreaterThan(0);
  });

  test('is seen applying callbacks twice when it looks first and then writes without a test', async () => {
    const report = await tortureSpool({ kills: 2, answered: 600, seed: 1, mutant: 'check-then-insert' });
    expect(report.twice).toBeGreaterThan(0);
  });
});
