/** When spooled records are tried again, and what their verdicts say of the API. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createApiHealth } from '../../../src/callback/api-health.ts';
import { createDrainer } from '../../../src/callback/drainer.ts';
import type { SpoolEntry } from '../../../src/callback/spool/types.ts';
import type { CallbackVerdict } from '../../../src/core/callback/callback.ts';
import { callbackPath } from '../../support/sidecar.ts';
import { aTask } from '../../support/builders.ts';

/** The record that nobody can read. */
const DAMAGED = 0;
const DONE: CallbackVerdict = { kind: 'duplicate' };
const UNAVAILABLE: CallbackVerdict = { kind: 'retry', error: { class: 'Unavailable', message: '' } };
const FORBIDDEN: CallbackVerdict = { kind: 'retry', error: { class: 'Forbidden', message: '' } };
const token = callbackPath(aTask().build()).split('/').at(-1)!;

const entryOf = (n: number): SpoolEntry => ({ offset: n, receivedTime: n }) as SpoolEntry;

function startDrainer() {
  const health = createApiHealth();
  const verdicts = new Map<number, CallbackVerdict>();
  const tried: number[] = [];
  const released: number[] = [];
  const drainer = createDrainer({
    health,
    concurrency: 4,
    spool: {
      read: async ({ offset }) => {
        tried.push(offset);
        if (offset === DAMAGED) return undefined;
        const callback = { id: String(offset), code: 'x' };
        return { kind: 'callback', token, callback, receivedTime: 0 };
      },
      release: ({ offset }) => void released.push(offset),
    },
    run: async () => verdicts.get(tried.at(-1)!) ?? DONE,
    hooks: {
      onResult: () => undefined,
      onVerdict: () => undefined,
      onDeferred: () => undefined,
      onSpoolFault: () => undefined,
      onCrash: () => undefined,
    },
  });
  const offer = async (n: number): Promise<void> => {
    drainer.offer(entryOf(n));
    await settle();
  };
  return { health, verdicts, tried, released, offer, stop: (boundMs: number) => drainer.stop(boundMs) };
}
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a success of anybody cuts the waiting short of what failed because of the API', async () => {
  const { health, verdicts, released, offer } = startDrainer();
  for (const n of [1, 2, 3, 4, 5]) {
    verdicts.set(n, UNAVAILABLE);
    await offer(n);
    health.succeeded();
    await settle();
  }
  await vi.advanceTimersByTimeAsync(1_200);
  verdicts.clear();
  expect(released).toEqual([]);
  health.succeeded();
  await settle();
  expect(new Set(released)).toEqual(new Set([1, 2, 3, 4, 5]));
});

test('a task whose own writes fail is not tried again with every success', async () => {
  const { health, verdicts, tried, offer } = startDrainer();
  verdicts.set(1, UNAVAILABLE);
  await offer(1);
  for (let n = 0; n < 100; n++) {
    health.succeeded();
    await settle();
  }
  expect(tried.length).toBeLessThanOrEqual(2);
});

test('a record that the API refuses waits out its delay, whoever succeeds', async () => {
  const { health, verdicts, tried, offer } = startDrainer();
  verdicts.set(1, FORBIDDEN);
  await offer(1);
  await vi.advanceTimersByTimeAsync(1_200);
  expect(tried).toEqual([1, 1]);
  // Its second delay is 1.6 s at least.
  await vi.advanceTimersByTimeAsync(1_100);
  health.succeeded();
  await settle();
  expect(tried).toEqual([1, 1]);
});

test('a refusal shows that the API is there, and a record nobody can read shows nothing', async () => {
  const { health, verdicts, released, offer } = startDrainer();
  for (let n = 0; n < 3; n++) health.failed();
  await offer(DAMAGED);
  verdicts.set(1, FORBIDDEN);
  await offer(1);
  await vi.advanceTimersByTimeAsync(600);
  expect(released).toEqual([DAMAGED]);
  expect(health.isUp()).toBe(false);
  await vi.advanceTimersByTimeAsync(1_200);
  expect(health.isUp()).toBe(true);
  expect(released).toEqual([DAMAGED]);
});

test('stopping tries what waits for its delay once more, and what is offered after it stays on the disk', async () => {
  const { health, verdicts, tried, released, offer, stop } = startDrainer();
  verdicts.set(1, UNAVAILABLE);
  await offer(1);
  health.succeeded();
  await settle();
  verdicts.clear();
  await stop(1_000);
  expect(released).toEqual([1]);
  const triedBefore = tried.length;
  await offer(2);
  expect(tried).toHaveLength(triedBefore);
  expect(released).toEqual([1]);
  expect(vi.getTimerCount()).toBe(0);
});
