/** The pages about configuration and metrics say what the tables say. */
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { GENERATED_DOCS } from '../../scripts/generate-docs.ts';
import { parseOperatorConfig } from '../../src/ops/config.ts';
import type { Variable } from '../../src/ops/config/variable.ts';
import { VARIABLES } from '../../src/ops/config/variables.ts';
import { configFaultText } from '../../src/ops/lifecycle.ts';
import { METRICS } from '../../src/ops/metrics/table.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

describe('generated pages', () => {
  test.each(Object.keys(GENERATED_DOCS))('%s is what scripts/generate-docs.ts writes', (path) => {
    expect(read(path)).toBe(GENERATED_DOCS[path]?.());
  });

  test('show the faults of a configuration as the operator prints them', () => {
    const parsed = parseOperatorConfig({
      POLL_INTERVAL_SECONDS: '0',
      CALLBACK_URL: 'http://captcha.example.com',
      POD_NAMESPACE: 'captcha-system',
    });
    expect(read('docs/configuration.md')).toContain(configFaultText('operator', parsed.ok ? [] : parsed.faults));
  });
});

describe('the table of variables', () => {
  const rows: [string, Variable<unknown>][] = Object.entries(VARIABLES);

  test.each(rows)('%s has a default that its own kind accepts, or says what unset means', (_field, row) => {
    const defaults = typeof row.default === 'object' ? Object.values(row.default) : [row.default];
    for (const text of defaults) {
      if (text === undefined) expect(row.unset).toBeDefined();
      else expect(row.kind.read(text)).toBeDefined();
    }
  });

  test('has the variables of the contract (section 8), no more and no fewer', () => {
    expect(rows.map(([, row]) => row.name).sort()).toEqual(
      namesIn(8, /\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|\bKUBECONFIG\b/g),
    );
  });
});

test('the contract (section 8) says who reads each variable', () => {
  const table = sectionOf(8)
    .filter((paragraph) => paragraph.startsWith('|'))
    .join('\n');
  const rows = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const said = rows.flatMap(([, names = '', , readBy = '']) =>
    [...names.matchAll(/`([A-Z_]+)`/g)].map(([, name = '']) => [name, readBy === 'sidecar' ? 'callback' : readBy]),
  );
  const declared = Object.values(VARIABLES).map(({ name, readBy }) => [name, readBy]);
  expect(Object.fromEntries(said)).toEqual(Object.fromEntries(declared));
});

/** The paragraphs of a section of the contract, without what is not in this version yet. */
function sectionOf(number: number): string[] {
  const text =
    read('docs/contract.md')
      .split(/^## /m)
      .find((part) => part.startsWith(`${number}. `)) ?? '';
  return text
    .split('\n\n')
    .filter((paragraph) => !/\bnot in this version yet\b/i.test(paragraph.replaceAll('\n', ' ')));
}

function namesIn(section: number, pattern: RegExp): string[] {
  return [...new Set(sectionOf(section).join('\n\n').match(pattern))].sort();
}

test('manifests set no variable that nobody reads', () => {
  const names = readdirSync(new URL('deploy/', ROOT), { recursive: true, encoding: 'utf8' });
  const texts = names.filter((name) => /\.(?:yaml|env)$/.test(name)).map((name) => read(`deploy/${name}`));
  const set = texts.flatMap((text) => [
    ...[...text.matchAll(/^\s*- name: ([A-Z][A-Z0-9_]+)$/gm)].map(([, name = '']) => name),
    ...[...text.matchAll(/^(?:\s*- )?([A-Z][A-Z0-9_]+)=/gm)].map(([, name = '']) => name),
  ]);
  const known = Object.values(VARIABLES).map((row): string => row.name);
  expect(set.length).toBeGreaterThan(3);
  expect(set.filter((name) => !known.includes(name))).toEqual([]);
});

test('the metrics of the contract (section 9) are those that do not say why they are beyond it', () => {
  const contracted = Object.entries(METRICS).filter(([, row]) => !('beyondContract' in row));
  const named = namesIn(
    9,
    /\b(?:controller_runtime|workqueue|rest_client|leader_election|captcha_operator)_[a-z_]+\b/g,
  );
  expect(contracted.map(([name]) => name).sort()).toEqual(named);
});
