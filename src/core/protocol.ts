/**
 * How the pure core talks to the Kubernetes API without doing I/O: a protocol is a generator that yields one request,
 * is resumed with the reply, and returns its verdict. In a process `kube/run.ts` sends the requests. Every `yield` is a
 * point where the process may die, so tests abandon generators there.
 */

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

/** One call. `cached` reads may be stale (`resourceVersion=0`); `quorum` reads are linearizable. */
export type ApiRequest =
  | { verb: 'get'; resource: Resource; namespace: string; name: string; read: 'cached' | 'quorum' }
  /** The few objects that one field selects (a look-up), answered as a list in `object`. */
  | { verb: 'list'; resource: Resource; namespace: string; fieldSelector: string }
  | { verb: 'create'; resource: Resource; namespace: string; object: object }
  | { verb: 'patchStatus'; resource: Resource; namespace: string; name: string; patch: JsonPatchOp[] }
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
 * What came back. `transient`: the same may succeed later: no connection, time-out, 429, 5xx, and a 404 whose
 * details do not name the object (CRD missing, aggregation down). `status` is 0 where no HTTP answer came, and
 * `sent` then says whether the request may have been acted on.
 */
export type ApiReply =
  | { ok: true; object: unknown }
  | { ok: false; status: number; reason: string; message: string; transient: boolean; sent: boolean };

/** A pure protocol: yields requests, takes replies, returns a verdict. */
export type Protocol<Verdict> = Generator<ApiRequest, Verdict, ApiReply>;
