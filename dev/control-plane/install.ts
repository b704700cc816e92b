/**
 * Installs what the operator needs into a local control plane: the CRDs and the shipped namespace, ServiceAccount and
 * RBAC, from the same files that `kubectl apply -k` uses. The processes themselves run outside of it.
 */
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { parseAllDocuments } from 'yaml';

import { objectOf, type Admin } from './admin.ts';

const ROOT = new URL('../../', import.meta.url);
const BASE = ['deploy/base/namespace.yaml', 'deploy/base/serviceaccount.yaml', 'deploy/base/rbac.yaml'];
const GATEWAY = ['deploy/components/gateway/serviceaccount.yaml', 'deploy/components/gateway/rbac.yaml'];
const ESTABLISHED_TIMEOUT_MS = 30_000;

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
}

/** Gives the gateway its rights. */
export async function installGateway(admin: Admin): Promise<void> {
  await applyManifests(admin, GATEWAY);
}

/** Applies CRDs, namespace, ServiceAccount and RBAC, and resolves when the new kinds are served. Repeatable. */
export async function installOperator(admin: Admin): Promise<void> {
  const crds = (await readdir(new URL('crds/', ROOT))).filter((name) => name.endsWith('.yaml'));
  const definitions = await applyManifests(
    admin,
    crds.map((name) => `crds/${name}`),
  );
  await applyManifests(admin, BASE);
  for (const { metadata } of definitions) await waitEstablished(admin, metadata.name);
}

/**
 * Applies every document of the given files (paths relative to the repository) by server-side apply, in order.
 * `namespace` is used for namespaced objects that name none. Throws with the server's message at the first refusal.
 */
export async function applyManifests(admin: Admin, files: readonly string[], namespace?: string): Promise<Manifest[]> {
  const applied: Manifest[] = [];
  for (const file of files) {
    const text = await readFile(fileURLToPath(new URL(file, ROOT)), 'utf8');
    for (const document of parseAllDocuments(text)) {
      const manifest = document.toJS() as Manifest;
      objectOf(await admin.patch(await pathOf(admin, manifest, namespace), manifest, 'apply'));
      applied.push(manifest);
    }
  }
  return applied;
}

async function pathOf(admin: Admin, manifest: Manifest, fallback: string | undefined): Promise<string> {
  const { apiVersion, kind, metadata } = manifest;
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { resources } = objectOf<{ resources: { name: string; kind: string; namespaced: boolean }[] }>(
    await admin.get(root),
  );
  const resource = resources.find((each) => each.kind === kind && !each.name.includes('/'));
  if (resource === undefined) throw new Error(`${apiVersion} serves no ${kind}`);
  const namespace = metadata.namespace ?? fallback ?? 'default';
  return `${root}${resource.namespaced ? `/namespaces/${namespace}` : ''}/${resource.name}/${metadata.name}`;
}

/** A definition is served some moments after it was accepted, and its list a moment after that. */
async function waitEstablished(admin: Admin, name: string): Promise<void> {
  const [plural, ...group] = name.split('.');
  const deadlineMs = performance.now() + ESTABLISHED_TIMEOUT_MS;
  let last = '';
  while (performance.now() < deadlineMs) {
    const definition = objectOf<{ status?: { conditions?: { type: string; status: string; message: string }[] } }>(
      await admin.get(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`),
    );
    const conditions = definition.status?.conditions ?? [];
    const established = conditions.some(({ type, status }) => type === 'Established' && status === 'True');
    const served =
      established && (await admin.get(`/apis/${group.join('.')}/v1alpha1/${plural}?limit=1`)).status === 200;
    if (served) return;
    last = conditions.map(({ type, status, message }) => `${type}=${status} ${message}`).join('; ');
    await delay(50);
  }
  throw new Error(`the definition ${name} is not served after ${ESTABLISHED_TIMEOUT_MS / 1_000} s: ${last}`);
}
