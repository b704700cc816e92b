/**
 * A KubeClient over the model API, for tests of a controller's shell: lists, watches and requests in memory, with a
 * place to lose, refuse or delay any request. What is written is told to the watches at once. Every request takes a
 * turn of the event loop, as a real one does: what happens between a request and its reply must be able to happen here.
 */
import { setImmediate } from 'node:timers/promises';
import type { CallOptions } from '../../src/kube/sender.ts';
import type { KubeClient, ListReply } from '../../src/kube/client.ts';
import type { ApiReply, ApiRequest, KubeObject } from '../../src/kube/types.ts';
import type { WatchOptions } from '../../src/kube/watch.ts';
import type { ModelApi, StoredObject } from './model-api.ts';
import { outage, refusal } from './model-api.ts';

/** What becomes of a request: its reply is lost after it was carried out, it never arrives, or it waits first. */
export type Fate = 'replyLost' | 'notSent' | Promise<void> | undefined;

export interface ModelClient extends KubeClient {
  /** Asked before each request. */
  fate: (request: ApiRequest) => Fate;
  /** While true the watches tell nothing, and never will of what happened meanwhile. */
  deaf: boolean;
  /** Namespaces whose watches tell nothing. */
  readonly silent: Set<string>;
  /** Namespaces that may be neither listed nor watched. */
  readonly forbidden: Set<string>;
  /** How many watches are open. */
  watching(): number;
  /** A change by somebody else, told to the watches. */
  change(plural: string, name: string, act: () => void): void;
}

type Watching = WatchOptions & { plural: string };

export function createModelClient(api: ModelApi): ModelClient {
  const watches = new Set<Watching>();

  function tell(plural: string, before: StoredObject | undefined, after: StoredObject | undefined): void {
    if (before === after || client.deaf) return;
    for (const watch of watches) if (watch.plural === plural) tellOne(watch, before, after);
  }

  function tellOne(watch: Watching, before: StoredObject | undefined, after: StoredObject | undefined): void {
    // Who selects by a field wants the unfinished.
    const gone = after === undefined || (watch.fieldSelector !== undefined && isFinished(after));
    const object = (gone ? leaving(before) : after) as unknown as KubeObject | undefined;
    if (object === undefined || !isSeen(object, watch) || client.silent.has(object.metadata.namespace ?? '')) return;
    watch.onEvent(gone ? 'DELETED' : before === undefined ? 'ADDED' : 'MODIFIED', object);
  }

  /** As an API server tells it: what leaves a selection is its last state there, at the version of the change. */
  function leaving(before: StoredObject | undefined): StoredObject | undefined {
    return (
      before && {
        ...before,
        metadata: {
          ...before.metadata,
          resourceVersion: String(api.revision()),
        },
      }
    );
  }

  function change(plural: string, name: string, act: () => void): void {
    const before = api.read(plural, name);
    act();
    tell(plural, before, api.read(plural, name));
  }

  function carryOut(request: ApiRequest): ApiReply {
    if (request.verb === 'list') return api.handle(request);
    let reply: ApiReply = outage();
    const name = 'name' in request ? request.name : ((request.object as StoredObject).metadata.name ?? '');
    change(request.resource.plural, name, () => {
      reply = api.handle(request as Parameters<ModelApi['handle']>[0]);
    });
    return reply;
  }

  const client: ModelClient = {
    fate: () => undefined,
    deaf: false,
    silent: new Set(),
    forbidden: new Set(),
    watching: () => watches.size,
    change,
    async execute(request: ApiRequest, _options?: CallOptions) {
      const fate = client.fate(request);
      await (fate instanceof Promise ? fate : setImmediate());
      if (fate === 'notSent') return outage(false);
      const reply = carryOut(request);
      return fate === 'replyLost' ? outage(true) : reply;
    },
    async list(resource, options): Promise<ListReply> {
      await Promise.resolve();
      if (client.forbidden.has(options?.namespace ?? '')) return refusal(403, 'Forbidden');
      const finishedWanted = options?.fieldSelector?.includes('!=') !== true;
      const all = api
        .all(resource.plural)
        .filter(({ metadata: { namespace } }) => namespace === (options?.namespace ?? namespace));
      const items =
        resource.plural === 'captchatasks' && options?.fieldSelector !== undefined
          ? all.filter((object) => isFinished(object) === finishedWanted)
          : all;
      return {
        ok: true,
        items: items as unknown as KubeObject[],
        resourceVersion: String(api.revision()),
        continue: undefined,
      };
    },
    watch(resource, options) {
      if (client.forbidden.has(options.namespace ?? '')) {
        return Promise.resolve({ kind: 'failed', failure: refusal(403, 'Forbidden') });
      }
      const watch = { ...options, plural: resource.plural };
      watches.add(watch);
      options.onAnswer?.(200);
      // What is watched is told to be complete, as a streamed list ends.
      options.onEvent('BOOKMARK', { metadata: { name: '', resourceVersion: String(api.revision()) } });
      return new Promise((resolve) => {
        const stop = (): void => {
          watches.delete(watch);
          resolve({ kind: 'stopped' });
        };
        if (options.signal.aborted) stop();
        else options.signal.addEventListener('abort', stop, { once: true });
      });
    },
    streamsLists: () => false,
    load: () => ({ inFlight: 0, waiting: 0, limit: 16 }),
    queueing: () => false,
    close: () => Promise.resolve(),
  };
  return client;
}

function isSeen(object: KubeObject, watch: Watching): boolean {
  const { namespace } = object.metadata;
  return (watch.namespace ?? namespace) === namespace;
}

function isFinished(object: StoredObject): boolean {
  const phase = (object.status as { phase?: string } | undefined)?.phase;
  return phase === 'Solved' || phase === 'Failed';
}
