/**
 * The CRD of today laid over that of an earlier version, with objects in it, on a real API server: whatever the earlier
 * version accepted stays writable through `/status`, also where today's rules would refuse it anew. Under a group of
 * its own, because the whole tier shares the real one.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { messageOf, objectOf } from '../../dev/control-plane/index.ts';
import { admin, createNamespace } from '../support/cluster.ts';
import { readDefinition, type Definition } from '../support/crd-schema.ts';
import { CAPTCHAS, taskManifest, type Json } from '../support/manifests.ts';
import { waitUntil } from '../support/wait-until.ts';

const GROUP = 'earlier.captcha-operator.example';
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const NAME = `captchatasks.${GROUP}`;

interface Stored {
  metadata: { name: string; resourceVersion: string };
  spec: Json;
  status?: Json;
}

let tasks = '';
beforeAll(async () => {
  tasks = `/apis/${GROUP}/v1alpha1/namespaces/${await createNamespace({ prefix: 'crd-upgrade' })}/captchatasks`;
  objectOf(await admin.create(DEFINITIONS, await foreign('test/fixtures/v0.1.0/crds/captchatask.yaml')));
  await waitUntil('the earlier CRD to be served', async () => (await admin.get(tasks)).status === 200);
});
afterAll(() => admin.delete(`${DEFINITIONS}/${NAME}`));

async function foreign(path: string): Promise<Definition> {
  const definition = await readDefinition(path);
  return { ...definition, metadata: { name: NAME }, spec: { ...definition.spec, group: GROUP } };
}

async function create(name: string, captcha: Json): Promise<Stored> {
  const manifest = {
    ...taskManifest('CloudflareChallenge', { name, spec: { captcha } }),
    apiVersion: `${GROUP}/v1alpha1`,
  };
  return objectOf<Stored>(await admin.create(tasks, manifest));
}

/** Every type of the first version, and what its grids could be. */
const EARLIER: Record<string, Json> = {
  ...Object.fromEntries(
    (
      [
        'RecaptchaV2',
        'RecaptchaV3',
        'Turnstile',
        'CloudflareChallenge',
        'GeeTestV3',
        'GeeTestV4',
        'Image',
        'Grid',
        'BLS',
        'Custom',
      ] as const
    ).map((type) => [type.toLowerCase(), CAPTCHAS[type]]),
  ),
  'grid-of-no-size': { type: 'Grid', grid: { body: 'AAAA' } },
  'grid-of-one-row': { type: 'Grid', grid: { body: 'AAAA', rows: 1, columns: 20, instructions: 'x' } },
  'grid-of-five': { type: 'Grid', grid: { body: 'AAAA', rows: 5, columns: 5, instructions: '' } },
};
const submission = { attempt: 1, intentTime: '2026-01-01T00:00:00Z', intentBy: 'operator-0/1', pingback: true };
const status = { phase: 'Submitted', attempts: 1, submission: { ...submission, captchaID: '7383820914' } };

describe('after an upgrade of the CRD', () => {
  const stored = new Map<string, Stored>();
  beforeAll(async () => {
    for (const [name, captcha] of Object.entries(EARLIER)) stored.set(name, await create(name, captcha));
    const path = `${DEFINITIONS}/${NAME}`;
    const { spec } = await foreign('crds/captchatask.yaml');
    objectOf(await admin.patch(path, { spec }, 'merge'));
    await waitUntil('the rules of today', async () => {
      const reply = await admin.create(`${tasks}?dryRun=All`, {
        ...taskManifest('Grid', { name: 'probe', spec: { captcha: EARLIER['grid-of-five'] } }),
        apiVersion: `${GROUP}/v1alpha1`,
      });
      return reply.status === 422 && messageOf(reply).includes('must both be 3 or both be 4');
    });
  });

  test.each(Object.keys(EARLIER))('the task %s is written through its status', async (name) => {
    const task = objectOf<Stored>(await admin.get(`${tasks}/${name}`));
    const replaced = objectOf<Stored>(await admin.replace(`${tasks}/${name}/status`, { ...task, status }));
    expect(replaced.status).toMatchObject(status);
    const solution = { value: '[1]', source: 'Poll', attempt: 1, receivedTime: '2026-01-01T00:01:00Z' };
    const solved = { status: { ...status, phase: 'Solved', solution } };
    expect(objectOf<Stored>(await admin.patch(`${tasks}/${name}/status`, solved, 'merge')).status).toMatchObject({
      phase: 'Solved',
    });
  });

  test.each(Object.keys(EARLIER))("the rest of the spec of the task %s is still its owner's", async (name) => {
    const patched = objectOf<Stored>(await admin.patch(`${tasks}/${name}`, { spec: { suspend: true } }, 'merge'));
    expect(patched.spec).toMatchObject({ suspend: true, captcha: stored.get(name)?.spec['captcha'] });
  });
});
