/** The page about provider variants is what the tests expect, and they expect something of every type. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { VARIANTS_PAGE, variantsPage } from '../../scripts/generate-variants-docs.ts';
import { CAPTCHA_TYPES } from '../../src/api/names.ts';
import { KINDS } from '../support/captcha-kinds.ts';
import { EXCEPTIONS, VARIANTS } from '../support/provider-variants.ts';

describe('the page about provider variants', () => {
  test('is the one generated from the expectations (else run: npm run generate:docs)', () => {
    expect(readFileSync(join(import.meta.dirname, '../..', VARIANTS_PAGE), 'utf8')).toBe(variantsPage());
  });

  test('has every type but Custom, whose method is anybody’s', () => {
    const types = new Set(Object.values(KINDS).map(({ captcha }) => captcha.type));
    expect(CAPTCHA_TYPES.filter((type) => !types.has(type))).toEqual(['Custom']);
  });

  test('names no exception for a variant that does not exist', () => {
    const variants = new Set(VARIANTS.map(([name, value]) => `${name}=${value}`));
    expect(Object.keys(EXCEPTIONS).filter((variant) => !variants.has(variant))).toEqual([]);
  });
});
