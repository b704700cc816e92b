import { createHash } from 'node:crypto';
import { assert, property, string } from 'fast-check';
import { expect, it } from 'vitest';
import { sha256Hex } from '../../../src/core/sha256.ts';

it('agrees with the platform on any text', () => {
  assert(
    property(string({ unit: 'grapheme', maxLength: 300 }), (text) => {
      expect(sha256Hex(text)).toBe(createHash('sha256').update(text).digest('hex'));
    }),
  );
});
it.each([0, 55, 56, 63, 64, 65, 119, 120, 70_000])('agrees with it on %i bytes', (length) => {
  const text = 'x'.repeat(length);
  expect(sha256Hex(text)).toBe(createHash('sha256').update(text).digest('hex'));
});
