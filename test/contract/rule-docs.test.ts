import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TASK_RULES } from '../../src/core/task/decide.ts';

const DOCS = join(import.meta.dirname, '../../docs');

test('a rule that a page shows in a line of the log is one of the table', () => {
  const pages = readdirSync(DOCS, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'));
  const shown = pages.flatMap((page) =>
    Array.from(readFileSync(join(DOCS, page), 'utf8').matchAll(/"rule":"([^"]+)"/g), ([, rule]) => rule),
  );
  expect(shown.length).toBeGreaterThan(0);
  expect(TASK_RULES.map(({ name }) => name)).toEqual(expect.arrayContaining(shown));
});
