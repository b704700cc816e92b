import { afterEach, describe, expect, test, vi } from 'vitest';
import type { DeadLetter } from '../../../../src/api/deadletter.ts';
import type { DeadLetterController } from '../../../../src/controllers/deadletter/index.ts';
import type { Metrics } from '../../../../src/ops/metrics.ts';
import type { ApiRequest, KubeObject } from '../../../../src/kube/types.ts';
import { createLetterStore, startDeadLetterController } from '../../../../src/controllers/deadletter/index.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import { DEFAULT_LETTER_POLICY } from '../../../../src/core/deadletter/schedule.ts';
import { T0, aTask } from '../../../support/builders.ts';
import { aLetter } from '../../../support/letters.ts';
import { createModelApi } from '../../../support/model-api.ts';
import { createModelClient } from '../../../support/model-client.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const opened: DeadLetterController[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(opened.splice(0).map((controller) => controller.stop({ drainMs: 1_000 })));
});

interface Setting {
  mayAct?: () => boolean;
  nowMs?: number;
  /** How far the wall clock is off by now. */
  stepMs?: () => number;
  inc?: Metrics['inc'];
  letters: DeadLetter[];
}

function start({ mayAct = () => true, nowMs = T0 + 60_000, stepMs = () => 0, inc = () => {}, letters }: Setting) {
  const now = (): number => nowMs + performance.now() + stepMs();
  const api = createModelApi(now);
  const client = createModelClient(api);
  const store = createLetterStore();
  const told: string[] = [];
  for (const letter of letters) {
    api.seed('deadletters', letter);
    store.feed.upsert(api.read<KubeObject>('deadletters', letter.metadata.name)!);
  }
  const controller = startDeadLetterController({
    client,
    store,
    policy: DEFAULT_LETTER_POLICY,
    mayAct,
    clock: { now, monotonicMs: () => performance.now(), random: () => 0.5 },
    metrics: { inc, observe: () => {}, gauge: () => {} },
    log: {
      isEnabled: () => false,
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: (message, fields) => told.push(`${message} ${JSON.stringify(fields)}`),
    },
    onLetter: (taskKey) => told.push(taskKey),
  });
  opened.push(controller);
  const phaseOf = (name: string) => api.read<DeadLetter>('deadletters', name)?.status?.phase;
  return { api, client, store, controller, told, phaseOf };
}

function named(name: string, change: Partial<DeadLetter['spec']> = {}): DeadLetter {
  const letter = aLetter(change).introduced().build();
  return { ...letter, metadata: { ...letter.metadata, name, uid: `uid-of-${name}` } };
}
const readsLetter = (request: ApiRequest): boolean =>
  request.verb === 'get' && request.resource.plural === 'deadletters';

test('a wall clock that is set back does not delay a retry that is planned', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  let offMs = 0;
  const { phaseOf } = start({ nowMs: T0 + 5_000 - performance.now(), stepMs: () => offMs, letters: [named('a')] });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(phaseOf('a')).toBe('Pending');
  offMs = -3_600_000;
  for (let ms = 0; ms < 6_000; ms += 100) await vi.advanceTimersByTimeAsync(100);
  expect(phaseOf('a')).toBe('Superseded');
});

describe('the dead-letter controller', () => {
  test('retries letters of different tasks side by side, but never two of one task', async () => {
    const other = { taskRef: { name: 'other', uid: 'other-uid' } };
    const { client, phaseOf } = start({ letters: [named('a'), named('b'), named('c', other)] });
    const gates = new Map<string, () => void>();
    client.fate = (request) => {
      if (!readsLetter(request) || !('name' in request)) return undefined;
      return new Promise<void>((resolve) => gates.set(request.name, resolve));
    };
    await waitUntil('two retries to be in flight', () => gates.size === 2);
    expect([...gates.keys()]).toEqual(['a', 'c']);
    gates.get('a')?.();
    await waitUntil('the second letter of the task to have its turn', () => gates.has('b'));
    expect(phaseOf('a')).toBe('Superseded');
    for (const open of gates.values()) open();
    await waitUntil('all to end', () => ['a', 'b', 'c'].every((name) => phaseOf(name) === 'Superseded'));
  });

  test('does nothing while another process leads, and everything when it becomes the leader', async () => {
    let leader = false;
    const { api, controller, phaseOf } = start({ mayAct: () => leader, letters: [named('a')] });
    await new Promise((resolve) => setImmediate(resolve));
    expect(api.writes).toEqual([]);
    leader = true;
    controller.actingChanged();
    await waitUntil('the letter to end', () => phaseOf('a') === 'Superseded');
  });

  test('counts what a letter solves, and as stale what came too late already when it was received', async () => {
    const counted: unknown[] = [];
    const inc: Metrics['inc'] = (name, labels) => {
      if (name.endsWith('results_total')) counted.push([name, labels]);
    };
    const letter = named('a', { receivedTime: formatTime(T0 + 130_000) });
    const { api, phaseOf } = start({ inc, nowMs: T0 + 400_000, letters: [letter] });
    api.seed('captchatasks', aTask().intended().submitted().build());
    await waitUntil('the letter to end', () => phaseOf('a') === 'Resolved');
    expect(counted).toEqual([
      ['captcha_operator_results_total', { source: 'DeadLetter' }],
      ['captcha_operator_stale_results_total', { type: 'RecaptchaV2' }],
    ]);
  });

  test('comes back to a letter that could not be read or written', async () => {
    const { client, phaseOf } = start({ letters: [named('a')] });
    let failures = 0;
    client.fate = (request) => {
      const hit = failures < 2 && (failures === 0 ? readsLetter(request) : request.verb === 'replaceStatus');
      failures += hit ? 1 : 0;
      return hit ? 'notSent' : undefined;
    };
    await waitUntil('the letter to end', () => phaseOf('a') === 'Superseded');
    expect(failures).toBe(2);
  });

  test('keeps no payload in its cache', () => {
    const { store } = start({ mayAct: () => false, letters: [named('a')] });
    expect(JSON.stringify([...store.values()])).not.toContain('solution-a');
  });

  test('wakes the task of a letter that changed or went', () => {
    const { store, told, api } = start({ mayAct: () => false, letters: [named('a')] });
    store.feed.remove({
      ...api.read('deadletters', 'a'),
      metadata: { name: 'a', namespace: 'default', resourceVersion: '999' },
    });
    expect(told).toEqual(['default/login']);
  });
});

test('what the cache says about a letter is a hint', () => {
  const abandoned: DeadLetter = { ...named('a'), status: { phase: 'Abandoned' } };
  const { controller } = start({ mayAct: () => false, letters: [abandoned] });
  expect(controller.lookup('default', 'a')).toEqual({ state: 'present', phase: 'Abandoned' });
  expect(controller.lookup('default', 'b')).toEqual({ state: 'absent' });
});
