/**
 * Whatever a comment, a page or a manifest cites by number is there: sections of docs/contract.md and of
 * docs/provider-api.md, and decisions. The second half plants mistakes, so that this test is known to be able to fail.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as api from '../../src/api/names.ts';
import { type Numbered, citationFaults, headingNumbers } from '../support/citations.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDERS = ['src', 'dev', 'test', 'scripts', 'crds', 'deploy', 'docs', 'examples', '.ci', '.github'];
const READ = /\.(?:ts|md|yaml|yml|sh|env|json)$|^\.ci\/run$|^Dockerfile$/;
/** This file plants citations that lead nowhere; the others are what others wrote. */
const SKIPPED = /(?:^|\/)node_modules\/|^test\/contract\/sections\.test\.ts$|^test\/fixtures\//;

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const files = readdirSync(ROOT, { withFileTypes: true })
  .flatMap((entry) => {
    if (!entry.isDirectory()) return [entry.name];
    if (!FOLDERS.includes(entry.name)) return [];
    const names = readdirSync(join(ROOT, entry.name), { recursive: true, encoding: 'utf8' });
    return names.map((name) => `${entry.name}/${name}`);
  })
  .filter((file) => READ.test(file) && !SKIPPED.test(file));

const contract = headingNumbers(read('docs/contract.md'));
const providerAPI = headingNumbers(read('docs/provider-api.md'));
const decisions = readdirSync(join(ROOT, 'docs/decisions')).toSorted();

describe('the documents that are cited by number', () => {
  test('number the sections of the contract from 1, and those about the provider from 0, each once', () => {
    expect(contract).toEqual(contract.map((_, index) => String(index + 1)));
    const main = providerAPI.filter((number) => /^\d+$/.test(number));
    expect(main).toEqual(main.map((_, index) => String(index)));
    expect(new Set(providerAPI).size).toBe(providerAPI.length);
  });

  test.each(decisions)('%s has its number as title, and says context, decision and consequences', (name) => {
    const text = read(`docs/decisions/${name}`);
    expect(text).toMatch(new RegExp(`^# ${name.slice(0, 4)} · [A-Z]`));
    for (const heading of ['Context', 'Decision', 'Consequences']) expect(text).toContain(`\n## ${heading}\n`);
  });

  test('gives no number to two decisions', () => {
    expect(new Set(decisions.map((name) => name.slice(0, 4))).size).toBe(decisions.length);
  });
});

test('the contract names every type, reason, class and stage of the API', () => {
  const sections = read('docs/contract.md').split(/^## /m);
  const [ofTasks = '', ofLetters = ''] = ['3. ', '4. '].map((number) =>
    sections.find((text) => text.startsWith(number)),
  );
  const { CAPTCHA_TYPES, UNKNOWN_REASONS, FAILED_REASONS, FAILURE_CLASSES, RESULT_SOURCES } = api;
  const inTasks = [...CAPTCHA_TYPES, ...UNKNOWN_REASONS, ...FAILED_REASONS, ...FAILURE_CLASSES, ...RESULT_SOURCES];
  expect(inTasks.filter((name) => !ofTasks.includes(`\`${name}\``))).toEqual([]);
  const inLetters = [...api.LETTER_PHASES, ...api.LETTER_STAGES, ...api.LETTER_ERROR_CLASSES];
  expect(inLetters.filter((name) => !new RegExp(`\\b${name}\\b`).test(ofLetters))).toEqual([]);
});

test('every command that a page, a header or a message names is in package.json', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = files.flatMap((file) =>
    read(file)
      .split('\n\n')
      .filter((paragraph) => !/\bnot in this version yet\b/i.test(paragraph))
      .flatMap((paragraph) =>
        [...paragraph.matchAll(/\bnpm run (?:-s )?([\w:-]*\w)/g)].map((match) => [file, match[1] ?? '']),
      ),
  );
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter(([, script = '']) => !(script in scripts))).toEqual([]);
});

test('every citation leads to its section or decision', () => {
  const numbered = { contract: new Set(contract), providerAPI: new Set(providerAPI), decisions: decisionNumbers() };
  const texts = files.map((file): [string, string] => [file, read(file)]);
  const cited = texts.filter(([, text]) => /\bsections? \d/i.test(text));
  expect(cited.length).toBeGreaterThan(15);
  expect(texts.flatMap(([file, text]) => citationFaults(file, text, numbered)).join('\n')).toBe('');
});

function decisionNumbers(): Set<string> {
  return new Set(decisions.map((name) => name.slice(0, 4)));
}

describe('the check of citations', () => {
  const documents: Numbered = {
    contract: new Set(['1', '2', '5']),
    providerAPI: new Set(['0', '3', '4', '4a']),
    decisions: new Set(['0001']),
  };
  const faults = (text: string, file = 'src/x.ts'): string[] => citationFaults(file, text, documents);

  test.each([
    ['a number alone', '// See section 9.', /section 9, but docs\/contract\.md/],
    ['a number of the contract', '// (contract, section 3)', /section 3, but docs\/contract\.md/],
    ['a number with its document behind it', '/* section 4 of the contract */', /section 4, but docs\/contract\.md/],
    ['the one of two that is missing', '// sections 2 and 7', /section 7, but/],
    ['the middle of a range', '// sections 1 to 2, sections 2 to 5', /section 3, but.*section 4, but/s],
    ['a number over a line break', '/**\n * as section\n * 8 says\n */', /^src\/x\.ts:2 cites section 8/],
    ['a number of the other page', '// provider-api.md section 2', /section 2, but docs\/provider-api\.md/],
    [
      'the same with a link',
      'See [provider-api.md](provider-api.md), section 9a.',
      /section 9a, but docs\/provider-api/,
    ],
    ['a number that could be of either', '// what provider-api.md says in section 5', /say right before the number/],
    ['a decision that is not there', '// decision 0009', /decision 0009, but docs\/decisions/],
    ['a decision in another spelling', '// see ADR 1', /four digits/],
  ])('finds %s', (_what, text, expected) => {
    expect(faults(text).join('\n')).toMatch(expected);
  });

  test.each([
    ['what is there', '// section 5; contract, sections 1 and 2; section 5 of the contract; decision 0001'],
    ['the other page, as a list', '// Facts: provider-api.md sections 0,\n// 3 and 4a. Then section 5.'],
    ['documents of others', '// RFC 9110, section 15.5'],
    ['a function that is called so', 'section(7); const sections = 7;'],
  ])('accepts %s', (_what, text) => {
    expect(faults(text)).toEqual([]);
  });

  test('takes a number alone in provider-api.md for one of its own', () => {
    expect(faults('as section 3 says', 'docs/provider-api.md')).toEqual([]);
    expect(faults('as section 2 says', 'docs/provider-api.md')).toHaveLength(1);
    expect(faults('see section 2 of the contract, and contract, section 5', 'docs/provider-api.md')).toEqual([]);
  });
});
