/** Lines come out whole, however the bytes are cut. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLineSplitter } from '../../../src/kube/watch.ts';

test('gives the same lines for every way to cut the bytes, multibyte characters included', () => {
  const line = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).map((text) => text.replaceAll('\n', '·'));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 9 })), (lines, sizes) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const seen: string[] = [];
      const splitter = createLineSplitter(10_000, (text) => seen.push(text));
      let at = 0;
      for (let cut = 0; at < bytes.length; cut++) {
        const size = sizes[cut % Math.max(1, sizes.length)] ?? 7;
        splitter.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(seen).toEqual(lines);
      expect(splitter.pending()).toBe(0);
    }),
  );
});

test('keeps an unfinished line back', () => {
  const seen: string[] = [];
  const splitter = createLineSplitter(100, (text) => seen.push(text));
  splitter.push(Buffer.from('{"a":1}\n{"b"'));
  expect(seen).toEqual(['{"a":1}']);
  expect(splitter.pending()).toBe(4);
});

test('refuses a line beyond the limit', () => {
  const splitter = createLineSplitter(10, () => {});
  expect(() => splitter.push(Buffer.from('12345678901'))).toThrow(RangeError);
});
