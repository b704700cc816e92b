/**
 * One write of an object's status: a PUT on `/status` that carries uid and resourceVersion, so that the write of whoever
 * read something older, or another object of that name, is refused (409). Never a merge-patch: the API server ignores
 * the uid in one. What is unchanged is not sent. It repeats nothing and reads nothing: what to do after a refusal is the
 * caller's to say.
 */
import type { ApiReply, Protocol, Resource } from './protocol.ts';
import { API_VERSION } from '../api/names.ts';
import { sameJson } from './task/patch.ts';

interface StatusOwner {
  metadata: { namespace: string; name: string; uid: string; resourceVersion: string };
  status?: unknown;
}

export type StatusWrite<Owner> =
  | { kind: 'written'; object: Owner }
  /** Nothing was sent. */
  | { kind: 'unchanged' }
  /** Somebody wrote since, or the name belongs to another object now. Read again; not an error. */
  | { kind: 'conflict' }
  | { kind: 'gone' }
  /** The server will never take this (400, 413, 422). `message` quotes no values. */
  | { kind: 'invalid'; message: string }
  /** Anything else, 403 included. `maybeWritten`: read again (quorum) before acting on it. */
  | { kind: 'transient'; maybeWritten: boolean; reason: string; code: number };

export function* putStatus<Owner extends StatusOwner>(
  resource: Resource & { kind: string },
  owner: Owner,
  status: NonNullable<Owner['status']>,
): Protocol<StatusWrite<Owner>> {
  if (sameJson(owner.status, status)) return { kind: 'unchanged' };
  const { namespace, name, uid, resourceVersion } = owner.metadata;
  const { kind } = resource;
  // The server keeps spec and the rest of metadata as they are; sending them would only cost.
  const object = { apiVersion: API_VERSION, kind, metadata: { namespace, name, uid, resourceVersion }, status };
  const reply = yield { verb: 'replaceStatus', resource, namespace, name, object };
  return reply.ok ? { kind: 'written', object: reply.object as Owner } : refused(reply);
}

function refused({ transient, status, sent, reason, message }: Extract<ApiReply, { ok: false }>): StatusWrite<never> {
  const failed = { kind: 'transient', maybeWritten: sent, reason, code: status } as const;
  if (transient) return failed;
  if (status === 409) return { kind: 'conflict' };
  if (status === 404) return { kind: 'gone' };
  return [400, 413, 422].includes(status) ? { kind: 'invalid', message } : failed;
}
