/**
 * This version takes over from an earlier one: its objects, as they were stored, pass the CRDs of today; finished ones
 * are left alone, unfinished ones reach their end without being paid for again, and its Lease is taken over when its
 * holder does not come back. The objects are recorded by test/support/record-release.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import { DEMO_API_KEY, startFleet, type Fleet } from '../../dev/fleet.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import { access, admin, corePathOf, createNamespace, pathOf } from '../support/cluster.ts';
import { RELEASES, readFixture, type ReleaseObjects } from '../support/release-fixture.ts';
import { waitUntil } from '../support/wait-until.ts';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/captcha-system/leases';
const FINISHED = ['failed', 'polled', 'solved'];

describe.each(RELEASES)('after %s', (release) => {
  let namespace: string;
  let simulator: Simulator;
  let fleet: Fleet;
  let restored: Map<string, CaptchaTask>;

  beforeAll(async () => {
    const objects = shiftedToNow(readFixture<ReleaseObjects>(release, 'objects.json'));
    namespace = await createNamespace({ prefix: 'upgrade', tenant: true });
    await createSecret('foreign', { value: 'not yours' });
    restored = await restoreTasks(objects.tasks);
    for (const letter of objects.letters) await restoreLetter(letter);
    await admin.delete(`${LEASES}/captcha-operator`);
    objectOf(await admin.create(LEASES, withoutServerFields(objects.lease as CaptchaTask)));
    simulator = await startSimulator({ answerAfterMs: 200, idsAfter: String(Math.min(...idsOf(objects.tasks)) - 1) });
    for (const id of range(Math.min(...idsOf(objects.tasks)), Math.max(...idsOf(objects.tasks)))) await submit(id);
    fleet = await startFleet({
      kubeconfig: access.operatorKubeconfig,
      providerURL: simulator.url,
      operatorEnv: { WATCH_NAMESPACES: namespace, LEADER_ELECTION: 'true', UNKNOWN_SUBMISSION_GRACE_SECONDS: '1' },
      sidecarEnv: { WATCH_NAMESPACES: namespace },
    });
  });

  afterAll(async () => {
    await fleet?.stop();
    await simulator?.stop();
    await admin.delete(`${LEASES}/captcha-operator`);
  });

  async function createSecret(name: string, stringData: Record<string, string>): Promise<void> {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData };
    objectOf(await admin.create(corePathOf('secrets', namespace), secret));
  }

  /** By name. The API server refuses what does not fit its schema and rules. */
  async function restoreTasks(tasks: readonly CaptchaTask[]): Promise<Map<string, CaptchaTask>> {
    const found = new Map<string, CaptchaTask>();
    for (const task of tasks) {
      const made = objectOf<CaptchaTask>(
        await admin.create(pathOf('captchatasks', namespace), withoutServerFields(task)),
      );
      const path = pathOf('captchatasks', namespace, task.metadata.name, 'status');
      found.set(task.metadata.name, objectOf(await admin.replace(path, { ...made, status: task.status })));
    }
    return found;
  }

  async function restoreLetter(letter: DeadLetter): Promise<void> {
    const uid = restored.get(letter.spec.taskRef.name)?.metadata.uid ?? '';
    const bare = withoutServerFields(letter);
    const spec = { ...letter.spec, taskRef: { ...letter.spec.taskRef, uid } };
    const made = objectOf<DeadLetter>(await admin.create(pathOf('deadletters', namespace), { ...bare, spec }));
    if (letter.status === undefined) return;
    const path = pathOf('deadletters', namespace, letter.metadata.name, 'status');
    objectOf(await admin.replace(path, { ...made, status: letter.status }));
  }

  /** The provider has got this task already; `in.php` as the earlier version called it. */
  async function submit(id: number): Promise<void> {
    const form = {
      key: DEMO_API_KEY,
      method: 'turnstile',
      sitekey: '0x4AAA',
      pageurl: 'https://shop.example/before',
      json: '1',
    };
    const reply = await fetch(`${simulator.url}/in.php`, { method: 'POST', body: new URLSearchParams(form) });
    expect(await reply.json()).toMatchObject({ status: 1, request: id });
  }

  const task = async (name: string): Promise<CaptchaTask> =>
    objectOf<CaptchaTask>(await admin.get(pathOf('captchatasks', namespace, name)));

  async function solved(name: string): Promise<CaptchaTask> {
    let last: CaptchaTask | undefined;
    return waitUntil(
      `${name} to be solved`,
      async () => {
        last = await task(name);
        if (last.status?.phase === 'Failed') throw new Error(JSON.stringify(last.status));
        return last.status?.phase === 'Solved' ? last : undefined;
      },
      { boundMs: 90_000 },
    );
  }

  test('its Lease is taken over although its holder is gone', async () => {
    const holder = await waitUntil(
      'another holder',
      async () => {
        const lease = objectOf<{ spec: { holderIdentity: string; leaseTransitions: number } }>(
          await admin.get(`${LEASES}/captcha-operator`),
        );
        return lease.spec.leaseTransitions > 0 ? lease.spec.holderIdentity : undefined;
      },
      { boundMs: 60_000 },
    );
    expect(holder).toMatch(/^operator-0_/);
  });

  test.each(['awaiting', 'second'])('%s is polled under the id it had, and not submitted again', async (name) => {
    const { status } = await solved(name);
    expect(status?.solution).toMatchObject({ source: 'Poll' });
    expect(status?.submission?.captchaID).toBe(restored.get(name)?.status?.submission?.captchaID);
    expect(status?.attempts).toBe(restored.get(name)?.status?.attempts);
  });

  test('an unknown submission is repeated once, and counted', async () => {
    const { status } = await solved('unknown');
    expect(status).toMatchObject({ attempts: 2, unknownSubmissions: 1 });
  });

  test('a suspended task waits until it is resumed', async () => {
    expect((await task('suspended')).status?.attempts ?? 0).toBe(0);
    objectOf(await admin.patch(pathOf('captchatasks', namespace, 'suspended'), { spec: { suspend: false } }, 'merge'));
    expect((await solved('suspended')).status?.attempts).toBe(1);
  });

  test('a task without a key goes on when its Secret comes', async () => {
    await createSecret('own-key', { 'api-key': 'another0key0another0key0another0' });
    expect((await solved('keyless')).status?.attempts).toBe(1);
  });

  test('a letter is retried and solves its task once the cause is gone', async () => {
    objectOf(await admin.delete(corePathOf('secrets', namespace, 'foreign')));
    const { items } = objectOf<{ items: DeadLetter[] }>(await admin.get(pathOf('deadletters', namespace)));
    const retry = { metadata: { annotations: { 'captcha-operator.io/retry': 'now' } } };
    for (const { metadata } of items) {
      objectOf(await admin.patch(pathOf('deadletters', namespace, metadata.name), retry, 'merge'));
    }
    const { status } = await solved('lettered');
    expect(status?.solution).toMatchObject({ source: 'DeadLetter', attempt: 1 });
  });

  test.each(FINISHED)('%s is left as it was', async (name) => {
    expect((await task(name)).metadata.resourceVersion).toBe(restored.get(name)?.metadata.resourceVersion);
  });
});

/** As if the upgrade happened right after the recording: every time moves by what has passed since. */
function shiftedToNow(objects: ReleaseObjects): ReleaseObjects {
  const byMs = Date.now() - Date.parse(objects.recorded);
  const text = JSON.stringify(objects).replaceAll(
    /"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z"/g,
    (_whole, time: string, fraction?: string) => {
      const moved = new Date(Date.parse(`${time}Z`) + byMs).toISOString();
      return `"${moved.slice(0, 19)}${fraction ?? ''}Z"`;
    },
  );
  return JSON.parse(text) as ReleaseObjects;
}

function withoutServerFields(object: CaptchaTask | DeadLetter): object {
  const { name, annotations, labels } = object.metadata;
  const { status: _status, ...rest } = object;
  return { ...rest, metadata: { name, annotations, labels } };
}

function idsOf(tasks: readonly CaptchaTask[]): number[] {
  return tasks.flatMap((task) => task.status?.submission?.captchaID ?? []).map(Number);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
