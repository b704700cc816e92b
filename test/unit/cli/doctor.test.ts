/** A sound installation as facts, and one planted fault each: which finding it is, and what it says to do. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CAPTCHA_TYPES } from '../../../src/api/names.ts';
import type { ContainerStatus, Definition, Deployment, Facts, Finding } from '../../../src/cli/doctor/facts.ts';
import { findingsOf, findingsText } from '../../../src/cli/doctor/index.ts';
import { SILENT_MESSAGE, REFUSED_MESSAGE } from '../../../src/core/task/callback-mode.ts';
import { formatTime } from '../../../src/core/task/times.ts';
import { aTask, T0 } from '../../support/builders.ts';
import { aLetter } from '../../support/letters.ts';

const NOW = T0 + 3_600_000;
const ROOT = join(import.meta.dirname, '../../..');
const seen = <T>(value: T) => ({ kind: 'seen' as const, value });

const definition = (schema: object = { enum: CAPTCHA_TYPES }): Definition => ({
  metadata: { name: 'captchatasks.captcha-operator.io' },
  spec: { versions: [{ name: 'v1alpha1', served: true, schema: { openAPIV3Schema: schema } }] },
  status: { conditions: [{ type: 'Established', status: 'True', message: '' }] },
});
const deployment = (replicas: number, ready: number): Deployment => ({
  metadata: { name: 'captcha-operator', generation: 2 },
  spec: { replicas, template: { spec: { containers: [{ name: 'operator' }] } } },
  status: { readyReplicas: ready, observedGeneration: 2 },
});
const pod = (status: Partial<ContainerStatus>) =>
  seen([
    { metadata: { name: 'captcha-operator-0' }, status: { containerStatuses: [{ name: 'operator', ...status }] } },
  ]);
const lease = (renewedMs: number, holder = 'captcha-operator-0_1') =>
  seen({ spec: { holderIdentity: holder, renewTime: formatTime(renewedMs), leaseDurationSeconds: 15 } });
const secret = (keys: string[], isPrivate = true) => seen({ isPrivate, keys });
const right = (verb: string, resource: string, allowed: boolean, namespace = '') => ({
  verb,
  resource,
  namespace,
  allowed,
});
const waits = (reason: Parameters<ReturnType<typeof aTask>['waiting']>[0]) =>
  aTask().created(T0).waiting(reason).build();

const SOUND: Facts = {
  systemNamespace: 'captcha-system',
  namespace: undefined,
  definitions: { captchatasks: seen(definition()), deadletters: seen(definition()) },
  deployment: seen(deployment(2, 2)),
  gateway: { kind: 'absent' },
  pods: pod({ ready: true, restartCount: 0 }),
  lease: lease(NOW - 2_000),
  settings: seen({ CALLBACK_URL: 'https://captcha.example.com' }),
  callbackKeys: secret(['keys']),
  providerKey: secret(['api-key']),
  gatewayKeys: { kind: 'absent' },
  mine: [right('create', 'captchatasks', true)],
  operators: seen([right('list', 'captchatasks', true)]),
  callback: seen({ status: 404, hasBody: false }),
  tasks: seen([aTask().created(NOW).build(), aTask().intended().submitted().solved().build()]),
  letters: seen(
    [aLetter().introduced().build()].map((one) => ({
      ...one,
      metadata: { ...one.metadata, creationTimestamp: formatTime(NOW) },
    })),
  ),
};

const wrongIn = (change: Partial<Facts>): Finding[] =>
  findingsOf({ ...SOUND, ...change }, NOW).filter(({ level }) => level === 'fault' || level === 'warning');

test('a sound installation has no fault, no warning, and nothing unseen', () => {
  expect(findingsOf(SOUND, NOW).filter(({ level }) => level !== 'fine')).toEqual([]);
  expect(findingsText(findingsOf(SOUND, NOW))).toMatch(/0 faults, 0 warnings, 0 not seen, \d+ fine$/);
});

const gone = { ...definition(), metadata: { name: 'x', deletionTimestamp: '2026-01-01T00:00:00Z' } };
const other = { ...definition(), spec: { versions: [{ name: 'v1', served: true }] } };
const late = {
  ...definition(),
  status: { conditions: [{ type: 'Established', status: 'False' as const, message: 'not yet' }] },
};
const letter = aLetter().introduced().build();
const abandoned = { ...letter, status: { ...letter.status, phase: 'Abandoned' as const } } as typeof letter;
const defs = (captchatasks: Facts['definitions']['captchatasks']) => ({
  definitions: { ...SOUND.definitions, captchatasks },
});
const silent = aTask().created(T0).intended().submitted().build();
const withMessage = (message: string) => {
  const conditions = silent.status?.conditions?.map((one) => (one.type === 'Solved' ? { ...one, message } : one)) ?? [];
  return {
    tasks: seen([
      { ...silent, status: { ...silent.status, phase: 'Submitted' as const, conditions } } as typeof silent,
    ]),
  };
};

const WATCHING_SHOP: Record<string, string> = { WATCH_NAMESPACES: 'shop' };

/** What is planted, the finding, and a word of what to do. */
const PLANTED: [what: string, id: string, change: Partial<Facts>, cure: RegExp][] = [
  ['no definition', 'crd-missing', defs({ kind: 'absent' }), /kubectl apply -k deploy\/crds/],
  ['a definition that is being deleted', 'crd-deleting', defs(seen(gone)), /apply it anew/],
  ['a definition of another version', 'crd-version', defs(seen(other)), /kubectl apply -k deploy\/crds/],
  ['a definition that is not established', 'crd-not-established', defs(seen(late)), /kubectl apply/],
  ['a definition of an older release', 'crd-old', defs(seen(definition({ enum: ['Turnstile'] }))), /kubectl apply/],
  ['no Deployment', 'operator-missing', { deployment: { kind: 'absent' }, pods: seen([]) }, /--system-namespace/],
  ['a Deployment scaled to 0', 'scaled-to-zero', { deployment: seen(deployment(0, 0)) }, /scale deployment/],
  ['no ready pod', 'not-ready', { deployment: seen(deployment(2, 0)) }, /describe deployment/],
  [
    'a StatefulSet without a ready pod',
    'not-ready',
    { deployment: seen({ ...deployment(2, 0), kind: 'StatefulSet' }) },
    /describe statefulset\/captcha-operator/,
  ],
  [
    'a gateway without a ready pod',
    'not-ready',
    { gateway: seen(deployment(2, 1)), gatewayKeys: secret(['keys']) },
    /describe deployment/,
  ],
  ['a gateway without keys', 'gateway-keys-missing', { gateway: seen(deployment(2, 2)) }, /gateway\.md/],
  [
    'gateway keys under another name',
    'gateway-keys-empty',
    { gateway: seen(deployment(2, 2)), gatewayKeys: secret([]) },
    /gateway\.md/,
  ],
  [
    'an image that is not there',
    'pod-waiting',
    { pods: pod({ state: { waiting: { reason: 'ImagePullBackOff' } } }) },
    /An image of your own/,
  ],
  [
    'a wrong setting',
    'wrong-setting',
    { pods: pod({ ready: false, lastState: { terminated: { exitCode: 2 } } }) },
    /configuration\.md/,
  ],
  [
    'a pod without memory',
    'out-of-memory',
    { pods: pod({ ready: true, lastState: { terminated: { reason: 'OOMKilled' } } }) },
    /limit/,
  ],
  ['a pod that starts again and again', 'restarts', { pods: pod({ ready: true, restartCount: 9 }) }, /logs/],
  ['no Lease', 'no-lease', { lease: { kind: 'absent' } }, /lease\|leading/],
  ['a Lease that nobody holds', 'lease-free', { lease: lease(NOW, '') }, /lease\|leading/],
  ['a Lease that is not renewed', 'lease-stale', { lease: lease(NOW - 61_000) }, /lease\|leading/],
  ['no callback keys', 'callback-keys-missing', { callbackKeys: { kind: 'absent' } }, /The callback host/],
  ['callback keys under another name', 'callback-keys-empty', { callbackKeys: secret(['kees']) }, /The callback host/],
  ['no provider key', 'provider-key-missing', { providerKey: { kind: 'absent' } }, /installation\.md/],
  ['a provider key under another name', 'provider-key-empty', { providerKey: secret(['key']) }, /installation\.md/],
  [
    'a provider key that tasks may name',
    'provider-key-open',
    { providerKey: secret(['api-key'], false) },
    /annotate secret/,
  ],
  [
    'rights that the caller lacks',
    'my-rights',
    { mine: [right('create', 'captchatasks', false, 'shop')] },
    /role edit/,
  ],
  [
    'rights that the operator lacks',
    'operator-forbidden',
    { operators: seen([right('list', 'captchatasks', false)]) },
    /apply the install anew/,
  ],
  [
    'a tenant without its role',
    'tenant-forbidden',
    { operators: seen([right('get', 'secrets', false, 'shop')]) },
    /--namespace shop -k deploy\/tenant/,
  ],
  [
    'a callback URL out of reach',
    'callback-unreachable',
    { callback: { kind: 'trouble', why: 'ECONNREFUSED' } },
    /The callback host/,
  ],
  [
    'a callback URL without a ready sidecar',
    'callback-unavailable',
    { callback: seen({ status: 503, hasBody: true }) },
    /route/,
  ],
  [
    'a callback URL that something else answers',
    'callback-foreign',
    { callback: seen({ status: 404, hasBody: true }) },
    /route/,
  ],
  [
    'a callback URL that swallows callbacks',
    'callback-swallowed',
    { callback: seen({ status: 200, hasBody: false }) },
    /route/,
  ],
  ['an exhausted account', 'AccountExhausted', { tasks: seen([waits('AccountExhausted')]) }, /renew/],
  ['a rejected key', 'KeyRejected', { tasks: seen([waits('KeyRejected')]) }, /correct the Secret/],
  ['a missing key', 'MissingAPIKey', { tasks: seen([waits('MissingAPIKey')]) }, /deploy\/tenant/],
  ['a provider out of reach', 'ProviderUnreachable', { tasks: seen([waits('ProviderUnreachable')]) }, /egress/],
  ['a provider that is busy for long', 'ProviderBusy', { tasks: seen([waits('ProviderBusy')]) }, /threads/],
  ['callbacks that do not come', 'silent', withMessage(SILENT_MESSAGE), /registered/],
  ['a callback URL that the provider refuses', 'refused', withMessage(REFUSED_MESSAGE), /registered/],
  [
    'tasks that nobody looks at',
    'unseen-tasks',
    { tasks: seen([aTask().created(T0).build()]) },
    /may watch the namespace/,
  ],
  [
    'tasks of a namespace that is not watched',
    'not-watched',
    { settings: seen(WATCHING_SHOP), tasks: seen([aTask().created(T0).build()]) },
    /WATCH_NAMESPACES/,
  ],
  ['an abandoned letter', 'abandoned', { letters: seen([abandoned]) }, /redrive --all/],
  ['a letter that is not stored', 'pending-letters', { letters: seen([letter]) }, /redrive --all/],
];

describe('the doctor names', () => {
  test.each(PLANTED)('%s: %s', (_what, id, change, cure) => {
    const found = wrongIn(change);
    expect(found.map((one) => one.id)).toContain(id);
    const finding = found.find((one) => one.id === id);
    expect(finding?.cure).toMatch(cure);
    expect(findingsText(found)).toContain(`do: ${finding?.cure}`);
  });

  test('only runbooks that are there, and a runbook or a way for every fault', () => {
    const all = PLANTED.flatMap(([, , change]) => wrongIn(change));
    const runbooks = [...new Set(all.flatMap(({ runbook }) => runbook ?? []))];
    expect(runbooks.length).toBeGreaterThan(8);
    expect(runbooks.filter((name) => !existsSync(join(ROOT, 'docs/runbooks', `${name}.md`)))).toEqual([]);
    expect(all.filter(({ cure }) => cure === undefined)).toEqual([]);
  });

  test('the tasks that should have ended long ago', () => {
    const old = aTask()
      .created(T0 - 86_400_000)
      .intended(T0 - 86_400_000)
      .submitted(T0 - 86_400_000)
      .build();
    expect(wrongIn({ tasks: seen([old]) }).map(({ id }) => id)).toEqual(['stuck']);
    const suspended = { ...old, spec: { ...old.spec, suspend: true } };
    expect(wrongIn({ tasks: seen([suspended]) })).toEqual([]);
  });
});

describe('the doctor says', () => {
  test('what the caller may not see as unseen, and never as fine', () => {
    const hidden = { kind: 'hidden' as const, why: 'Forbidden (403)' };
    const change = {
      deployment: hidden,
      settings: hidden,
      lease: hidden,
      operators: hidden,
      pods: hidden,
      providerKey: hidden,
    };
    const found = findingsOf({ ...SOUND, ...change }, NOW);
    expect(found.filter(({ level }) => level === 'unseen').map(({ id }) => id)).toEqual([
      'operator',
      'pods',
      'lease',
      'operator-rights',
    ]);
    expect(
      found.filter(
        ({ level, id }) => level === 'fine' && ['operator', 'pods', 'lease', 'operator-rights'].includes(id),
      ),
    ).toEqual([]);
  });

  test('nothing of leaders where election is off, and of keys where there is no callback URL', () => {
    const settings = seen({ LEADER_ELECTION: 'false' });
    expect(
      wrongIn({ settings, lease: { kind: 'absent' }, callbackKeys: { kind: 'absent' }, callback: { kind: 'absent' } }),
    ).toEqual([]);
  });

  test('of a short wait for the provider nothing', () => {
    const task = aTask()
      .created(NOW - 30_000)
      .waiting('ProviderBusy', NOW - 30_000)
      .build();
    expect(wrongIn({ tasks: seen([task]) })).toEqual([]);
  });

  test('the worst first, with the sum at the end', () => {
    const text = findingsText(
      findingsOf({ ...SOUND, providerKey: { kind: 'absent' }, lease: { kind: 'absent' } }, NOW),
    );
    expect(text).toMatch(/^✗ No operator leads/);
    expect(text.indexOf('\n! There is no Secret')).toBeGreaterThan(0);
    expect(text).toMatch(/1 fault, 1 warning, 0 not seen, \d+ fine$/);
    expect(text).toContain('runbook: docs/runbooks/CaptchaOperatorNoLeader.md');
  });
});
