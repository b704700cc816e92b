/**
 * A server of lists and watches that does what a test tells it, and a reflector that follows it without waiting: its
 * sleeps end at once, are noted, and count as time. For the rooms tests of the reflector.
 */
import type { ServerResponse } from 'node:http';
import { createKubeClient } from '../../src/kube/client.ts';
import { startReflector } from '../../src/kube/reflector.ts';
import type { Reflector, ReflectorClock, ReflectorOptions, Trouble } from '../../src/kube/reflector.ts';
import { createStore } from '../../src/kube/store.ts';
import type { KubeObject } from '../../src/kube/types.ts';
import { answer, startScriptedApi } from './scripted-api.ts';
import type { ScriptedApi, ScriptedRequest } from './scripted-api.ts';
import { waitUntil } from './wait-until.ts';

export const TASKS = { group: 'captcha-operator.io', version: 'v1alpha1', plural: 'captchatasks' };
export const item = (name: string, version: number, text = ''): KubeObject => ({
  metadata: { namespace: 'ns', name, resourceVersion: String(version) },
  text,
});

export const releases: (() => Promise<void>)[] = [];
/** For `afterEach`. */
export async function releaseAll(): Promise<void> {
  for (const release of releases.splice(0).toReversed()) await release();
}

/** A server with a list that tests set, and watches that tests write to. */
export interface WatchServer {
  api: ScriptedApi;
  /** What a list answers; a function answers by itself. */
  list: { items: KubeObject[]; version: number } | ((request: ScriptedRequest, response: ServerResponse) => void);
  lists: number;
  /** Answers streamed lists; refused with 422 where absent, as old servers do. */
  stream: ((response: ServerResponse) => void) | undefined;
  streams: { response: ServerResponse; query: URLSearchParams }[];
  watches: { version: string | null; response: ServerResponse; query: URLSearchParams }[];
  /** Answers the next watches instead of opening them; one each. */
  refusals: ((response: ServerResponse) => void)[];
  latest(): ServerResponse;
  send(type: string, object: object): void;
}

export async function startWatchServer(port = 0): Promise<WatchServer> {
  const api = await startScriptedApi((request, response) => {
    if (request.query.get('watch') !== 'true') {
      server.lists++;
      const { list } = server;
      if (typeof list === 'function') list(request, response);
      else answer(response, 200, { metadata: { resourceVersion: String(list.version) }, items: list.items });
      return;
    }
    if (request.query.get('sendInitialEvents') === 'true') {
      if (server.stream === undefined) return answer(response, 422, { code: 422, reason: 'Invalid' });
      server.streams.push({ response, query: request.query });
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      return server.stream(response);
    }
    server.watches.push({ version: request.query.get('resourceVersion'), response, query: request.query });
    const refuse = server.refusals.shift();
    if (refuse !== undefined) return refuse(response);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
  }, port);
  releases.push(() => api.close());
  const server: WatchServer = {
    api,
    list: { items: [], version: 1 },
    lists: 0,
    stream: undefined,
    streams: [],
    watches: [],
    refusals: [],
    latest() {
      const watch = server.watches.at(-1);
      if (watch === undefined) throw new Error('no watch is open');
      return watch.response;
    },
    send(type, object) {
      server.latest().write(`${JSON.stringify({ type, object })}\n`);
    },
  };
  return server;
}

export interface Followed {
  reflector: Reflector;
  held(): Record<string, string>;
  deleted: string[];
  causes: string[];
  /** For each restart, whether it counted as an interruption. */
  interruptions: boolean[];
  sleeps: number[];
  troubles: string[];
  faults: unknown[];
}

function project(raw: KubeObject) {
  if (raw['text'] === 'unbearable') throw new Error('cannot project');
  return { version: String(raw.metadata.resourceVersion), text: raw['text'] as string };
}

/** Follows with sleeps that end at once and are noted. */
export async function follow(server: WatchServer, extra: Partial<ReflectorOptions> = {}): Promise<Followed> {
  const client = createKubeClient({ access: await server.api.access(), userAgent: 'test' });
  const store = createStore({ project });
  const seen: Omit<Followed, 'reflector' | 'held'> = {
    deleted: [],
    causes: [],
    interruptions: [],
    sleeps: [],
    troubles: [],
    faults: [],
  };
  store.subscribe((key, change) => change === 'deleted' && seen.deleted.push(key));
  let sleptMs = 0;
  const clock: ReflectorClock = {
    monotonicMs: () => performance.now() + sleptMs,
    random: () => 0.5,
    sleep: async (delayMs) => {
      seen.sleeps.push(Math.round(delayMs));
      sleptMs += delayMs;
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
  };
  const hooks = {
    onRestart: ({ cause }: { cause: string }) => {
      seen.causes.push(cause);
      queueMicrotask(() => seen.interruptions.push(reflector.watchingSinceMs() === undefined));
    },
    onUnavailable: ({ reason, status }: Trouble) => seen.troubles.push(`${reason} (${status})`),
    onAvailable: () => seen.troubles.push('available'),
    onFault: ({ error }: { error: unknown }) => seen.faults.push(error),
  };
  const reflector = startReflector({ client, resource: TASKS, store, clock, hooks, ...extra });
  releases.push(async () => {
    await reflector.stop();
    await client.close();
  });
  const held = () => Object.fromEntries([...store.keys()].map((key) => [key, store.get(key)?.version ?? '']));
  return { ...seen, reflector, held };
}

export const watching = (server: WatchServer, count: number) =>
  waitUntil(`watch number ${count}`, () => server.watches.length >= count);
