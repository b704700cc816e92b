/** The page of `kubectl captcha` shows the help of today; what a run prints is recorded by the same script. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { helpBlocks } from '../../scripts/generate-cli-docs.ts';

test('docs/kubectl-captcha.md holds what each command says of itself (run `npm run generate:cli-docs`)', () => {
  const page = readFileSync(new URL('../../docs/kubectl-captcha.md', import.meta.url), 'utf8');
  const blocks = helpBlocks();
  expect(blocks.length).toBeGreaterThan(7);
  expect(blocks.filter((block) => !page.includes(block))).toEqual([]);
});
