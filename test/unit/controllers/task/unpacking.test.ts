import { expect, test } from 'vitest';
import { createUnpacking } from '../../../../src/controllers/task/unpacking.ts';
import { packTask } from '../../../../src/core/task/packed.ts';
import { aTask } from '../../../support/builders.ts';

test('the same copy is unpacked once, a newer one anew', () => {
  const unpack = createUnpacking();
  const packed = packTask(aTask().build());
  expect(unpack(packed)).toEqual(aTask().build());
  expect(unpack(packed)).toBe(unpack(packed));
  expect(unpack(packTask(aTask().build()))).not.toBe(unpack(packed));
});

test('only the last few are kept', () => {
  const unpack = createUnpacking();
  const first = packTask(aTask().build());
  const unpacked = unpack(first);
  for (let n = 0; n < 32; n++) unpack(packTask(aTask().build()));
  expect(unpack(first)).not.toBe(unpacked);
});
