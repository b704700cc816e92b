/** No shipped file exports what nobody imports. The second half plants mistakes, so that the check is known to fail. */
import { describe, expect, test } from 'vitest';
import { exportFaults } from '../support/exports.ts';
import { readTrees } from '../support/source-tree.ts';

test('the source tree exports nothing that no other file imports', () => {
  expect(exportFaults(readTrees('src', 'dev', 'test', 'scripts', 'examples')).join('\n')).toBe('');
});

const faults = (files: Record<string, string>): string[] => exportFaults(new Map(Object.entries(files)));
const user = (clause: string) => ({ 'src/core/b.ts': `import ${clause} from './a.ts';` });

describe('the check of exports', () => {
  test.each([
    ['a constant', 'export const a = 1;'],
    ['a function', 'export function a() {}'],
    ['a protocol', 'export function* a() {}'],
    ['a type', 'export type a = 1;'],
    ['what it only passes on', "export { b as a } from './b.ts';"],
    ['a constant that the file itself uses', 'export const a = 1;\nconst c = a;'],
  ])('finds %s', (_what, text) => {
    expect(faults({ 'src/core/a.ts': text, ...user('{ c }') })).toEqual([expect.stringMatching(/a\.ts exports a,/)]);
    expect(faults({ 'src/core/a.ts': text, ...user('{ a }') })).toEqual([]);
  });

  test('accepts what a test, a demo or an import of the whole file uses', () => {
    const text = 'export const a = 1;';
    expect(
      faults({ 'src/core/a.ts': text, 'test/unit/a.test.ts': "import { a } from '../../src/core/a.ts';" }),
    ).toEqual([]);
    expect(faults({ 'src/core/a.ts': text, ...user('* as everything') })).toEqual([]);
  });

  test('accepts a type that an export of the same file speaks of', () => {
    const text = 'export interface A {}\nexport const a = (b: A) => b;';
    expect(faults({ 'src/core/a.ts': text, ...user('{ a }') })).toEqual([]);
  });

  test('leaves the package for other programs and generated types alone', () => {
    expect(
      faults({ 'src/client/index.ts': 'export const a = 1;', 'src/api/generated/x.ts': 'export type A = 1;' }),
    ).toEqual([]);
  });
});
