/**
 * Texts of any characters, for property tests: every code point but lone surrogates, every second one of ASCII. The
 * library's own unit `binary` says the same and takes 1.5 s to be made, once in every test file.
 */
import * as fc from 'fast-check';

const CHARACTER = fc
  .oneof(fc.nat(0x7f), fc.integer({ min: 0x80, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10_ff_ff }))
  .map((point) => String.fromCodePoint(point));

export function anyText(maxLength?: number): fc.Arbitrary<string> {
  return fc.string({ unit: CHARACTER, ...(maxLength === undefined ? {} : { maxLength }) });
}
