/**
 * A small administrator's client for tooling and tests: plain JSON requests over one keep-alive agent. It is kept apart
 * from `kube/` on purpose, so that tests do not judge the product's client by itself. No retries, no caches.
 */
import { readFileSync } from 'node:fs';

import { Agent, request } from 'undici';

/** `body` is the parsed JSON: the object, or the `Status` with the reason of a refusal. */
export interface AdminReply {
  status: number;
  body: unknown;
}

const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  /** Server-side apply; creates the object when there is none. */
  apply: 'application/apply-patch+yaml',
} as const;

export interface Admin {
  get(path: string): Promise<AdminReply>;
  create(path: string, object: object): Promise<AdminReply>;
  replace(path: string, object: object): Promise<AdminReply>;
  patch(path: string, patch: object, type: keyof typeof PATCH_TYPES): Promise<AdminReply>;
  delete(path: string): Promise<AdminReply>;
  close(): Promise<void>;
}

/** Paths are absolute, e.g. `/api/v1/namespaces`. Refusals are replies; throws only when no HTTP answer comes. */
export function createAdmin(access: { serverURL: string; caFile: string; token: string }): Admin {
  // HTTP/1.1: a thousand objects are there in 1.5 s, by HTTP/2 in 2.4 s.
  const connect = { ca: readFileSync(access.caFile, 'utf8') };
  const dispatcher = new Agent({ connect, connections: 16, allowH2: false });
  return adminOver(access.serverURL, dispatcher, { authorization: `Bearer ${access.token}` });
}

/** The same through `kubectl proxy`, which knows how to reach any cluster. */
export function createProxiedAdmin(proxyURL: string): Admin {
  return adminOver(proxyURL, new Agent({ connections: 16 }), {});
}

function adminOver(serverURL: string, dispatcher: Agent, identity: Record<string, string>): Admin {
  const send = async (method: string, path: string, body?: object, type = 'application/json'): Promise<AdminReply> => {
    const reply = await request(`${serverURL}${path}`, {
      dispatcher,
      method: method as 'GET',
      headers: { ...identity, accept: 'application/json', ...(body === undefined ? {} : { 'content-type': type }) },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: 60_000,
    });
    const text = await reply.body.text();
    return { status: reply.statusCode, body: parsed(text) };
  };
  return {
    get: (path) => send('GET', path),
    create: (path, object) => send('POST', path, object),
    replace: (path, object) => send('PUT', path, object),
    patch: (path, patch, type) => {
      const forced = type === 'apply' ? '?fieldManager=local-tooling&force=true' : '';
      return send('PATCH', `${path}${forced}`, patch, PATCH_TYPES[type]);
    },
    delete: (path) => send('DELETE', path),
    close: () => dispatcher.close(),
  };
}

/** Not every answer is JSON: `404 page not found`, for one. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return { message: text };
  }
}

/** The object of a successful reply; throws with the server's message otherwise. */
export function objectOf<T = unknown>(reply: AdminReply): T {
  if (reply.status >= 200 && reply.status < 300) return reply.body as T;
  throw new Error(`the API server answered ${reply.status}: ${messageOf(reply)}`);
}

/** What the server says about a refusal; names the field where one is at fault. */
export function messageOf(reply: AdminReply): string {
  return (reply.body as { message?: string }).message ?? '';
}
