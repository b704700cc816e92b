/**
 * The vocabulary of this room: requests, replies, objects, paths, keys and times of a Kubernetes API server, for any
 * resource.
 */
import type { Resource } from '../api/requests.ts';

export type { ApiFailure, ApiReply, ApiRequest, Resource } from '../api/requests.ts';

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  [field: string]: unknown;
}

/** Any object of the API, as JSON brought it. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

/**
 * The path of a collection or object, each part encoded.
 * `resourcePath(leases)`, `…(leases, 'ns')`, `…(leases, 'ns', 'name')`, `…(tasks, 'ns', 'name', 'status')`.
 */
export function resourcePath(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  let path = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  if (namespace !== undefined && namespace !== '') path += `/namespaces/${encodeURIComponent(namespace)}`;
  path += `/${resource.plural}`;
  if (name !== undefined) path += `/${encodeURIComponent(name)}`;
  if (subresource !== undefined) path += `/${subresource}`;
  return path;
}

/** The key of an object in stores and queues: `namespace/name`. */
export function keyOf(metadata: { name: string; namespace?: string }): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** Takes a key apart. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/**
 * The MicroTime of Leases and Events: RFC 3339 with exactly six fractional digits, of which those below a millisecond are
 * zero. Source: `metav1.RFC3339Micro`.
 */
export function microTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('Z', '000Z');
}

/**
 * resourceVersions of one resource may be compared as integers (Kubernetes ≥ 1.35, "Resource versions" of the API
 * concepts). -1 where there is none, which is older than every other.
 */
export function versionOf(object: { metadata: { resourceVersion?: string } }): number {
  const version = Number(object.metadata.resourceVersion ?? -1);
  return Number.isFinite(version) ? version : -1;
}
