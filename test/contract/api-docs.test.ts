/** docs/api.md is what the generator writes: a field or reason that changes cannot leave its page behind. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { API_PAGE, generateApiDocs } from '../../scripts/generate-api-docs.ts';

test('docs/api.md is generated from the CRDs and the reasons', async () => {
  const page = readFileSync(join(import.meta.dirname, '../..', API_PAGE), 'utf8');
  expect(page === (await generateApiDocs()), 'run: npm run generate:api-docs').toBe(true);
});
