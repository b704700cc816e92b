/** When a refused callback asks for a poll of its task: the interval, the places, the spool. */
import { beforeEach, expect, test } from 'vitest';
import type { CallbackVerdict } from '../../../src/core/callback/callback.ts';
import { createPollRequests } from '../../../src/callback/poll-requests.ts';
import type { PollRequests } from '../../../src/callback/poll-requests.ts';
import type { SpoolRecord } from '../../../src/callback/spool/record.ts';
import { T0 } from '../../support/builders.ts';

const claims = { kid: 'k1', namespace: 'default', name: 'login', uid: 'u', attempt: 1 };
let wallClock: number;
let monotonic: number;
let asked: number;
let spooled: SpoolRecord[];
let answer: () => Promise<CallbackVerdict>;
let requests: PollRequests;

beforeEach(() => {
  wallClock = T0;
  monotonic = 5_000;
  asked = 0;
  spooled = [];
  answer = () => Promise.resolve({ kind: 'duplicate' });
  requests = createPollRequests({
    run: () => {
      asked++;
      return answer();
    },
    spool: { append: async (record) => (spooled.push(record), 'written' as const), release: () => undefined },
    intervalMs: 10_000,
    now: () => wallClock,
    monotonicMs: () => monotonic,
  });
});

test('a task is asked for once in the interval, another task at once', () => {
  requests.request('t', claims);
  requests.request('t', claims);
  requests.request('o', { ...claims, uid: 'other' });
  expect(asked).toBe(2);
  monotonic += 10_000;
  requests.request('t', claims);
  expect(asked).toBe(3);
});

test('a clock that is set back keeps no task from being asked for, and one set forward asks no sooner', async () => {
  requests.request('t', claims);
  wallClock += 3_600_000;
  requests.request('t', claims);
  expect(asked).toBe(1);
  wallClock -= 7_200_000;
  monotonic += 10_000;
  requests.request('t', claims);
  expect(asked).toBe(2);
  await requests.idle();
});

test('what the Kubernetes API does not take is spooled, with the time of day', async () => {
  answer = () => Promise.resolve({ kind: 'retry', error: { class: 'Unavailable', message: 'down' } });
  requests.request('t', claims);
  await requests.idle();
  expect(spooled).toEqual([{ kind: 'due', token: 't', receivedTime: T0 }]);
});
