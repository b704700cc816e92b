/** What liveness makes of a real reflector's watches: it fails on what a restart may cure, and on nothing else. */
import { afterEach, expect, test } from 'vitest';
import type { Reflector, ReflectorClock } from '../../src/kube/reflector.ts';
import { checkWatches, createCallRecord } from '../../src/ops/health.ts';
import { signsOfLife } from '../../src/ops/watches.ts';
import { answer } from '../support/scripted-api.ts';
import { waitUntil } from '../support/wait-until.ts';
import { follow, releaseAll, startWatchServer } from '../support/watch-server.ts';

afterEach(releaseAll);

const MINUTE = 60_000;

/** A clock on which waiting costs no time, and other calls that have always succeeded. */
function surroundings() {
  let sleptMs = 0;
  const monotonicMs = () => performance.now() + sleptMs;
  const clock: ReflectorClock = {
    monotonicMs,
    random: () => 0.5,
    sleep: async (delayMs) => {
      sleptMs += delayMs;
      await new Promise((resolve) => setTimeout(resolve, 2));
    },
  };
  const startedMs = monotonicMs();
  const calls = createCallRecord();
  calls.succeeded(startedMs);
  return {
    clock,
    goOn: (delayMs: number) => (sleptMs += delayMs),
    minutes: () => (monotonicMs() - startedMs) / MINUTE,
    complaints(reflector: Reflector) {
      calls.succeeded(monotonicMs());
      return checkWatches({
        watches: () => signsOfLife(() => [{ ...reflector, resource: 'captchatasks' }]),
        calls,
        nowMs: monotonicMs,
      })();
    },
  };
}

test.each([
  ['a namespace that may not be watched', 403, { kind: 'Status', code: 403, reason: 'Forbidden' }],
  ['a CRD that is not there', 404, { kind: 'Status', code: 404, reason: 'NotFound' }],
])('%s is no reason for a restart', async (_title, status, body) => {
  const server = await startWatchServer();
  server.api.handle((_request, response) => answer(response, status, body));
  const { clock, minutes, complaints } = surroundings();
  const { reflector } = await follow(server, { clock, namespace: 'shut' });
  await waitUntil('ten minutes to pass', () => minutes() > 10);
  expect(complaints(reflector)).toEqual([]);
});

test('a watch of which nothing comes, not even a refusal, is one after three minutes', async () => {
  const server = await startWatchServer();
  server.api.handle(() => {});
  const { clock, goOn, complaints } = surroundings();
  const { reflector } = await follow(server, { clock, namespace: 'ns' });
  goOn(2.9 * MINUTE);
  expect(complaints(reflector)).toEqual([]);
  goOn(0.2 * MINUTE);
  expect(complaints(reflector)).toEqual([
    'the watch of captchatasks in namespace ns is silent while other calls succeed',
  ]);
});
