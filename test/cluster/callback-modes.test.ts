/**
 * A provider that ignores callback URLs, calls back again, and refuses them, through real processes: what the operator
 * learns from tasks that leave its watch, and what the provider's books say was paid.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptchaTask, CaptchaTaskSpec } from '../../src/api/captchatask.ts';
import { admin } from '../support/cluster.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import { startWorld, type World } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

const OTHER_ACCOUNT = 'other0key0other0key0other0key000';

let world: World;

beforeAll(async () => {
  world = await startWorld({
    operatorEnv: { CALLBACK_SILENCE_LIMIT: '2' },
    simulator: { switches: { pingback: 'ignored' } },
  });
});
afterAll(async () => {
  await world?.stop();
});

/** First polled after 5 s where no callback is expected, and after two minutes else. */
async function apply(name: string, spec: Partial<CaptchaTaskSpec> = {}): Promise<void> {
  const pageURL = `https://shop.example/${world.namespace}/${name}`;
  const captcha = { type: 'RecaptchaV3', recaptchaV3: { siteKey: 'site-key', pageURL, action: 'login' } } as const;
  await world.apply(name, { spec: { captcha, ...spec } });
}

const messageOf = ({ status }: CaptchaTask) => status?.conditions?.find(({ type }) => type === 'Solved')?.message;

async function gauge(name: string): Promise<number> {
  const text = await (await fetch(world.fleet.operators[0]?.metricsURL ?? '')).text();
  return Number(new RegExp(`^captcha_operator_${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function eventsOf(reason: string): Promise<{ type: string; note: string }[]> {
  const path = `/apis/events.k8s.io/v1/namespaces/${world.namespace}/events`;
  const { items } = objectOf<{ items: { type: string; reason: string; note: string }[] }>(await admin.get(path));
  return items.filter((event) => event.reason === reason);
}

describe('the callbacks of an API key', () => {
  test('that do not come are not waited for: its tasks are polled from the start and say why', async () => {
    for (const name of ['unheard-1', 'unheard-2']) {
      await apply(name, { callbackTimeoutSeconds: 1 });
      await world.untilPhase(name, 'Solved');
    }
    await waitUntil('a silent key', async () => (await gauge('callback_silent_keys')) === 1);
    await apply('silent');
    const waiting = await world.untilPhase('silent', 'Submitted');
    expect(messageOf(waiting)).toBe('Of late no callbacks came for this API key; asking the provider for the result.');
    const task = await world.untilPhase('silent', 'Solved', 30_000);
    expect(task.status).toMatchObject({ solution: { source: 'Poll' }, submission: { pingback: true } });
    await waitUntil('the event', async () => (await eventsOf('CallbacksSilent')).length === 1);
    expect(await gauge('callback_refused_keys')).toBe(0);
  });

  test('that come back are waited for again', async () => {
    await world.simulator.control.switches({ pingback: 'works' });
    await apply('heard');
    const task = await world.untilPhase('heard', 'Solved', 30_000);
    expect(task.status?.solution?.source).toBe('Callback');
    await waitUntil('a key that is not silent', async () => (await gauge('callback_silent_keys')) === 0);
    await world.simulator.control.switches({ pingback: 'ignored' });
    await apply('trusting');
    const waiting = await world.untilPhase('trusting', 'Submitted');
    expect(messageOf(waiting)).toBe('The provider accepted the task; waiting for its callback.');
  });
});

describe('a provider that refuses the callback URL of an account', () => {
  const apiKeySecretRef = { name: 'other-account', key: 'api-key' };

  test('gets the same attempt without it, and is paid once', async () => {
    await world.createSecret('other-account', { 'api-key': OTHER_ACCOUNT });
    await world.simulator.control.switches({ pingback: 'registered' });
    await apply('refused', { apiKeySecretRef });
    const waiting = await world.untilPhase('refused', 'Submitted');
    expect(messageOf(waiting)).toBe(
      'The provider refuses the callback URL and accepted the task without it; asking it for the result.',
    );
    const task = await world.untilPhase('refused', 'Solved', 30_000);
    expect(task.status).toMatchObject({ attempts: 1, submission: { attempt: 1, pingback: false } });
    const submissions = await world.submissions('refused');
    expect(submissions.map(({ pingback, answer, code, paid }) => [pingback !== '', answer, code, paid])).toEqual([
      [true, 'refused', 'ERROR_IP_ADDRES', false],
      [false, 'accepted', undefined, true],
    ]);
    await waitUntil('the event', async () => (await eventsOf('CallbackRefused')).length === 1);
    expect((await eventsOf('CallbackRefused'))[0]?.type).toBe('Warning');
    expect(await gauge('callback_refused_keys')).toBe(1);
  });

  test('is not asked again for the next task of that account', async () => {
    await apply('refused-before', { apiKeySecretRef });
    await world.untilPhase('refused-before', 'Solved', 30_000);
    expect((await world.submissions('refused-before')).map(({ pingback }) => pingback)).toEqual(['']);
  });
});
