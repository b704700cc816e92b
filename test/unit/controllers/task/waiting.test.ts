import { afterEach, describe, expect, test } from 'vitest';
import type { Stage } from '../../../support/task-controller.ts';
import { SECRET } from '../../../../src/api/names.ts';
import { DEFAULT_POLICY, POLLABLE_MARK_MS } from '../../../../src/core/task/policy.ts';
import { aSecret, aTask } from '../../../support/builders.ts';
import { refusal } from '../../../support/model-api.ts';
import { startStage } from '../../../support/task-controller.ts';
import { waitUntil } from '../../../support/wait-until.ts';

let stage: Stage;
afterEach(() => stage.controller.stop({ drainMs: 0 }));

const fresh = () => aTask().created(Date.now());
const ownKeyed = () => fresh().spec({ apiKeySecretRef: { name: 'captchaai', key: 'api-key' } });
const NOT_FOR_TASKS = 'tasks may not name it, because what they name is sent to the provider.';
const messageOf = (stage: Stage) => stage.task()?.status?.conditions?.find(({ type }) => type === 'Stalled')?.message;

describe('a task whose API key is missing', () => {
  test.each([
    ['no Secret', undefined, 'Secret "captchaai" does not exist.'],
    ['no such key', aSecret('captchaai', { other: 'x' }), 'Secret "captchaai" has no key "api-key", or it is empty.'],
    [
      'a Secret that is not for tasks',
      aSecret('captchaai', { 'api-key': 'k'.repeat(32) }, 'kubernetes.io/service-account-token'),
      `Secret "captchaai" is of type kubernetes.io/service-account-token: ${NOT_FOR_TASKS}`,
    ],
  ])('says what a person must do: %s', async (_name, object, message) => {
    stage = await startStage();
    if (object !== undefined) stage.api.seed(SECRET.plural, object);
    stage.apply(ownKeyed());
    await stage.untilLater('waiting', () => stage.reason() === 'MissingAPIKey');
    expect(messageOf(stage)).toBe(message);
    expect(stage.submissions).toHaveLength(0);
  });
  test('names the Role to apply when the operator may not read the Secret', async () => {
    stage = await startStage();
    stage.api.faults.push((request) =>
      request.resource.plural === SECRET.plural ? refusal(403, 'Forbidden', 'secrets is forbidden') : undefined,
    );
    stage.apply(ownKeyed());
    await stage.untilLater('waiting', () => stage.reason() === 'MissingAPIKey');
    expect(messageOf(stage)).toContain('captcha-operator-tenant');
  });
  test('says so too when neither task nor operator has one', async () => {
    stage = await startStage({ ownKey: undefined });
    stage.apply(fresh());
    await stage.untilLater('waiting', () => stage.reason() === 'MissingAPIKey');
    expect(messageOf(stage)).toContain('apiKeySecretRef');
  });
  test('does not take an API server that is away for a missing Secret', async () => {
    stage = await startStage();
    stage.api.seed(SECRET.plural, aSecret('captchaai', { 'api-key': 'k'.repeat(32) }));
    let refused = 0;
    stage.client.fate = (request) => {
      if (request.resource.plural !== SECRET.plural || refused > 1) return undefined;
      refused += 1;
      return 'notSent';
    };
    stage.apply(ownKeyed());
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(refused).toBe(2);
    expect(stage.submissions[0]?.apiKey).toBe('k'.repeat(32));
  });
});

test.each([
  ['a proxy', { proxy: { type: 'HTTP' as const, secretRef: { name: 'tls', key: 'k' } } }],
  [
    'an image',
    { captcha: { type: 'Image' as const, image: { bodyFrom: { secretKeyRef: { name: 'tls', key: 'k' } } } } },
  ],
])(
  'a task that takes %s from a Secret that is not for tasks says why it waits, and sends nothing',
  async (_what, spec) => {
    stage = await startStage();
    stage.api.seed(SECRET.plural, aSecret('tls', { k: 'user:pass@10.0.0.1:8080' }, 'kubernetes.io/tls'));
    stage.apply(fresh().spec(spec));
    await stage.untilLater('waiting', () => messageOf(stage) !== undefined);
    expect(messageOf(stage)).toBe(`Secret "tls" is of type kubernetes.io/tls: ${NOT_FOR_TASKS}`);
    expect(stage.submissions).toHaveLength(0);
  },
);

const proxied = () => fresh().spec({ proxy: { type: 'HTTP', secretRef: { name: 'proxy', key: 'address' } } });

describe('what a submission needs beside the key', () => {
  test('is read and sent', async () => {
    stage = await startStage();
    stage.api.seed(SECRET.plural, aSecret('proxy', { address: 'user:pass@10.0.0.1:8080\n' }));
    stage.apply(proxied());
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions[0]?.proxy).toEqual({ type: 'HTTP', address: 'user:pass@10.0.0.1:8080' });
  });
  test('is sent as the task has it where it names the address of its proxy itself', async () => {
    stage = await startStage();
    stage.client.fate = (request) => (request.resource.plural === SECRET.plural ? 'notSent' : undefined);
    stage.apply(fresh().spec({ proxy: { type: 'SOCKS5', address: 'user:pass@10.0.0.1:1080' } }));
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions[0]?.proxy).toEqual({ type: 'SOCKS5', address: 'user:pass@10.0.0.1:1080' });
  });
  test('is waited for without an intent, and said', async () => {
    stage = await startStage();
    stage.api.seed(SECRET.plural, aSecret('proxy', { address: 'not an address' }));
    stage.apply(proxied());
    await stage.untilLater('stalled', () => messageOf(stage) !== undefined);
    expect(messageOf(stage)).toBe('Secret "proxy" holds no proxy address like user:pass@host:port.');
    expect(stage.phases()).toEqual(['Pending']);
  });
  test('includes an image that is given by reference', async () => {
    stage = await startStage();
    stage.api.seed(SECRET.plural, aSecret('picture', { png: 'image bytes' }));
    const image = { bodyFrom: { secretKeyRef: { name: 'picture', key: 'png' } } };
    stage.apply(fresh().spec({ captcha: { type: 'Image', image } }));
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(Buffer.from(stage.submissions[0]?.image ?? '').toString()).toBe('image bytes');
  });
  test('is held for one turn only: a task that loses it reads again', async () => {
    stage = await startStage();
    stage.api.seed(SECRET.plural, aSecret('proxy', { address: 'old:old@10.0.0.1:8080' }));
    const refused = Promise.withResolvers<void>();
    stage.client.fate = ({ verb }) => {
      if (verb !== 'replaceStatus') return undefined;
      refused.resolve();
      return 'notSent';
    };
    stage.apply(proxied().intended(Date.now()).notAccepted('Pending', Date.now()));
    await refused.promise;
    stage.client.fate = () => undefined;
    stage.apply(proxied().intended(Date.now()).notAccepted('Pending', Date.now()).spec({ suspend: true }));
    await stage.until('suspended', () => stage?.reason() === 'Suspended');
    stage.api.seed(SECRET.plural, aSecret('proxy', { address: 'new:new@10.0.0.1:8080' }));
    stage.apply(proxied().intended(Date.now()).notAccepted('Pending', Date.now()));
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions.map(({ proxy }) => proxy?.address)).toEqual(['new:new@10.0.0.1:8080']);
  });
  const body = 'A'.repeat(200_000);
  const inline = () => fresh().spec({ captcha: { type: 'Image', image: { body } } });
  test('includes an image in the task itself, which the cache does not hold', async () => {
    stage = await startStage();
    stage.apply(inline());
    await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
    expect(stage.submissions.map(({ spec }) => spec.image)).toEqual([{ body }]);
    expect(JSON.stringify(stage.controller.task('default', 'login')).length).toBeLessThan(2_000);
    // The object keeps it: a status write says nothing about the spec.
    expect(stage.task()?.spec.captcha.image?.body).toBe(body);
  });
});

describe('a backlog', () => {
  test('that moves costs no write for waiting: one status write a task', async () => {
    stage = await startStage({ policy: { ...DEFAULT_POLICY, maxConcurrentSubmissions: 4 } });
    let id = 1_000;
    stage.answer = () => ({ kind: 'accepted', captchaID: String((id += 1)) });
    const names = Array.from({ length: 60 }, (_, index) => `task-${index}`);
    for (const name of names) stage.apply(fresh().named(name).uid(`uid-${name}`));
    await waitUntil('all to be submitted', () =>
      names.every((name) => stage.task(name)?.status?.phase === 'Submitted'),
    );
    expect(stage.phases()).toHaveLength(60);
    expect(stage.submissions).toHaveLength(60);
  });
  test('behind a busy provider says so once for each task', async () => {
    stage = await startStage();
    stage.answer = () => ({ kind: 'refused', class: 'busy', code: 'ERROR_ZERO_BALANCE' });
    for (const name of ['login', 'second', 'third']) stage.apply(fresh().named(name).uid(`uid-${name}`));
    for (const name of ['login', 'second', 'third']) {
      await stage.until('busy', () => stage.reason(name) === 'ProviderBusy', name);
    }
    expect(stage.submissions).toHaveLength(1);
    expect(stage.phases().filter((phase) => phase === 'Pending')).toHaveLength(3);
  });
});

describe('a task that is suspended', () => {
  test('before it was submitted is not submitted', async () => {
    stage = await startStage();
    stage.apply(fresh().spec({ suspend: true }));
    await stage.until('suspended', () => stage.reason() === 'Suspended');
    expect(stage.task()?.status).not.toHaveProperty('startTime');
    expect(stage.submissions).toHaveLength(0);
  });
});

describe('a standby', () => {
  test('sees intents, so that whoever takes over does not begin their grace anew', async () => {
    let offsetMs = 0;
    const clock = { now: Date.now, random: () => 0.5, monotonicMs: () => performance.now() + offsetMs };
    stage = await startStage({ clock });
    stage.lead(false);
    stage.apply(fresh().intended(Date.now(), { by: 'operator-b/7' }));
    // The leader dies, and the standby gets the Lease when the grace is over.
    offsetMs = DEFAULT_POLICY.unknownSubmissionGraceMs;
    stage.lead(true);
    const task = await stage.until('submitted again', ({ status }) => status?.phase === 'Submitted');
    expect(task.status).toMatchObject({ attempts: 2, unknownSubmissions: 1 });
  });
  test('sees marks of dead letters that were only announced, too', async () => {
    let offsetMs = 0;
    const clock = { now: Date.now, random: () => 0.5, monotonicMs: () => performance.now() + offsetMs };
    stage = await startStage({ clock });
    stage.pollAnswer = () => ({ kind: 'solved', value: 'the-solution' });
    stage.lead(false);
    stage.apply(fresh().intended(Date.now()).submitted(Date.now()).marked('login-letter', Date.now()));
    await waitUntil('the cache to know', () => stage.controller.task('default', 'login'), { everyMs: 1 });
    offsetMs = POLLABLE_MARK_MS;
    stage.lead(true);
    await stage.until('polled and solved', ({ status }) => status?.phase === 'Solved');
  });
});
