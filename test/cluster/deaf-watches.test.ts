/**
 * Watches that open and tell nothing, of a real kube-apiserver and of what may stand before one. With the limits of
 * production: whatever happens to its watches, a reflector knows within 90 s what has changed.
 */
import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { Agent, request as send } from 'undici';
import { describe, expect, test } from 'vitest';

import { CAPTCHA_TASK } from '../../src/api/names.ts';
import { OPERATOR, objectOf } from '../../dev/control-plane/index.ts';
import { startInstallation } from '../../dev/installation.ts';
import { loadAccess } from '../../src/kube/access.ts';
import type { Access } from '../../src/kube/access.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import { createStore } from '../../src/kube/store.ts';
import { access, admin, createNamespace, pathOf } from '../support/cluster.ts';
import { taskManifest } from '../support/manifests.ts';
import { answer, startScriptedApi } from '../support/scripted-api.ts';
import type { ScriptedApi, ScriptedRequest } from '../support/scripted-api.ts';
import { waitUntil } from '../support/wait-until.ts';

const DEAF_MS = 90_000;
const manifestOf = (name: string) => taskManifest('Turnstile', { name });

function followWith(by: Access, namespace: string | undefined) {
  const client = createKubeClient({ access: by, userAgent: 'deaf-watches-test' });
  const store = createStore({ project: (raw) => raw.metadata.uid ?? '' });
  const reflector = startReflector({ client, resource: CAPTCHA_TASK, namespace, store });
  const stop = async () => {
    await reflector.stop();
    await client.close();
  };
  return { store, reflector, stop };
}

describe.concurrent('a change is known within 90 s', () => {
  test('when the storage was put back to an older state', { timeout: 400_000 }, async () => {
    const installation = await startInstallation({ env: process.env });
    const { controlPlane: plane, admin: tooling } = installation;
    const create = async (name: string) =>
      objectOf(await tooling.create(pathOf('captchatasks', 'default'), manifestOf(name)));
    await create('saved');
    await plane.saveStorage();
    const kubeconfigPath = await plane.kubeconfigFor(OPERATOR);
    const followed = followWith(await loadAccess({ kubeconfigPath }), undefined);
    try {
      await followed.reflector.synced;
      // So many that the restored server does not come near the version that is known, in the time of this test.
      for (let index = 0; index < 400; index++) await create(`lost-${index}`);
      await waitUntil('all of them', () => followed.store.size === 401);
      await plane.putStorageBack();
      await create('after');
      await waitUntil('what was created after it', () => followed.store.get('default/after'), { boundMs: DEAF_MS });
      await waitUntil('the lost ones to go', () => followed.store.size === 2);
      expect([...followed.store.keys()].toSorted()).toEqual(['default/after', 'default/saved']);
    } finally {
      await followed.stop();
      await installation.stop();
    }
  });

  const PROXIES: [string, (response: ServerResponse) => void][] = [
    ['lets the answers of watches through and none of their events', (response) => response.flushHeaders()],
    [
      'ends each watch with an error',
      (response) => void response.end(`${JSON.stringify({ type: 'ERROR', object: { code: 500 } })}\n`),
    ],
  ];
  test.each(PROXIES)('when a proxy %s', { timeout: 400_000 }, async (_what, meddle) => {
    const namespace = await createNamespace();
    const create = async (name: string) =>
      objectOf(await admin.create(pathOf('captchatasks', namespace), manifestOf(name)));
    await create('before');
    const operator = await loadAccess({ kubeconfigPath: access.operatorKubeconfig });
    const proxy = await startProxy(operator, meddle);
    const { authorization } = operator.current();
    const followed = followWith(await proxy.access(() => ({ authorization })), namespace);
    try {
      await followed.reflector.synced;
      expect([...followed.store.keys()]).toEqual([`${namespace}/before`]);
      await create('after');
      await waitUntil('it', () => followed.store.get(`${namespace}/after`), { boundMs: DEAF_MS });
      expect(followed.reflector.watchingSinceMs()).toBeUndefined();
    } finally {
      await followed.stop();
      await proxy.close();
    }
  });
});

/** A proxy before the API server that passes everything on but watches. */
async function startProxy(operator: Access, meddle: (response: ServerResponse) => void): Promise<ScriptedApi> {
  const dispatcher = new Agent({ connect: { ca: await readFile(access.caFile, 'utf8') } });
  const authorization = operator.current().authorization ?? '';
  return startScriptedApi((request, response) => {
    if (request.query.get('watch') === 'true') {
      response.writeHead(200, { 'content-type': 'application/json' });
      meddle(response);
      return;
    }
    void passOn(request, response);
  });

  async function passOn({ method, path, query }: ScriptedRequest, response: ServerResponse): Promise<void> {
    const url = `${access.serverURL}${path}?${query.toString()}`;
    const reply = await send(url, { dispatcher, method: method as 'GET', headers: { authorization } });
    answer(response, reply.statusCode, (await reply.body.json()) as object);
  }
}
