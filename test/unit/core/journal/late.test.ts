/** When `Submitted` of a first submission yields to other requests, and when those that have yielded are written. */
import { describe, expect, test } from 'vitest';
import { LATE_MS, type Pressure, vacancies, yields } from '../../../../src/core/journal/late.ts';

const CALM: Pressure = { queueing: false, gathered: 0, recording: 0, fullness: 0.1 };
const NEARLY_FULL = 0.76;

describe('`Submitted` is written at once while API requests are not queueing, and yields while they are', () => {
  test.each<[string, Partial<Pressure>, boolean]>([
    ['nothing else is under way', {}, false],
    ['requests wait for a place, or for a slow server', { queueing: true }, true],
    ['one intent went alone', { gathered: 1 }, false],
    ['intents and ids come faster than the journal is written', { gathered: 4 }, true],
    ['three others are being written', { recording: 3 }, false],
    ['as many are being written as may be at once', { recording: 4 }, true],
    ['requests queue, and the journal is nearly full', { queueing: true, gathered: 9, fullness: NEARLY_FULL }, false],
  ])('%s', (_, pressure, expected) => {
    expect(yields({ ...CALM, ...pressure })).toBe(expected);
  });
});

describe('those that have yielded are written last in line', () => {
  test.each<[string, Partial<Pressure>, number, number]>([
    ['two at a time while nothing queues', {}, 0, 2],
    ['one more, where one is under way', { recording: 1 }, 0, 1],
    ['none while requests queue', { queueing: true }, LATE_MS - 1, 0],
    ['four at a time, whatever queues, when one has waited for long', { queueing: true }, LATE_MS, 4],
    [
      'four at a time, whatever queues, when the journal is nearly full',
      { queueing: true, fullness: NEARLY_FULL },
      0,
      4,
    ],
    ['none beyond that', { recording: 5, fullness: NEARLY_FULL }, LATE_MS, 0],
  ])('%s', (_, pressure, waitedMs, expected) => {
    expect(vacancies({ ...CALM, ...pressure }, waitedMs)).toBe(expected);
  });
});
