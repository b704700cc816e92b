/**
 * Writes the status of an object: one PUT on `/status` that carries uid and resourceVersion, so that the write of
 * whoever read something older, or another object of that name, is refused (409). Never a merge-patch: the API server
 * ignores the uid in one. What is unchanged is not sent.
 */
import { isDeepStrictEqual } from 'node:util';
import type { KubeClient } from './client.ts';
import type { ApiFailure, KubeObject, Resource } from './types.ts';

/** What a write needs to know of the object: a raw one, or a projection that kept these fields. */
export interface StatusOwner {
  metadata: { namespace?: string; name: string; uid?: string; resourceVersion?: string };
  status?: unknown;
}

export type WriteResult =
  | { kind: 'written'; object: KubeObject }
  /** Nothing was sent. */
  | { kind: 'unchanged' }
  /** Somebody wrote since, or the name belongs to another object now. Read again; not an error. */
  | { kind: 'conflict' }
  | { kind: 'gone' }
  /** The server will never take this (400, 413, 422). `message` quotes no values. */
  | { kind: 'invalid'; message: string }
  /** Anything else, 403 included. `maybeWritten`: read again (quorum) before acting on it. */
  | { kind: 'transient'; maybeWritten: boolean; failure: ApiFailure };

export interface StatusWriterOptions {
  client: Pick<KubeClient, 'execute'>;
  resource: Resource & { kind: string };
  /** Takes what the server returned, so that nobody waits for the watch to tell of an own write. */
  store?: { put(raw: KubeObject): void };
}

export interface StatusWriter {
  write(
    object: StatusOwner,
    status: object,
    options?: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined },
  ): Promise<WriteResult>;
}

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { client, resource, store } = options;
  const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
  return {
    async write(object, status, callOptions) {
      if (isDeepStrictEqual(object.status, status)) return { kind: 'unchanged' };
      const { namespace = '', name, uid, resourceVersion } = object.metadata;
      const reply = await client.execute(
        {
          verb: 'replaceStatus',
          resource,
          namespace,
          name,
          // The server keeps spec and the rest of metadata as they are; sending them would only cost.
          object: { apiVersion, kind: resource.kind, metadata: { namespace, name, uid, resourceVersion }, status },
        },
        callOptions,
      );
      if (!reply.ok) return resultOf(reply);
      const written = reply.object as KubeObject;
      store?.put(written);
      return { kind: 'written', object: written };
    },
  };
}

function resultOf(failure: ApiFailure): WriteResult {
  if (failure.transient) return { kind: 'transient', maybeWritten: failure.sent, failure };
  if (failure.status === 409) return { kind: 'conflict' };
  if (failure.status === 404) return { kind: 'gone' };
  if ([400, 413, 422].includes(failure.status)) return { kind: 'invalid', message: failure.message };
  return { kind: 'transient', maybeWritten: failure.sent, failure };
}
