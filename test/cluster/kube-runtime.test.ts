/**
 * The Kubernetes runtime against a real kube-apiserver: what its answers mean, what a status write leaves alone, how the
 * store follows, and that a restart of the API server is survived. The scripted rooms play what cannot be provoked here.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { CAPTCHA_TASK } from '../../src/api/names.ts';
import { OPERATOR, objectOf } from '../../dev/control-plane/index.ts';
import { startInstallation } from '../../dev/installation.ts';
import { loadAccess } from '../../src/kube/access.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { createEventRecorder } from '../../src/kube/events.ts';
import { startLease } from '../../src/kube/lease.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import { putStatus } from '../../src/core/status-write.ts';
import { runProtocol } from '../../src/kube/run.ts';
import { createStore } from '../../src/kube/store.ts';
import type { ApiReply, KubeObject } from '../../src/kube/types.ts';
import { access, admin, corePathOf, createNamespace, pathOf } from '../support/cluster.ts';
import { taskManifest } from '../support/manifests.ts';
import { waitUntil } from '../support/wait-until.ts';

const UNFINISHED = 'status.phase!=Solved,status.phase!=Failed';
const FINISHED = { phase: 'Failed', completionTime: '2026-01-01T00:00:00Z' };

let operator: KubeClient;
let administrator: KubeClient;
let namespace: string;
beforeAll(async () => {
  operator = await clientOf(access.operatorKubeconfig);
  administrator = await clientOf(access.adminKubeconfig);
  namespace = await createNamespace();
});
afterAll(() => Promise.all([operator.close(), administrator.close()]));

async function clientOf(kubeconfigPath: string): Promise<KubeClient> {
  return createKubeClient({ access: await loadAccess({ kubeconfigPath }), userAgent: 'kube-runtime-test' });
}

const manifestOf = (name: string) => taskManifest('Turnstile', { name });
const writeStatus = (object: KubeObject, status: object, store?: { put(raw: KubeObject): void }) =>
  runProtocol(operator, putStatus(CAPTCHA_TASK, object as Stored, status), { onObject: (it) => store?.put(it) });
type Stored = KubeObject & { metadata: { namespace: string; name: string; uid: string; resourceVersion: string } };

async function createTask(name: string): Promise<KubeObject> {
  return objectOf(await admin.create(pathOf('captchatasks', namespace), manifestOf(name)));
}

const read = (name: string) =>
  operator.execute({ verb: 'get', resource: CAPTCHA_TASK, namespace, name, read: 'quorum' });
const objectIn = (reply: ApiReply): KubeObject => {
  if (!reply.ok) throw new Error(summaryOf(reply));
  return reply.object as KubeObject;
};
const summaryOf = (reply: ApiReply) => (reply.ok ? 'ok' : `${reply.status} ${reply.transient ? 'transient' : 'final'}`);

describe('the answer', () => {
  test('for an object that is not there is final', async () => {
    expect(summaryOf(await read('absent'))).toBe('404 final');
  });

  test('for a resource whose CRD is missing, or not in this version, is transient', async () => {
    const resources = [
      { ...CAPTCHA_TASK, plural: 'captchatasklets' },
      { ...CAPTCHA_TASK, version: 'v9' },
    ];
    for (const resource of resources) {
      const reply = await administrator.execute({ verb: 'get', resource, namespace, name: 'absent', read: 'quorum' });
      expect(summaryOf(reply)).toBe('404 transient');
    }
  });

  test('to a create in a namespace that is not there is final', async () => {
    const object = manifestOf('a');
    const reply = await administrator.execute({ verb: 'create', resource: CAPTCHA_TASK, namespace: 'nowhere', object });
    expect(summaryOf(reply)).toBe('404 final');
  });

  test('for a missing permission is final, and a 403', async () => {
    const object = manifestOf('a');
    const reply = await operator.execute({ verb: 'create', resource: CAPTCHA_TASK, namespace, object });
    expect(summaryOf(reply)).toBe('403 final');
  });

  test('to a conditional patch whose test fails is 422, and nothing is written', async () => {
    const task = await createTask('conditional');
    const patch = [
      { op: 'test' as const, path: '/metadata/uid', value: 'another' },
      { op: 'add' as const, path: '/status', value: { phase: 'Pending' } },
    ];
    const reply = await operator.execute({
      verb: 'patchStatus',
      resource: CAPTCHA_TASK,
      namespace,
      name: 'conditional',
      patch,
    });
    expect(summaryOf(reply)).toBe('422 final');
    expect(await read('conditional')).toEqual({ ok: true, object: task });
  });

  test('to a status write that changes nothing is the object as it was, in the same version: nobody is made to look again', async () => {
    const target = { resource: CAPTCHA_TASK, namespace, name: 'unchanged' };
    await createTask('unchanged');
    const status = { phase: 'Pending', deadLetter: { name: 'a', time: '2026-01-01T00:00:00Z', confirmed: true } };
    const put = async (object: KubeObject): Promise<KubeObject> =>
      objectIn(await operator.execute({ verb: 'replaceStatus', ...target, object: { ...object, status } }));
    const before = objectIn(await read('unchanged'));
    const first = await put(before);
    expect(first.metadata.resourceVersion).not.toBe(before.metadata.resourceVersion);
    // Not only within the second of the first write.
    const second = Math.floor(Date.now() / 1_000);
    await waitUntil('the next second', () => Math.floor(Date.now() / 1_000) > second);
    expect(await put(first)).toEqual(first);
    const patch = [{ op: 'add' as const, path: '/status/deadLetter', value: status.deadLetter }];
    expect(objectIn(await administrator.execute({ verb: 'patchStatus', ...target, patch }))).toEqual(first);
  });

  test('to a delete whose uid is not that of the object is 409', async () => {
    await createTask('kept');
    const preconditions = { uid: 'another' };
    const reply = await operator.execute({
      verb: 'delete',
      resource: CAPTCHA_TASK,
      namespace,
      name: 'kept',
      preconditions,
    });
    expect(summaryOf(reply)).toBe('409 final');
  });
});

describe('a status write', () => {
  test('changes status and leaves spec, labels and annotations as they are', async () => {
    const manifest = manifestOf('written') as { metadata: object };
    Object.assign(manifest.metadata, { labels: { team: 'x' }, annotations: { note: 'y' } });
    const task: KubeObject = objectOf(await admin.create(pathOf('captchatasks', namespace), manifest));
    const result = await writeStatus(task, { phase: 'Pending', observedGeneration: 1 });
    expect(result.kind).toBe('written');
    const after: KubeObject = objectOf(await admin.get(pathOf('captchatasks', namespace, 'written')));
    expect(after['spec']).toEqual(task['spec']);
    expect(after.metadata).toMatchObject({ labels: { team: 'x' }, annotations: { note: 'y' }, uid: task.metadata.uid });
    expect(after['status']).toEqual({ phase: 'Pending', observedGeneration: 1 });
  });

  test('with a stale version, or the uid of another object, is a conflict', async () => {
    const task = await createTask('contested');
    expect((await writeStatus(task, { phase: 'Pending' })).kind).toBe('written');
    expect((await writeStatus(task, { phase: 'Pending', observedGeneration: 1 })).kind).toBe('conflict');
    const now: KubeObject = objectOf(await admin.get(pathOf('captchatasks', namespace, 'contested')));
    const other = { metadata: { ...now.metadata, uid: 'another' } };
    expect((await writeStatus(other, { phase: 'Pending', observedGeneration: 1 })).kind).toBe('conflict');
  });

  test('to an object that is gone says so', async () => {
    const task = await createTask('deleted');
    await admin.delete(pathOf('captchatasks', namespace, 'deleted'));
    expect((await writeStatus(task, { phase: 'Pending' })).kind).toBe('gone');
  });

  test('that the schema refuses says why, without the refused value', async () => {
    const task = await createTask('refused');
    const result = await writeStatus(task, { phase: 'CANARY', solution: { value: 7, source: 'CANARY' } });
    expect(result).toMatchObject({ kind: 'invalid', message: expect.stringContaining('status.phase') });
    expect(JSON.stringify(result)).not.toContain('CANARY');
  });
});

test('the store follows a selection, and is not talked back into what an own write finished', async () => {
  const place = await createNamespace();
  const store = createStore({ project: (raw) => (raw['status'] as { phase?: string } | undefined)?.phase ?? '' });
  const reflector = startReflector({
    client: operator,
    resource: CAPTCHA_TASK,
    namespace: place,
    fieldSelector: UNFINISHED,
    store,
    pageSize: 2,
  });
  for (const name of ['a', 'b', 'c']) objectOf(await admin.create(pathOf('captchatasks', place), manifestOf(name)));
  await reflector.synced;
  await waitUntil('all three', () => store.size === 3);
  const first: KubeObject = objectOf(await admin.get(pathOf('captchatasks', place, 'a')));
  expect((await writeStatus(first, { phase: 'Pending' }, store)).kind).toBe('written');
  expect(store.get(`${place}/a`)).toBe('Pending');

  const second: KubeObject = objectOf(await admin.get(pathOf('captchatasks', place, 'b')));
  const finished = await writeStatus(second, FINISHED);
  if (finished.kind !== 'written') throw new Error(JSON.stringify(finished));
  store.drop(`${place}/b`, finished.object.metadata.resourceVersion ?? '');
  objectOf(await admin.create(pathOf('captchatasks', place), manifestOf('d')));
  await waitUntil('the watch to have passed it', () => store.get(`${place}/d`) !== undefined);
  expect([...store.keys()].toSorted()).toEqual(['a', 'c', 'd'].map((name) => `${place}/${name}`));
  await reflector.stop();
});

test('a watch from a version that was compacted away has expired', async () => {
  const end = await operator.watch(CAPTCHA_TASK, {
    namespace,
    resourceVersion: '1',
    silenceMs: 30_000,
    signal: AbortSignal.timeout(30_000),
    onEvent: () => {},
  });
  expect(end).toEqual({ kind: 'expired' });
});

test('a Lease is acquired, renewed and handed over', async () => {
  const options = { client: administrator, namespace, name: 'some-lease', retryPeriodMs: 300 };
  const first = startLease({ ...options, identity: 'first' });
  await waitUntil('the first to lead', () => first.isLeader());
  const second = startLease({ ...options, identity: 'second' });
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/some-lease`;
  const leaseOf = async () => objectOf<{ spec: Record<string, unknown> }>(await admin.get(path)).spec;
  const { renewTime } = await leaseOf();
  await waitUntil('a renewal', async () => (await leaseOf())['renewTime'] !== renewTime);
  expect(second.isLeader()).toBe(false);
  await first.release();
  expect(first.isLeader()).toBe(false);
  await waitUntil('the second to lead', () => second.isLeader(), { boundMs: 5_000 });
  expect(await leaseOf()).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 });
  await second.stop();
});

test('an Event and its repetitions are one object that the core API shows, too', async () => {
  const task = await createTask('eventful');
  const recorder = createEventRecorder({
    client: operator,
    reportingController: 'test/kube',
    reportingInstance: 'one',
  });
  const { uid = '', resourceVersion } = task.metadata;
  const object = {
    apiVersion: 'captcha-operator.io/v1alpha1',
    kind: 'CaptchaTask',
    namespace,
    name: 'eventful',
    uid,
    resourceVersion,
  };
  const event = {
    object,
    type: 'Warning' as const,
    reason: 'Failed',
    action: 'Submit',
    note: 'the provider refused it',
  };
  for (let time = 0; time < 3; time++) recorder.record(event);
  await recorder.stop();
  const { items } = objectOf<{ items: Record<string, unknown>[] }>(await admin.get(corePathOf('events', namespace)));
  const ours = items.filter((item) => (item['involvedObject'] as { uid?: string }).uid === uid);
  expect(ours).toHaveLength(1);
  expect(ours[0]).toMatchObject({ message: event.note, reason: 'Failed', series: { count: 3 } });
});

test('a reflector lives through a killed API server, and hears what happened after it', async () => {
  const installation = await startInstallation({ env: process.env });
  const { controlPlane: plane, admin: tooling } = installation;
  const client = await clientOf(await plane.kubeconfigFor(OPERATOR));
  const troubles: string[] = [];
  const store = createStore({ project: (raw) => raw.metadata.uid ?? '' });
  const reflector = startReflector({
    client,
    resource: CAPTCHA_TASK,
    store,
    hooks: { onUnavailable: () => troubles.push('down'), onAvailable: () => troubles.push('up') },
  });
  try {
    await reflector.synced;
    objectOf(await tooling.create(pathOf('captchatasks', 'default'), manifestOf('before')));
    await waitUntil('the first task', () => store.get('default/before'));
    await plane.stopApiServer();
    await waitUntil('the loss to be noticed', () => troubles.includes('down'));
    expect(reflector.watchingSinceMs()).toBeUndefined();
    await plane.startApiServer();
    await tooling.delete(pathOf('captchatasks', 'default', 'before'));
    objectOf(await tooling.create(pathOf('captchatasks', 'default'), manifestOf('after')));
    await waitUntil('the second task', () => store.get('default/after'), { boundMs: 60_000 });
    await waitUntil('the deletion', () => store.size === 1);
    expect(troubles).toEqual(['down', 'up']);
  } finally {
    await reflector.stop();
    await client.close();
    await installation.stop();
  }
});
