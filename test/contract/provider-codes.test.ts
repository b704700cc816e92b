/** The code table and the page about it agree. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PROVIDER_CODES_PAGE, renderProviderCodes } from '../../scripts/generate-provider-docs.ts';
import { PROVIDER_CODES } from '../../src/core/provider-codes.ts';

describe('the page about provider codes', () => {
  test('is the one generated from the table (else run: node scripts/generate-provider-docs.ts)', () => {
    expect(readFileSync(PROVIDER_CODES_PAGE, 'utf8')).toBe(renderProviderCodes());
  });

  test('shows every code', () => {
    const page = renderProviderCodes();
    for (const { code } of PROVIDER_CODES) expect(page).toContain(`| \`${code}\` |`);
  });
});
