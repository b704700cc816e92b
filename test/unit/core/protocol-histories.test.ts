import { expect, test } from 'vitest';
import { playHistory } from '../../support/histories/history.ts';

/** How many histories, and from which seed: `HISTORIES=100000 HISTORY_SEED=1`, as CI has it. A failure names its seed. */
const COUNT = Number(process.env['HISTORIES'] ?? 2_000);
const FIRST = Number(process.env['HISTORY_SEED'] ?? 1);

test('loses no kept result, solves at most once and ends every letter, whoever acts, dies or repairs in whatever order', () => {
  const ends = new Map<string, number>();
  for (let seed = FIRST; seed < FIRST + COUNT; seed += 1) {
    try {
      const { task, letters } = playHistory(seed);
      const end = letters > 0 ? `${task}, letters` : task;
      ends.set(end, (ends.get(end) ?? 0) + 1);
    } catch {
      playHistory(seed, true);
    }
  }
  // Otherwise the histories would prove less than they claim.
  if (COUNT >= 1_000) expect([...ends.keys()]).toEqual(expect.arrayContaining(WORTH_SEEING));
  if (process.env['HISTORIES'] !== undefined) console.log(Object.fromEntries(ends));
}, 1_800_000);

const WORTH_SEEING = [
  'Solved Callback',
  'Solved Poll',
  'Solved DeadLetter, letters',
  'DeadlineExceeded',
  'ProviderRejected',
  'Unsolvable',
];
