import { describe, expect, test } from 'vitest';
import type { ApiRequest } from '../../../../src/kube/types.ts';
import type { TaskBuilder } from '../../../support/builders.ts';
import type { Stage } from '../../../support/task-controller.ts';
import { CAPTCHA_TASK, SECRET } from '../../../../src/api/names.ts';
import { DEFAULT_POLICY } from '../../../../src/core/task/policy.ts';
import { formatTime } from '../../../../src/core/task/times.ts';
import { aSecret, aTask } from '../../../support/builders.ts';
import { refusal } from '../../../support/model-api.ts';
import { passTime as pass, useFakeClock } from '../../../support/fake-clock.ts';

let stage: Stage;
const startStage = useFakeClock();

async function start(change: Parameters<typeof startStage>[0] = {}): Promise<void> {
  stage = await startStage(change);
  let id = 1_000;
  stage.answer = () => ({ kind: 'accepted', captchaID: String((id += 1)) });
}
/** `ageMs` older than now: the oldest task is the first in line. */
const named = (name: string, ageMs = 0): TaskBuilder =>
  aTask()
    .created(Date.now() - ageMs)
    .named(name)
    .uid(`uid-of-${name}`);
/** Its intents are in status, for it was tried before. */
const tried = (name: string, ageMs = 0): TaskBuilder =>
  named(name, ageMs).intended(Date.now()).notAccepted('Pending', Date.now());
const keyed = (name: string, ageMs = 0) =>
  named(name, ageMs).spec({
    apiKeySecretRef: { name: 'tenant', key: 'api-key' },
  });
const isPutOf = (name: string) => (request: ApiRequest) => request.verb === 'replaceStatus' && request.name === name;
const phaseOf = (name: string) => stage.task(name)?.status?.phase;
const seedTenantKey = () => stage.api.seed(SECRET.plural, aSecret('tenant', { 'api-key': 'k'.repeat(32) }));

describe('a turn that its task cannot use goes to the next', () => {
  test.each([
    [403, 'Forbidden'],
    [422, 'Invalid'],
  ])('when the API server refuses its intent (%i)', async (status, reason) => {
    await start();
    stage.api.faults.push((request) => (isPutOf('bad')(request) ? refusal(status, reason) : undefined));
    stage.apply(tried('bad', 60_000));
    await pass(100);
    stage.apply(named('good'));
    await pass(2_000);
    expect(phaseOf('good')).toBe('Submitted');
  });

  test('when what its submission needs cannot be read', async () => {
    await start();
    stage.api.faults.push((request) =>
      request.resource.plural === SECRET.plural
        ? {
            ...refusal(500, 'InternalError', 'unable to transform key'),
            transient: true,
          }
        : undefined,
    );
    stage.apply(
      named('bad', 60_000).spec({
        proxy: { type: 'HTTP', secretRef: { name: 'proxy', key: 'address' } },
      }),
    );
    await pass(100);
    stage.apply(named('good'));
    await pass(2_000);
    expect(phaseOf('good')).toBe('Submitted');
  });

  test('when its API key is taken away while it waits', async () => {
    await start({ policy: { ...DEFAULT_POLICY, maxConcurrentSubmissions: 8 } });
    seedTenantKey();
    stage.apply(keyed('first'));
    await pass(100);
    const calls = Promise.withResolvers<void>();
    const { answer } = stage;
    stage.answer = async (request) => {
      if (request.apiKey.startsWith('k')) await calls.promise;
      return await answer(request);
    };
    for (let n = 0; n < 20; n += 1) stage.apply(keyed(`t${n}`));
    await pass(100);
    expect(stage.submissions).toHaveLength(9);
    stage.api.remove(SECRET.plural, 'tenant');
    await pass(61_000);
    stage.apply(keyed('late'));
    await pass(5_000);
    calls.resolve();
    await pass(100);
    stage.apply(named('other'));
    await pass(2_000);
    expect(phaseOf('other')).toBe('Submitted');
  });

  test('when it is deleted and a finalizer keeps it', async () => {
    await start();
    const first = Promise.withResolvers<void>();
    const { answer } = stage;
    stage.answer = async (request) => {
      if (stage.submissions.length > 1) return await answer(request);
      await first.promise;
      return { kind: 'refused', class: 'permanent', code: 'ERROR_PAGEURL' };
    };
    stage.apply(named('first', 120_000));
    await pass(100);
    stage.apply(named('bad', 60_000));
    await pass(100);
    const bad = named('bad', 60_000).build();
    const metadata = {
      ...bad.metadata,
      deletionTimestamp: formatTime(Date.now()),
      finalizers: ['example.com/track'],
    };
    stage.client.change(CAPTCHA_TASK.plural, 'bad', () => stage.api.seed(CAPTCHA_TASK.plural, { ...bad, metadata }));
    stage.apply(named('good'));
    await pass(100);
    first.resolve();
    await pass(2_000);
    expect(phaseOf('good')).toBe('Submitted');
  });

  test('when its intent took so long to write that it may not be used any more', async () => {
    await start();
    const slow = Promise.withResolvers<void>();
    stage.client.fate = (request) => (isPutOf('slow')(request) ? slow.promise : undefined);
    stage.apply(tried('slow', 60_000));
    await pass(6_000);
    slow.resolve();
    stage.apply(named('good'));
    await pass(2_000);
    expect(phaseOf('good')).toBe('Submitted');
    // Its call was never made, and this process knows: nothing is unknown about it, and no attempt is used up.
    expect(stage.task('slow')?.status).toMatchObject({ phase: 'Submitted', attempts: 1, unknownSubmissions: 0 });
    expect(stage.submissions).toHaveLength(2);
  });

  test('when another process was first with its intent', async () => {
    await start();
    const late = Promise.withResolvers<void>();
    stage.client.fate = (request) => (isPutOf('bad')(request) ? late.promise : undefined);
    stage.apply(tried('bad', 60_000));
    await pass(100);
    stage.client.fate = () => undefined;
    const theirs = named('bad', 60_000).intended(Date.now(), { by: 'operator-b/1' }).build();
    stage.client.change(CAPTCHA_TASK.plural, 'bad', () => stage.api.seed(CAPTCHA_TASK.plural, theirs));
    late.resolve();
    await pass(100);
    stage.apply(named('good'));
    await pass(2_000);
    expect(phaseOf('good')).toBe('Submitted');
    expect(stage.submissions).toHaveLength(1);
  });

  test('when its deadline passes before the operator has watched for long enough', async () => {
    await start();
    stage.api.seed(SECRET.plural, aSecret('proxy', { address: '10.0.0.1:8080' }));
    const slow = Promise.withResolvers<void>();
    stage.client.fate = (request) => (request.resource.plural === SECRET.plural ? slow.promise : undefined);
    const proxied = named('bad', 60_000).spec({
      proxy: { type: 'HTTP', secretRef: { name: 'proxy', key: 'address' } },
      activeDeadlineSeconds: 2,
    });
    stage.apply(proxied.waiting('ProviderBusy', Date.now()));
    await pass(3_000);
    slow.resolve();
    stage.apply(named('good'));
    await pass(1_000);
    expect(phaseOf('good')).toBe('Submitted');
    expect(phaseOf('bad')).toBe('Pending');
  });

  test('when it was the probe of a key that rests', async () => {
    await start();
    let busy = true;
    const { answer } = stage;
    stage.answer = (request) =>
      busy ? { kind: 'refused', class: 'busy', code: 'ERROR_NO_SLOT_AVAILABLE' } : answer(request);
    stage.apply(named('first', 120_000));
    await pass(100);
    busy = false;
    stage.api.faults.push((request) => (isPutOf('bad')(request) ? refusal(403, 'Forbidden') : undefined));
    stage.apply(tried('bad', 180_000));
    await pass(10_000);
    expect(phaseOf('first')).toBe('Submitted');
  });
});
