/** ARCHITECTURE.md: its glossary names words and files that are there, its tree the rooms. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RANKS } from '../support/structure.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');

/** The cells of the table under a heading, without its two rows of head. */
function rowsUnder(heading: string): string[][] {
  const part = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? '';
  const lines = part.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Paths are from the root, or below src. */
function pathOf(name: string): string | undefined {
  return [name, `src/${name}`].map((path) => join(ROOT, path)).find((path) => existsSync(path));
}

const glossary = rowsUnder('Glossary');

describe('the glossary', () => {
  test('has forty entries at most, each word once', () => {
    expect(glossary.length).toBeGreaterThan(20);
    expect(glossary.length).toBeLessThanOrEqual(40);
    expect(new Set(glossary.map(([word]) => word)).size).toBe(glossary.length);
  });

  test.each(glossary)('%s: %s', (word = '', _means, file = '') => {
    const path = pathOf(file.replaceAll('`', ''));
    expect(path, `${file} is there`).toBeDefined();
    expect(readFileSync(path ?? '', 'utf8')).toMatch(new RegExp(word.replaceAll('*', ''), 'i'));
  });
});

test('the tree names the rooms that there are, in the order of their ranks', () => {
  const rooms = [...page.matchAll(/^ {2}(\w+)\/ {2,}/gm)].map(([, room]) => room);
  const there = readdirSync(join(ROOT, 'src'));
  expect(rooms).toEqual(RANKS.flat().filter((room) => there.includes(room)));
});

test('the rank line is the one that is checked', () => {
  const there = readdirSync(join(ROOT, 'src'));
  const groups = RANKS.map((group) => group.filter((room) => there.includes(room))).filter((group) => group.length > 0);
  const line = groups.map((group) => (group.length === 1 ? group.join('') : `{${group.join(', ')}}`)).join(' < ');
  expect(page).toContain(`\n${line}\n`);
});

const PAGES = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'README.md', 'docs', 'docs/decisions'].flatMap((name) =>
  name.endsWith('.md')
    ? [name]
    : readdirSync(join(ROOT, name))
        .filter((file) => file.endsWith('.md'))
        .map((file) => `${name}/${file}`),
);
const PATH = new RegExp(
  '`((?:src|dev|test|scripts|deploy|crds|examples|' + RANKS.flat().join('|') + ')/[\\w./-]*\\w)`',
  'g',
);

test.each(PAGES)('%s names only files that are there', (name) => {
  const text = readFileSync(join(ROOT, name), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '');
  const named = [...text.matchAll(PATH)].map(([, path = '']) => path);
  const isThere = (path: string): boolean =>
    ['', 'src/'].some((top) => ['', '.ts', '.test.ts'].some((end) => existsSync(join(ROOT, `${top}${path}${end}`))));
  expect(named.filter((path) => !isThere(path))).toEqual([]);
});
