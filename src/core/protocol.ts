/**
 * How the pure core talks to the Kubernetes API without doing I/O: a protocol is a generator that yields one request,
 * is resumed with the reply, and returns its verdict. In a process `kube/run.ts` sends the requests. Every `yield` is a
 * point where the process may die, so tests abandon generators there.
 */
import type { ApiReply, ApiRequest as AnyRequest } from '../api/requests.ts';

export type { ApiReply, JsonPatchOp, Resource } from '../api/requests.ts';

/** One call. No merge patch: a protocol writes against the version it has read. */
export type ApiRequest = Exclude<AnyRequest, { verb: 'mergePatch' }>;

/** A pure protocol: yields requests, takes replies, returns a verdict. */
export type Protocol<Verdict> = Generator<ApiRequest, Verdict, ApiReply>;
