/**
 * Who imports a file: no shipped file with one importer without a reason, no header that names callers which are none.
 * The second half plants mistakes, so that both checks are known to be able to fail.
 */
import { describe, expect, test } from 'vitest';
import { type OneImporter, REASONS, headerFaults, importerFaults } from '../support/importers.ts';
import { ONE_IMPORTER } from '../support/one-importer.ts';
import { readTrees } from '../support/source-tree.ts';

describe('the source tree', () => {
  const files = readTrees('src', 'dev');

  test('has no file for one importer without a reason', () => {
    expect(importerFaults(files, readTrees('test/unit'), ONE_IMPORTER).join('\n')).toBe('');
  });

  test('has no header that names callers which are none', () => {
    expect(headerFaults(files).join('\n')).toBe('');
  });
});

const NONE = Object.fromEntries(REASONS.map((reason) => [reason, []])) as unknown as OneImporter;

/** A tree of two processes that share two files. */
const SOUND = {
  'src/bin/operator.ts': "import { a } from '../core/a.ts';\nimport { b } from '../core/b.ts';",
  'src/bin/callback.ts': "import { a } from '../core/a.ts';\nimport { b } from '../core/b.ts';",
  'src/core/a.ts': 'export const a = 1;',
  'src/core/b.ts': 'export const b = 1;',
};

describe('the check of importers', () => {
  const faults = (files: Record<string, string>, listed = NONE, tests: Record<string, string> = {}): string[] =>
    importerFaults(new Map(Object.entries({ ...SOUND, ...files })), new Map(Object.entries(tests)), listed);
  const lonely = {
    'src/core/a.ts': "import { c } from './c.ts';\nexport const a = c;",
    'src/core/c.ts': 'export const c = 1;',
  };
  const rule: OneImporter = { ...NONE, 'a pure rule with its own test': ['core/c'] };

  test('accepts a sound tree', () => {
    expect(faults({})).toEqual([]);
  });

  test('finds a file with one importer, and a file with none', () => {
    expect(faults(lonely)).toEqual([
      expect.stringMatching(/^src\/core\/c\.ts has one importer, src\/core\/a\.ts; fold/),
    ]);
    expect(faults({ 'src/core/c.ts': 'export const c = 1;' })).toEqual([
      expect.stringMatching(/^src\/core\/c\.ts is imported by nothing/),
    ]);
  });

  test('counts what imports its types only', () => {
    expect(faults({ ...lonely, 'src/core/b.ts': "import type { C } from './c.ts';\nexport const b = 1;" })).toEqual([]);
  });

  test('accepts a listed one, a rule only with a unit test that imports it', () => {
    expect(faults(lonely, { ...NONE, 'a subject of its own': ['core/c'] })).toEqual([]);
    expect(faults(lonely, rule)).toEqual([expect.stringMatching(/no unit test imports it/)]);
    const tests = { 'test/unit/core/c.test.ts': "import { c } from '../../../src/core/c.ts';" };
    expect(faults(lonely, rule, tests)).toEqual([]);
  });

  test('finds an entry of the list that is not needed: gone, or imported twice', () => {
    expect(faults({}, rule)).toEqual([expect.stringMatching(/^src\/core\/c\.ts is listed/)]);
    expect(faults({}, { ...NONE, 'a stage of a request': ['core/a'] })).toEqual([
      expect.stringMatching(/^src\/core\/a\.ts is listed/),
    ]);
  });

  test('accepts one that would fill its importer to the brim, comments and blank lines aside', () => {
    const long = (line: string): string => `${`${line}\n`.repeat(260)}${lonely['src/core/a.ts']}`;
    expect(faults({ ...lonely, 'src/core/a.ts': long('export {};') })).toEqual([]);
    expect(faults({ ...lonely, 'src/core/a.ts': long('// why') })).toHaveLength(1);
    expect(faults({ ...lonely, 'src/core/a.ts': long('') })).toHaveLength(1);
  });
});

function said(header: string): string[] {
  const text = `/**\n * ${header}\n */\nexport const a = 1;`;
  return headerFaults(new Map(Object.entries({ ...SOUND, 'src/core/a.ts': text })));
}

describe('the check of headers', () => {
  test.each([
    ['a caller that is none', 'What it is for. Called by `core/b`.', /names core\/b, which does not import it/],
    ['one of two that is none', 'Used by `bin/operator.ts` and `b.ts`.', /names b\.ts, which does not/],
    ['callers without a file', 'Used by both processes.', /names no files/],
    ['a list that goes on without a file', 'Called by `bin/operator.ts` and the tests.', /names no files/],
    ['an "alone" that is not', 'Called by `bin/operator` alone.', /"alone", but src\/bin\/callback\.ts imports it too/],
    ['the same over a line break', 'Called by\n * `bin/operator` only.', /"only", but src\/bin\/callback\.ts/],
    ['a claim within a sentence', 'It is pure and used by `b.ts`.', /names b\.ts/],
  ])('finds %s', (_what, header, expected) => {
    expect(said(header).join('\n')).toMatch(expected);
  });

  test.each([
    ['true ones', 'Called by `bin/operator.ts` and `bin/callback`.'],
    ['a folder', 'Used by `bin/` alone.'],
    ['other uses of the words', 'A reply is read by its text. Things are called by their names.'],
  ])('accepts %s', (_what, header) => {
    expect(said(header)).toEqual([]);
  });
});
