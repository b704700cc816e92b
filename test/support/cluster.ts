/**
 * What cluster tests use to reach their control plane (`cluster-setup.ts`), which whoever imports this file starts: an
 * administrator's client and a namespace of their own. Every test works in its own namespace, so none needs a clean one.
 */
import { randomBytes } from 'node:crypto';

import { inject } from 'vitest';

import { applyManifests, createAdmin, objectOf, type Admin } from '../../dev/control-plane/index.ts';
import type { ClusterAccess } from './cluster-setup.ts';

export { corePathOf, pathOf } from './paths.ts';

/** Paths and addresses of the control plane at this place; files share it one after another, never at once. */
export const access = await accessHere();

async function accessHere(): Promise<ClusterAccess> {
  const reply = await fetch(`${inject('controlPlanes')}/${process.env['VITEST_POOL_ID']}`);
  if (!reply.ok) throw new Error(await reply.text());
  return (await reply.json()) as ClusterAccess;
}

/** One client for each test file; it closes with the file's process. */
export const admin: Admin = createAdmin({
  serverURL: access.serverURL,
  caFile: access.caFile,
  token: access.adminToken,
});

/**
 * A fresh namespace; returns its name. With `tenant` the operator may read and create Secrets there, as
 * `kubectl apply -k deploy/tenant` arranges it.
 */
export async function createNamespace(options: { prefix?: string; tenant?: boolean } = {}): Promise<string> {
  const name = `${options.prefix ?? 'test'}-${randomBytes(4).toString('hex')}`;
  objectOf(await admin.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  if (options.tenant) await applyManifests(admin, ['deploy/tenant/rbac.yaml'], name);
  return name;
}
