/**
 * The Kubernetes client of both processes: execute one request, list, watch. Replies are values; nothing here throws
 * for HTTP or network trouble. It bounds what is in flight, lists in a lane of their own (`list-lane.ts`), and leaves
 * repeating to `sender.ts`.
 */
import type { Access } from './access.ts';
import { createGate } from '../waiting/gate.ts';
import { type LimitOptions, createLimit } from '../waiting/limit.ts';
import { failureOf, noAnswer, replyOf } from './reply.ts';
import type { Sought } from './reply.ts';
import { createListLane } from './list-lane.ts';
import type { OnTurn } from './pause.ts';
import { listRequestOf, wireRequestOf } from './requests.ts';
import type { ListOptions } from './requests.ts';
import { createSender } from './sender.ts';
import type { CallOptions, CallVerb, Report } from './sender.ts';
import { createTransport } from './transport.ts';
import type { WireAnswer } from './transport.ts';
import type { ApiFailure, ApiReply, ApiRequest, KubeObject, Resource } from './types.ts';
import { openWatch } from './watch.ts';
import type { WatchEnd, WatchOptions } from './watch.ts';

export type ListReply =
  | { ok: true; items: KubeObject[]; resourceVersion: string; continue: string | undefined }
  | ListFailure;

export interface ListFailure extends ApiFailure {
  /** When the server wants to be asked again. */
  retryAfterMs?: number | undefined;
  /** With a 410: goes on from the same place, in a newer state than the pages before. */
  continue?: string | undefined;
}

export interface KubeClient {
  execute(request: ApiRequest, options?: CallOptions): Promise<ApiReply>;
  /**
   * One page. Pass `continue` on for the next one; 410 then means that its state is not kept any more. At most two
   * pages are under way at once, beside the other calls, and the time limit begins with the turn. Without a `limit` it
   * is a look-up of few objects and goes with the other calls.
   */
  list(resource: Resource, options?: ListOptions & CallOptions & { onTurn?: OnTurn | undefined }): Promise<ListReply>;
  /** One watch connection, until it ends. The reflector is what makes a lasting watch of it. */
  watch(resource: Resource, options: WatchOptions): Promise<WatchEnd>;
  /** Whether a watch that begins with a list is worth a try here; pages always are. */
  streamsLists(): boolean;
  /** Requests that hold a place, requests that wait for one, and how many places there are by what was learned. */
  load(): Load;
  /** Whether requests queue: here, or at the server, be it for others. What can wait should. */
  queueing(): boolean;
  /** Ends every connection; calls under way are answered `Closed`. */
  close(): Promise<void>;
}

export interface Load {
  inFlight: number;
  waiting: number;
  limit: number;
}

/** One HTTP exchange, for metrics. `code` is the HTTP status, or `<error>` where none came. */
export interface RequestReport {
  verb: CallVerb;
  method: string;
  code: string;
  durationMs: number;
}

export interface KubeClientOptions {
  access: Access;
  userAgent: string;
  hooks?: { onRequest?(report: RequestReport): void };
  /** Requests in flight at once, watches aside: what the limit learns from writes begins and ends here. */
  inFlight?: Partial<LimitOptions>;
  /** How long after an outage a 403 is not believed; 10 s. */
  settlingMs?: number;
}

/**
 * A limit that stays at its floor still keeps the two cores of a small control plane busy, also where those are shared
 * with much else; its ceiling is more than one process can feed to any, at 50 ms a write.
 */
const IN_FLIGHT: LimitOptions = { initial: 16, floor: 8, ceiling: 64, tolerance: 2 };
const LIST_TIMEOUT_MS = 30_000;
/**
 * A kube-apiserver that has just started refuses everybody, until its own copy of the RBAC rules is filled: 0.3 s of
 * 403 were seen on an idle machine. A result must not become a dead letter by that.
 */
const SETTLING_MS = 10_000;
/** Room for lists and urgent calls beside the bounded ones. */
const EXTRA_CONNECTIONS = 6;

export function createKubeClient(options: KubeClientOptions): KubeClient {
  const { access, userAgent } = options;
  const inFlight = { ...IN_FLIGHT, ...options.inFlight };
  const transport = createTransport({ access, userAgent, connections: inFlight.ceiling + EXTRA_CONNECTIONS });
  const limit = createLimit(inFlight);
  const gate = createGate(limit.now);
  const lane = createListLane();
  const report: Report = (verb, method, outcome) => {
    const durationMs = performance.now() - outcome.sinceMs;
    options.hooks?.onRequest?.({
      verb,
      method,
      code: outcome.code === 0 ? '<error>' : String(outcome.code),
      durationMs,
    });
  };
  const send = createSender({ access, transport, gate, limit, report });
  const doubt = createDoubt(options.settlingMs ?? SETTLING_MS);

  return {
    async execute(request, options = {}) {
      const answer = await send(request.verb, wireRequestOf(request), options);
      const { resource, namespace } = request;
      return doubt.about(replyFrom(answer, { name: nameOf(request), plural: resource.plural, namespace }));
    },
    async list(resource, options = {}) {
      const { signal, timeoutMs = LIST_TIMEOUT_MS, urgent, onTurn, ...query } = options;
      const read = (how: CallOptions) => send('list', listRequestOf(resource, query), { signal, timeoutMs, ...how });
      const isPage = query.limit !== undefined;
      const answer = await (isPage ? lane.page({ signal, onTurn }, () => read({ urgent: true })) : read({ urgent }));
      if (answer === undefined) return noAnswer('Aborted', 'not sent', false);
      const sought = { name: undefined, plural: resource.plural, namespace: query.namespace };
      return pageOf(doubt.about(replyFrom(answer, sought)), answer);
    },
    streamsLists: () => lane.streams(),
    async watch(resource, options) {
      const open = (how: WatchOptions) => openWatch({ transport, access, report }, resource, how);
      const end = await (options.sendInitialEvents ? lane.stream(options, open) : open(options));
      if (end.kind === 'failed') doubt.about(end.failure);
      return end;
    },
    load: () => ({ inFlight: gate.inside(), waiting: gate.waiting(), limit: limit.now() }),
    queueing: () => gate.waiting() > 0 || limit.isPressed(performance.now()),
    close: () => transport.close(),
  };
}

/** Remembers when the server was last away, and takes a 403 soon after that for transient. */
function createDoubt(settlingMs: number): { about(reply: ApiReply): ApiReply } {
  let awayMs = -Infinity;
  return {
    about(reply) {
      if (reply.ok) return reply;
      const nowMs = performance.now();
      if (['Unreachable', 'Disconnected', 'Timeout'].includes(reply.reason)) awayMs = nowMs;
      if (reply.status !== 403 || nowMs - awayMs > settlingMs) return reply;
      return { ...reply, transient: true };
    },
  };
}

function replyFrom(answer: WireAnswer, sought: Sought): ApiReply {
  if (answer.kind === 'failed') return noAnswer(answer.reason, answer.detail, answer.sent);
  return replyOf(answer.status, answer.body, sought);
}

function nameOf(request: ApiRequest): string | undefined {
  if (request.verb === 'list') return undefined;
  if (request.verb !== 'create') return request.name;
  return (request.object as Partial<KubeObject>).metadata?.name;
}

function pageOf(reply: ApiReply, answer: WireAnswer): ListReply {
  if (!reply.ok) return { ...reply, ...hintsOf(answer) };
  const page = reply.object as { items?: unknown; metadata?: { resourceVersion?: string; continue?: string } };
  if (!Array.isArray(page.items) || typeof page.metadata?.resourceVersion !== 'string') {
    return failureOf(502, { reason: 'Unreadable', message: 'the answer is not a list' }, NOTHING_SOUGHT);
  }
  return {
    ok: true,
    items: page.items as KubeObject[],
    resourceVersion: page.metadata.resourceVersion,
    continue: page.metadata.continue || undefined,
  };
}

/** What a refusal says about how to go on. */
function hintsOf(answer: WireAnswer): Pick<ListFailure, 'retryAfterMs' | 'continue'> {
  if (answer.kind === 'failed') return {};
  const { retryAfterMs } = answer;
  return { retryAfterMs, continue: answer.status === 410 ? freshToken(answer.body) : undefined };
}

function freshToken(body: string): string | undefined {
  try {
    const { metadata } = JSON.parse(body) as { metadata?: { continue?: unknown } };
    return typeof metadata?.continue === 'string' && metadata.continue !== '' ? metadata.continue : undefined;
  } catch {
    return undefined;
  }
}

const NOTHING_SOUGHT: Sought = { name: undefined, plural: '', namespace: undefined };
