/**
 * What cluster tests use to reach the control plane of `cluster-setup.ts`: an administrator's client, a namespace of
 * their own, and the paths of our resources. Every test works in its own namespace, so none needs a clean one.
 */
import { randomBytes } from 'node:crypto';

import { inject } from 'vitest';

import { API_VERSION } from '../../src/api/names.ts';
import { applyManifests, createAdmin, objectOf, type Admin } from '../../dev/control-plane/index.ts';

/** Paths and addresses of the control plane that the whole tier shares. */
export const access = inject('cluster');

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

/** Collection, object or subresource: `pathOf('captchatasks', ns)`, `pathOf('captchatasks', ns, 'a')`, `…, 'status')`. */
export function pathOf(plural: string, namespace: string, ...rest: string[]): string {
  return ['', 'apis', API_VERSION, 'namespaces', namespace, plural, ...rest].join('/');
}

/** The same for core resources such as `secrets`. */
export function corePathOf(plural: string, namespace: string, ...rest: string[]): string {
  return ['', 'api', 'v1', 'namespaces', namespace, plural, ...rest].join('/');
}
