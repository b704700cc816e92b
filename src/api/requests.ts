/**
 * What may be asked of a Kubernetes API server and what it answers, for any resource: the words that the protocols of
 * `core/` and the client of `kube/` have in common. Types only; it knows no kind of ours.
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

/** Reads may be `cached` (served from the watch cache, perhaps stale: `resourceVersion=0`) or `quorum` (linearizable). */
export type ReadKind = 'cached' | 'quorum';

/** One call. `metadataOnly`: nothing but `metadata` comes over the wire, of a Secret no value. */
export type ApiRequest =
  | { verb: 'get'; resource: Resource; namespace: string; name: string; read: ReadKind; metadataOnly?: true }
  /** The few objects that one field selects (a look-up), answered as a list in `object`. */
  | { verb: 'list'; resource: Resource; namespace: string; fieldSelector: string }
  | { verb: 'create'; resource: Resource; namespace: string; object: object }
  | { verb: 'patchStatus'; resource: Resource; namespace: string; name: string; patch: JsonPatchOp[] }
  | { verb: 'mergePatch'; resource: Resource; namespace: string; name: string; patch: object }
  /** PUT on `/status`; `object.metadata` carries uid and resourceVersion, so a stale write is answered 409. */
  | { verb: 'replaceStatus'; resource: Resource; namespace: string; name: string; object: object }
  /** PUT of a whole object; `object.metadata` carries the resourceVersion, so a stale write is answered 409. */
  | { verb: 'replace'; resource: Resource; namespace: string; name: string; object: object }
  | {
      verb: 'delete';
      resource: Resource;
      namespace: string;
      name: string;
      preconditions: { uid: string; resourceVersion?: string };
    };

/**
 * `transient`: the same may succeed later: no connection, time-out, 429, 5xx, and a 404 whose details do not name the
 * object (CRD missing, aggregation down). `sent`: the server may have acted on the request.
 */
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
