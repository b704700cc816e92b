/** Secrets that are there and that the API server cannot read: one whose key-encryption service is away, say. */
import { afterEach, describe, expect, test } from 'vitest';
import type { ApiRequest } from '../../../../src/kube/types.ts';
import type { TaskBuilder } from '../../../support/builders.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { SECRET } from '../../../../src/api/names.ts';
import { aSecret, aTask } from '../../../support/builders.ts';
import { refusal } from '../../../support/model-api.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

const fresh = () => aTask().created(Date.now());
const keyed = () => fresh().spec({ apiKeySecretRef: { name: 'captchaai', key: 'api-key' } });
const proxied = () => fresh().spec({ proxy: { type: 'HTTP', secretRef: { name: 'captchaai', key: 'api-key' } } });
const SECONDS = 1_000;

/** A stage whose Secrets cannot be read for now, and whose clocks move on command. */
async function unreadable(): Promise<{ reads(): number; heal(): void; after(ms: number): void }> {
  let offsetMs = 0;
  const monotonicMs = (): number => performance.now() + offsetMs;
  stage = await startStage({ clock: { now: () => Date.now() + offsetMs, random: () => 0.5, monotonicMs } });
  let reads = 0;
  const fault = (request: ApiRequest) => {
    if (request.resource.plural !== SECRET.plural) return undefined;
    reads += 1;
    return { ...refusal(500, 'InternalError', 'unable to transform key'), transient: true };
  };
  stage.api.seed(SECRET.plural, aSecret('captchaai', { 'api-key': 'user:pass@proxy.example.com:8080' }));
  stage.api.faults.push(fault);
  return {
    reads: () => reads,
    heal: () => void (stage.api.faults = []),
    after(ms) {
      offsetMs += ms;
      stage.controller.wake('default', 'login');
    },
  };
}

const stalled = () => stage.task()?.status?.conditions?.find(({ type }) => type === 'Stalled')?.message;

describe.each<[string, () => TaskBuilder, string]>([
  ['the API key', keyed, 'MissingAPIKey'],
  ['the proxy', proxied, 'Pending'],
])('a task that needs one for %s', (_what, task, reason) => {
  test('says so when that has lasted for two seconds, and its clock runs', async () => {
    const { reads, after } = await unreadable();
    stage.apply(task());
    await waitUntil('a read', () => reads() > 0);
    after(2.5 * SECONDS);
    const { status } = await stage.until('said', () => stalled() !== undefined);
    expect(stalled()).toBe('Secret "captchaai" cannot be read.');
    expect(stage.reason()).toBe(reason);
    expect(status?.startTime).toBeDefined();
    after(600 * SECONDS);
    await stage.until('failed', () => stage.reason() === 'DeadlineExceeded');
    expect(stage.submissions).toEqual([]);
  });
  test('goes on when the Secret can be read', async () => {
    const { reads, heal, after } = await unreadable();
    stage.apply(task());
    await waitUntil('a read', () => reads() > 0);
    after(2.5 * SECONDS);
    await stage.until('said', () => stalled() !== undefined);
    heal();
    after(10 * SECONDS);
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.phases()).toEqual(['Pending', 'Submitted']);
  });
  test('says nothing of a fault that passes at once', async () => {
    const { reads, heal, after } = await unreadable();
    stage.apply(task());
    await waitUntil('a read', () => reads() > 0);
    heal();
    after(0.5 * SECONDS);
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.phases()).toEqual(['Submitted']);
  });
});

test('an API key that was read before is used on while its Secret cannot be read', async () => {
  const { reads, heal, after } = await unreadable();
  const [fault] = stage.api.faults;
  heal();
  stage.apply(keyed());
  await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
  if (fault !== undefined) stage.api.faults.push(fault);
  after(61 * SECONDS);
  stage.apply(keyed().named('second').uid('uid-second'));
  await stage.until('submitted', ({ status }) => status?.phase === 'Submitted', 'second');
  expect(reads()).toBe(1);
});
