/**
 * What Argo CD and Flux keep in a cluster outlives the operator's default, on a real API server: each deletion would be
 * answered by a new task, and paid for again. The marks are set as the two set them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { API_VERSION } from '../../src/api/names.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import { access, admin, pathOf } from '../support/cluster.ts';
import { kubectlFor, outputOf, type Kubectl } from '../support/kubectl.ts';
import { pageOf, startWorld, type World } from '../support/processes.ts';
import { waitUntil } from '../support/wait-until.ts';

let world: World;
let kubectl: Kubectl;
const home = mkdtempSync(join(tmpdir(), 'gitops-lifetime-'));

beforeAll(async () => {
  world = await startWorld({ operatorEnv: { DEFAULT_TTL_SECONDS_AFTER_FINISHED: '0' } });
  kubectl = kubectlFor(access.kubectl, access.adminKubeconfig, home);
});
afterAll(async () => {
  await world?.stop();
  rmSync(home, { recursive: true, force: true });
});

interface Marks {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ttlSecondsAfterFinished?: number;
}

function manifest(name: string, { ttlSecondsAfterFinished, ...marks }: Marks = {}): string {
  const captcha = { type: 'Turnstile', turnstile: { siteKey: 'site', pageURL: pageOf(world.namespace, name) } };
  const spec = ttlSecondsAfterFinished === undefined ? { captcha } : { captcha, ttlSecondsAfterFinished };
  const metadata = { name, namespace: world.namespace, ...marks };
  return JSON.stringify({ apiVersion: API_VERSION, kind: 'CaptchaTask', metadata, spec });
}

const applyAs = (manager: string, text: string): Promise<string> =>
  outputOf(kubectl(['apply', '--server-side', '--field-manager', manager, '-f', '-'], text));

const namesNow = async (): Promise<string[]> => {
  const { items } = objectOf<{ items: CaptchaTask[] }>(await admin.get(pathOf('captchatasks', world.namespace)));
  return items.map(({ metadata }) => metadata.name).toSorted();
};

describe('the default time to live', () => {
  test('deletes what nobody keeps, and leaves what Argo CD or Flux keeps', async () => {
    const id = `captchas:captcha-operator.io/CaptchaTask:${world.namespace}/argo-annotation`;
    await applyAs('kustomize-controller', manifest('flux', { labels: { 'kustomize.toolkit.fluxcd.io/name': 'c' } }));
    await applyAs('local', manifest('argo-annotation', { annotations: { 'argocd.argoproj.io/tracking-id': id } }));
    await applyAs('argocd-controller', manifest('argo-label', { labels: { 'app.kubernetes.io/instance': 'c' } }));
    const kept = ['argo-annotation', 'argo-label', 'flux'];
    for (const name of kept) await world.untilPhase(name, 'Solved');
    // Finished after them, so its turn comes after theirs.
    for (const name of ['plain', 'plain-2']) await applyAs('local', manifest(name));
    await waitUntil('what nobody keeps to be deleted', async () => (await namesNow()).length <= kept.length);
    expect(await namesNow()).toEqual(kept);
    expect(await Promise.all([...kept, 'plain'].map((name) => world.paid(name)))).toEqual([1, 1, 1, 1]);
  });

  test('gives way to one of their own', async () => {
    const labels = { 'kustomize.toolkit.fluxcd.io/name': 'c' };
    await applyAs('kustomize-controller', manifest('own', { labels, ttlSecondsAfterFinished: 0 }));
    await waitUntil('the task to be paid', async () => (await world.paid('own')) === 1);
    await waitUntil('it to be deleted', async () => !(await namesNow()).includes('own'));
  });
});
