/**
 * A short form of `npm run torture -- spool full-disk mutants`: a few deaths instead of a thousand, and the proof that
 * the torture notices the two mistakes that it is there for.
 */
import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/sidecar.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { tortureSpool } from '../torture/spool-level.ts';
import type { Mutant, TortureReport } from '../torture/spool-level.ts';

/** When a sidecar dies is chance, so one round may pass over a mistake; five do not. */
async function catchMutant(mutant: Mutant, isCaught: (report: TortureReport) => boolean): Promise<boolean> {
  for (let seed = 1; seed <= 5; seed++) {
    if (isCaught(await tortureSpool({ kills: 4, answered: 400, seed, mutant }))) return true;
  }
  return false;
}

describe('a sidecar that is killed again and again', { timeout: 300_000 }, () => {
  test('loses nothing that it answered 200, and applies nothing twice', async () => {
    const report = await tortureSpool({ kills: 6, answered: 600, seed: 1 });
    expect(report).toMatchObject({ lost: 0, twice: 0, wrong: [] });
  });

  test('loses nothing either when its disk is full again and again, and drains it while it is', async (context) => {
    const directory = await temporaryDirectory();
    const disk = await mountSmallDisk(directory, 24);
    context.skip(disk === undefined, 'mounting is not allowed here');
    try {
      const report = await tortureSpool({ kills: 8, answered: 600, seed: 1, disk: disk! });
      expect(report).toMatchObject({ lost: 0, twice: 0, wrong: [] });
      expect(report.bornFull).toBeGreaterThan(0);
    } finally {
      await disk?.unmount();
      await rm(directory, { recursive: true });
    }
  });

  test('is seen losing callbacks when it answers before it writes', async () => {
    expect(await catchMutant('answer-before-write', ({ lost }) => lost > 0)).toBe(true);
  });

  test('is seen applying callbacks twice when it looks first and then writes without a test', async () => {
    expect(await catchMutant('check-then-insert', ({ twice }) => twice > 0)).toBe(true);
  });
});
