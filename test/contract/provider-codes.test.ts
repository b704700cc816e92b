/** The code table, the page about it, and the metric labels agree. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PROVIDER_CODES_PAGE, renderProviderCodes } from '../../scripts/generate-provider-docs.ts';
import { PROVIDER_CODES } from '../../src/core/provider-codes.ts';
import { PROVIDER_CODES as CODE_LABELS, PROVIDER_OPERATIONS } from '../../src/ops/metrics/labels.ts';
import { REQUEST_CODES, REQUEST_OPERATIONS } from '../../src/provider/labels.ts';

describe('the page about provider codes', () => {
  it('is the one generated from the table (else run: node scripts/generate-provider-docs.ts)', () => {
    expect(readFileSync(PROVIDER_CODES_PAGE, 'utf8')).toBe(renderProviderCodes());
  });

  it('shows every code', () => {
    const page = renderProviderCodes();
    for (const { code } of PROVIDER_CODES) expect(page).toContain(`| \`${code}\` |`);
  });
});

describe('the labels of provider calls', () => {
  it('are the same where they are made and where they are counted', () => {
    expect([...CODE_LABELS].toSorted()).toEqual([...REQUEST_CODES].toSorted());
    expect([...PROVIDER_OPERATIONS].toSorted()).toEqual([...REQUEST_OPERATIONS].toSorted());
  });
});
