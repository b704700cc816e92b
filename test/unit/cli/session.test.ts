/** What people are shown: ages, durations, tables, and the order of a list. */
import { describe, expect, test } from 'vitest';
import { inOrder, listText, rowOf, sumText } from '../../../src/cli/list.ts';
import { durationMs } from '../../../src/cli/flags.ts';
import { ageOf, tableOf } from '../../../src/cli/session.ts';
import { aTask, T0 } from '../../support/builders.ts';

test.each([
  ['90', 90_000],
  ['90s', 90_000],
  ['500ms', 500],
  ['10m', 600_000],
  ['1h', 3_600_000],
  ['', undefined],
  ['-1', undefined],
  ['1d', undefined],
  ['soon', undefined],
])('the duration %j is %s ms', (text, ms) => {
  expect(durationMs(text)).toBe(ms);
});

test.each([
  [0, '0s'],
  [-5_000, '0s'],
  [119_000, '119s'],
  [120_000, '2m'],
  [7_200_000, '2h'],
  [172_800_000, '2d'],
])('an age of %s ms is written %s', (ms, text) => {
  expect(ageOf(T0, T0 + ms)).toBe(text);
});

test('a table has its columns under each other and nothing at the ends of lines', () => {
  expect(
    tableOf([
      ['A', 'LONGER', 'C'],
      ['wide', 'b', ''],
    ]),
  ).toBe('A      LONGER   C\nwide   b');
});

const waiting = (name: string, reason: 'ProviderBusy' | 'MissingAPIKey', ageMs: number) =>
  rowOf(
    aTask()
      .named(name)
      .created(T0 - ageMs)
      .waiting(reason)
      .build(),
  );

describe('a list', () => {
  const rows = [
    waiting('young', 'ProviderBusy', 1_000),
    waiting('keyless', 'MissingAPIKey', 1_000),
    waiting('old', 'ProviderBusy', 600_000),
  ];

  test('goes by reason, and within it by age', () => {
    expect(inOrder(rows).map(({ name }) => name)).toEqual(['keyless', 'old', 'young']);
  });

  test('shows the namespace only where there are several', () => {
    expect(listText(rows, T0, false)).not.toContain('NAMESPACE');
    expect(listText(rows, T0, true)).toMatch(/^NAMESPACE +NAME +TYPE +PHASE +REASON +AGE +MESSAGE\n/);
    expect(listText([], T0, true)).toBe('nothing is open');
  });

  test('shows no solution, though it shows finished tasks', () => {
    const solved = aTask().intended().submitted().solved(undefined, { value: 'a-solution' }).build();
    expect(listText([rowOf(solved)], T0, false)).not.toContain('a-solution');
    expect(JSON.stringify(rowOf(solved))).not.toContain('a-solution');
  });

  test('sums up how many wait for what, and since when', () => {
    expect(
      sumText([...rows, rowOf(aTask().created(T0).build())], T0)
        .split('\n')
        .map((line) => line.split(/ {2,}/)),
    ).toEqual([
      ['REASON', 'TASKS', 'OLDEST'],
      ['(not seen yet)', '1', '0s'],
      ['MissingAPIKey', '1', '1s'],
      ['ProviderBusy', '2', '10m'],
    ]);
  });
});
