import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { redactFields } from '../../../src/ops/redact.ts';
import { nameSources } from '../../../src/ops/stack.ts';

const folder = mkdtempSync(join(tmpdir(), 'stack-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A bundle of three lines: the first and the third are line 10 and 11 of one of our sources, the second a package's. */
function bundle(name: string): string {
  const file = join(folder, name);
  // Each group is a line: [column, source, line, column] as differences. S = line 9 (of 0), A = 0, C = 1.
  const mappings = 'AASA;;AACA';
  writeFileSync(`${file}.map`, JSON.stringify({ version: 3, sources: ['../../src/kube/a.ts'], names: [], mappings }));
  return file;
}

describe('a stack that is written', () => {
  test('names our source and its line where the bundle has a map', () => {
    const file = bundle('operator.js');
    expect(nameSources(`Error: no\n    at work (${file}:1:7)\n    at ${file}:3:1`)).toBe(
      'Error: no\n    at work (src/kube/a.ts:10:1)\n    at src/kube/a.ts:11:1',
    );
  });

  test('leaves a line of a package in the bundle as it is, however near to ours', () => {
    const file = bundle('callback.js');
    expect(nameSources(`    at Pool (${file}:2:5)`)).toBe(`    at Pool (${file}:2:5)`);
  });

  test.each([
    '    at listen (node:net:1939:7)',
    '    at go (/app/src/kube/a.ts:1:2)',
    '    at go (/nowhere/b.js:1:2)',
    '',
  ])('leaves what has no map as it is: %j', (line) => {
    expect(nameSources(line)).toBe(line);
  });

  test('is written as it is when the map cannot be read', () => {
    const file = join(folder, 'broken.js');
    writeFileSync(`${file}.map`, '{"version":3');
    expect(nameSources(`    at go (${file}:1:2)`)).toBe(`    at go (${file}:1:2)`);
  });

  test('is named in the fields of a log line', () => {
    const error = new Error('no');
    error.stack = `Error: no\n    at work (${bundle('gateway.js')}:1:7)`;
    expect(redactFields({ error })).toMatchObject({ error: { stack: 'Error: no\n    at work (src/kube/a.ts:10:1)' } });
  });
});
