/**
 * One watch connection: opens it, turns its lines into events, and says how it ended. It has a silence limit, because
 * a connection can die without a word; bookmarks come about every minute, so a living one is never silent for longer.
 * It does not reconnect and keeps no state between connections: that is `reflector.ts`. Called through `client.ts`.
 * Source: "Efficient detection of changes" in the Kubernetes API concepts.
 */
import type { Access } from './access.ts';
import { createLineSplitter } from './lines.ts';
import { failureOf, noAnswer } from './reply.ts';
import type { Status } from './reply.ts';
import { watchRequestOf } from './requests.ts';
import type { WatchQuery } from './requests.ts';
import { parseRetryAfter } from './transport.ts';
import type { StreamEnd, Transport } from './transport.ts';
import type { ApiFailure, KubeObject, Resource } from './types.ts';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

export interface WatchOptions extends WatchQuery {
  signal: AbortSignal;
  /** Nothing received for this long ends the watch as `silent`; waiting for the first answer counts as well. */
  silenceMs: number;
  /** The server accepted the watch. */
  onOpen?(): void;
  /** Bytes came. */
  onActivity?(): void;
  /** Must not throw; called in the order of arrival. */
  onEvent(type: WatchEventType, object: KubeObject): void;
}

/** `expired`: 410, by HTTP or as an event; the resourceVersion is too old and only a list helps. */
export type WatchEnd =
  | { kind: 'ended' }
  | { kind: 'expired' }
  | { kind: 'silent' }
  | { kind: 'stopped' }
  | { kind: 'failed'; failure: ApiFailure; retryAfterMs?: number | undefined };

export interface WatchParts {
  transport: Transport;
  access: Access;
  report(verb: 'watch', method: string, outcome: { code: number; sinceMs: number }): void;
}

/** Longer than any object the API server stores (etcd refuses requests above 1.5 MiB), with room for its JSON. */
const LINE_LIMIT_BYTES = 16 * 1024 * 1024;
const ERROR_BODY_LIMIT = 64 * 1024;
const NOTHING_SOUGHT = { name: undefined, plural: '', namespace: undefined };

interface Progress {
  status: number;
  errorBody: string;
  retryAfterMs: number | undefined;
  /** An end that was decided here, before the connection closed. */
  verdict: WatchEnd | undefined;
}

export async function openWatch(parts: WatchParts, resource: Resource, options: WatchOptions): Promise<WatchEnd> {
  if (options.signal.aborted) return { kind: 'stopped' };
  const progress: Progress = { status: 0, errorBody: '', retryAfterMs: undefined, verdict: undefined };
  const closing = new AbortController();
  const conclude = (verdict: WatchEnd) => {
    progress.verdict ??= verdict;
    closing.abort();
  };
  const onStop = () => conclude({ kind: 'stopped' });
  options.signal.addEventListener('abort', onStop, { once: true });
  const silence = setTimeout(() => conclude({ kind: 'silent' }), options.silenceMs);
  const splitter = createLineSplitter(LINE_LIMIT_BYTES, (line) => {
    if (progress.verdict === undefined) readLine(line, options, conclude);
  });
  const sinceMs = performance.now();

  const end = await parts.transport.stream(watchRequestOf(resource, options), {
    signal: closing.signal,
    onStart(status, headers) {
      progress.status = status;
      progress.retryAfterMs = parseRetryAfter(headers['retry-after']);
      parts.report('watch', 'GET', { code: status, sinceMs });
      silence.refresh();
      if (status === 200) options.onOpen?.();
    },
    onData(chunk) {
      silence.refresh();
      options.onActivity?.();
      if (progress.status === 200) feed(splitter, chunk, conclude);
      else if (progress.errorBody.length < ERROR_BODY_LIMIT) progress.errorBody += chunk.toString('latin1');
    },
  });
  clearTimeout(silence);
  options.signal.removeEventListener('abort', onStop);
  if (progress.status === 0) parts.report('watch', 'GET', { code: 0, sinceMs });
  if (progress.status === 401) await parts.access.refresh();
  return endOf(end, progress);
}

function feed(splitter: { push(chunk: Buffer): void }, chunk: Buffer, conclude: (verdict: WatchEnd) => void): void {
  try {
    splitter.push(chunk);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    conclude(garbage('line too long'));
  }
}

function readLine(line: string, options: WatchOptions, conclude: (verdict: WatchEnd) => void): void {
  const event = parseEvent(line);
  if (event === undefined) return conclude(garbage('not a watch event'));
  if (event.type === 'ERROR') return conclude(endOfStatus(event.object));
  return options.onEvent(event.type, event.object);
}

type Line = { type: WatchEventType; object: KubeObject } | { type: 'ERROR'; object: Status };

function parseEvent(line: string): Line | undefined {
  try {
    const event = JSON.parse(line) as Partial<Line> | null;
    if (typeof event?.object !== 'object' || event.object === null) return undefined;
    if (event.type === 'ERROR') return event as Line;
    const known = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'].includes(event.type ?? '');
    const hasMetadata = typeof (event.object as Partial<KubeObject>).metadata === 'object';
    return known && hasMetadata ? (event as Line) : undefined;
  } catch {
    return undefined;
  }
}

function endOf(end: StreamEnd, progress: Progress): WatchEnd {
  if (progress.verdict !== undefined) return progress.verdict;
  if (end.kind === 'failed') return { kind: 'failed', failure: noAnswer(end.reason, end.detail, false) };
  if (progress.status === 200) return { kind: 'ended' };
  return endOfStatus(parseStatus(progress.errorBody), progress.status, progress.retryAfterMs);
}

function parseStatus(body: string): Status {
  try {
    return (JSON.parse(body) ?? {}) as Status;
  } catch {
    return {};
  }
}

function endOfStatus(status: Status, httpStatus = 500, retryAfterMs?: number): WatchEnd {
  const code = typeof status.code === 'number' ? status.code : httpStatus;
  if (code === 410) return { kind: 'expired' };
  return { kind: 'failed', failure: failureOf(code, status, NOTHING_SOUGHT), retryAfterMs };
}

function garbage(message: string): WatchEnd {
  return { kind: 'failed', failure: noAnswer('Garbage', message, false) };
}
