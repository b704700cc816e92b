/** What a person sees of the CRDs through the real kubectl: columns, short names, field selectors, waiting, explain. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { objectOf } from '../../dev/control-plane/index.ts';
import { access, admin, createNamespace, pathOf } from '../support/cluster.ts';
import { readDefinition, walkSchema } from '../support/crd-schema.ts';
import { kubectlFor, outputOf } from '../support/kubectl.ts';
import { FULL_TASK_STATUS, letterManifest, taskManifest, type Json } from '../support/manifests.ts';
import { waitUntil } from '../support/wait-until.ts';

let namespace = '';
let scratch = '';
const time = '2026-01-01T00:00:00Z';

/** What kubectl prints, and its columns as a table of words. */
async function kubectl(...args: string[]): Promise<string> {
  return outputOf(kubectlFor(access.kubectl, access.adminKubeconfig, scratch)(['-n', namespace, ...args]));
}

async function tableOf(...args: string[]): Promise<string[][]> {
  const lines = (await kubectl('get', ...args)).trim().split('\n');
  return lines.map((line) => line.trim().split(/\s{2,}/));
}

async function withStatus(plural: string, manifest: Json, status: Json): Promise<void> {
  const created = objectOf<Json & { metadata: { name: string } }>(
    await admin.create(pathOf(plural, namespace), manifest),
  );
  const path = pathOf(plural, namespace, created.metadata.name, 'status');
  objectOf(await admin.replace(path, { ...created, status }));
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'crd-presentation-'));
  namespace = await createNamespace({ prefix: 'show' });
  objectOf(await admin.create(pathOf('captchatasks', namespace), taskManifest('BLS', { name: 'fresh' })));
  const condition = { ...(FULL_TASK_STATUS['conditions'] as Json[])[0], status: 'True', reason: 'Solved' };
  const solved = { ...FULL_TASK_STATUS, phase: 'Solved', conditions: [condition] };
  await withStatus('captchatasks', taskManifest('Turnstile', { name: 'login' }), solved);
  await withStatus('deadletters', letterManifest({ name: 'letter' }), {
    phase: 'Pending',
    attempts: 3,
    nextRetryTime: time,
    lastError: { class: 'Conflict', message: 'not ours' },
  });
  // kubectl learns of new kinds from discovery, which follows some moments after the kinds are served.
  await waitUntil('discovery to know the short names', async () => (await kubectl('get', 'ctask,dl')) !== '');
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

describe('kubectl get', () => {
  test('shows type, phase, source, attempts and age of a task', async () => {
    expect(await tableOf('ctask', 'login')).toEqual([
      ['NAME', 'TYPE', 'PHASE', 'SOURCE', 'ATTEMPTS', 'AGE'],
      ['login', 'Turnstile', 'Solved', 'Callback', '1', expect.stringMatching(/^\d+[sm]/) as string],
    ]);
  });

  test('shows reason, id and until when the solution is good with -o wide', async () => {
    const [header, row] = await tableOf('captchatask', 'login', '-o', 'wide');
    expect(header?.slice(-4)).toEqual(['AGE', 'REASON', 'CAPTCHA-ID', 'FRESH-UNTIL']);
    expect(row?.slice(-3)).toEqual(['Solved', '7383820914', time]);
  });

  test('shows what a letter is about, how often it was tried and when next', async () => {
    expect(await tableOf('dl')).toEqual([
      ['NAME', 'TASK', 'STAGE', 'PHASE', 'ATTEMPTS', 'NEXT-RETRY', 'AGE'],
      ['letter', 'login', 'WriteSecret', 'Pending', '3', time, expect.stringMatching(/^\d+[sm]/) as string],
    ]);
  });

  test('shows both kinds as the category captcha', async () => {
    const names = (await kubectl('get', 'captcha', '-o', 'name'))
      .trim()
      .split('\n')
      .sort((a, b) => a.localeCompare(b));
    expect(names).toEqual([
      'captchatask.captcha-operator.io/fresh',
      'captchatask.captcha-operator.io/login',
      'deadletter.captcha-operator.io/letter',
    ]);
  });

  test.each([
    { kind: 'ctask', selector: 'status.phase=Solved', names: ['login'] },
    { kind: 'ctask', selector: 'status.phase!=Solved,status.phase!=Failed', names: ['fresh'] },
    { kind: 'ctask', selector: 'spec.captcha.type=BLS', names: ['fresh'] },
    { kind: 'dl', selector: 'status.phase=Pending,spec.stage=WriteSecret', names: ['letter'] },
    { kind: 'dl', selector: 'spec.taskRef.name=login', names: ['letter'] },
    { kind: 'dl', selector: 'status.phase=Abandoned', names: [] },
  ])('selects $kind by $selector', async ({ kind, selector, names }) => {
    const output = await kubectl('get', kind, '--field-selector', selector, '-o', 'name');
    expect(
      output
        .split('\n')
        .filter(Boolean)
        .map((name) => name.split('/')[1]),
    ).toEqual(names);
  });
});

describe('kubectl wait', () => {
  test('ends when the condition Solved is True', async () => {
    expect(await kubectl('wait', '--for=condition=Solved', 'ctask/login', '--timeout=5s')).toContain('condition met');
  });
});

describe('kubectl explain', () => {
  test.each(['crds/captchatask.yaml', 'crds/deadletter.yaml'])(
    'has a description for every field of %s',
    async (crd) => {
      const definition = await readDefinition(crd);
      const { plural } = definition.spec.names;
      // As the API server publishes it, which is what kubectl reads.
      const published = JSON.stringify((await admin.get('/openapi/v3/apis/captcha-operator.io/v1alpha1')).body);
      const described = walkSchema(definition).filter(({ path }) => path.startsWith('s'));
      expect(described.length).toBeGreaterThan(20);
      for (const { schema } of described) expect(published).toContain(JSON.stringify(schema.description));
      expect(await kubectl('explain', `${plural}.spec`)).toMatch(/DESCRIPTION:\n\s+What /);
    },
  );
});
