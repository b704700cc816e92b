/** What we send and what other clients send for the same task: every difference that is left has a reason. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compareBodies, reasonFor, typesOfTheirs, unusedReasons } from '../../scripts/client-differences.ts';
import { CLIENTS_PAGE, clientsPage } from '../../scripts/generate-client-docs.ts';

describe('the page about provider clients', () => {
  test('is the one generated from the recorded bodies (else run: node scripts/generate-client-docs.ts)', () => {
    expect(readFileSync(join(import.meta.dirname, '../..', CLIENTS_PAGE), 'utf8')).toBe(clientsPage());
  });
});

describe('our encoder', () => {
  test('differs from other clients for a reason alone (else add it to scripts/client-differences.ts)', () => {
    const differences = compareBodies().flatMap(({ differences }) => differences);
    expect(differences.filter((difference) => reasonFor(difference) === undefined)).toEqual([]);
  });

  test('has no reason for a difference that is gone', () => {
    expect(unusedReasons()).toEqual([]);
  });

  test('is compared in every type that it and the provider’s own client have', () => {
    expect(typesOfTheirs('captchaai')).toEqual([]);
  });
});
