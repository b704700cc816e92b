/**
 * The vocabulary of this room: requests, replies, objects, paths, keys and times of a Kubernetes API server, for any
 * resource. The pure core has its own words for the part of this that its protocols use (`core/protocol.ts`): neither
 * room imports the other, and `test/unit/kube/run.test.ts` has the compiler compare the two.
 */

/** A resource as it appears in a path. The core group is the empty string. */
export interface Resource {
  group: string;
  version: string;
  plural: string;
}

export interface JsonPatchOp {
  op: 'test' | 'add' | 'replace' | 'remove';
  path: string;
  value?: unknown;
}

/** Reads may be `cached` (served from the watch cache, perhaps stale) or `quorum` (linearizable). */
export type ReadKind = 'cached' | 'quorum';

/** One call. `metadataOnly`: nothing but `metadata` comes over the wire, of a Secret no value. */
export type ApiRequest =
  | { verb: 'get'; resource: Resource; namespace: string; name: string; read: ReadKind; metadataOnly?: true }
  /** The few objects that one field selects (a look-up), answered as a list in `object`. */
  | { verb: 'list'; resource: Resource; namespace: string; fieldSelector: string }
  | { verb: 'create'; resource: Resource; namespace: string; object: object }
  | { verb: 'patchStatus'; resource: Resource; namespace: string; name: string; patch: JsonPatchOp[] }
  | { verb: 'replaceStatus'; resource: Resource; namespace: string; name: string; object: object }
  | {
      verb: 'delete';
      resource: Resource;
      namespace: string;
      name: string;
      preconditions: { uid: string; resourceVersion?: string };
    }
  | { verb: 'replace'; resource: Resource; namespace: string; name: string; object: object }
  | { verb: 'mergePatch'; resource: Resource; namespace: string; name: string; patch: object };

/** `transient`: the same may succeed later. `sent`: the server may have acted on the request. */
export interface ApiFailure {
  ok: false;
  /** HTTP status, 0 where no answer came. */
  status: number;
  /** `Status.reason` of the server, or our own word: Timeout, Aborted, Unreachable, Disconnected, Unreadable, Closed. */
  reason: string;
  /** Bounded, without values of the request in it. */
  message: string;
  transient: boolean;
  sent: boolean;
}

export type ApiReply = { ok: true; object: unknown } | ApiFailure;

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
