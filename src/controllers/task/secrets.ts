/**
 * Reads one value of one Secret or ConfigMap, by a quorum GET, and says in plain words what is missing where there is
 * none, or what keeps a task from using it. Secrets are never watched and never listed. Used for API keys, proxy addresses and images; the values go to
 * the provider only.
 */
import type { KubeClient } from '../../kube/client.ts';
import type { ApiFailure, Resource } from '../../kube/types.ts';
import { CONFIG_MAP, SECRET } from '../../api/names.ts';
import { refusedReference } from '../../core/task/references.ts';

export type ValueRead =
  | { kind: 'found'; bytes: Buffer }
  /** A person must act; stable text for a condition. */
  | { kind: 'missing'; message: string }
  /** The API server was asked and cannot read it (it cannot decrypt it, say): the same, if it stays so. */
  | { kind: 'unreadable'; message: string }
  /** The API server could not be asked. */
  | { kind: 'unavailable' };

/** The Role that a tenant applies so that the operator may read its Secrets. */
const TENANT_ROLE = 'captcha-operator-tenant (deploy/tenant)';

export async function readSecretValue(
  client: Pick<KubeClient, 'execute'>,
  namespace: string,
  ref: { name: string; key: string },
): Promise<ValueRead> {
  const read = await readData(client, { resource: SECRET, namespace, name: ref.name });
  if (read.kind !== 'read') return read;
  const refused = refusedReference(read.object);
  if (refused !== undefined) return { kind: 'missing', message: refused };
  return decoded(read.object.data?.[ref.key], `Secret "${ref.name}" has no key "${ref.key}", or it is empty.`);
}

/** `binaryData` of a ConfigMap, or, for images that are text anyway, its `data`. */
export async function readConfigMapValue(
  client: Pick<KubeClient, 'execute'>,
  namespace: string,
  ref: { name: string; key: string },
): Promise<ValueRead> {
  const read = await readData(client, { resource: CONFIG_MAP, namespace, name: ref.name });
  if (read.kind !== 'read') return read;
  const text = read.object.data?.[ref.key];
  if (text !== undefined && text !== '') return { kind: 'found', bytes: Buffer.from(text) };
  return decoded(read.object.binaryData?.[ref.key], `ConfigMap "${ref.name}" has no key "${ref.key}", or it is empty.`);
}

interface DataObject {
  type?: string;
  metadata: { name: string; annotations?: Record<string, string> };
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

async function readData(
  client: Pick<KubeClient, 'execute'>,
  at: { resource: Resource & { kind: string }; namespace: string; name: string },
): Promise<{ kind: 'read'; object: DataObject } | Exclude<ValueRead, { kind: 'found' }>> {
  const reply = await client.execute({ verb: 'get', ...at, read: 'quorum' });
  if (!reply.ok) return failureRead(reply, `${at.resource.kind} "${at.name}"`);
  return { kind: 'read', object: reply.object as DataObject };
}

function failureRead(failure: ApiFailure, what: string): Exclude<ValueRead, { kind: 'found' }> {
  if (failure.status === 404 && !failure.transient) return { kind: 'missing', message: `${what} does not exist.` };
  if (failure.status === 403) {
    const message = `The operator may not read ${what}; apply the Role ${TENANT_ROLE} in this namespace.`;
    return { kind: 'missing', message };
  }
  const answered = failure.status !== 0 && failure.status !== 429;
  return answered ? { kind: 'unreadable', message: `${what} cannot be read.` } : { kind: 'unavailable' };
}

function decoded(base64: string | undefined, otherwise: string): ValueRead {
  const bytes = Buffer.from(base64 ?? '', 'base64');
  return bytes.length === 0 ? { kind: 'missing', message: otherwise } : { kind: 'found', bytes };
}
