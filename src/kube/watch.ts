/**
 * One watch connection: opens it, turns its lines into events, and says how it ended. It has a silence limit, because
 * a connection can die without a word; bookmarks come about every minute, so a living one is never silent for longer.
 * Only what is understood breaks the silence: neither the headers of an answer nor bytes that are no event prove that
 * events come through. What a newer server may send is passed over. It does not reconnect and keeps no state between
 * connections: that is `reflector.ts`.
 * Source: "Efficient detection of changes" in the Kubernetes API concepts.
 */
import type { Access } from './access.ts';
import { within } from './pause.ts';
import type { OnTurn } from './pause.ts';
import { failureOf, noAnswer } from './reply.ts';
import type { Status } from './reply.ts';
import { watchRequestOf } from './requests.ts';
import type { WatchQuery } from './requests.ts';
import { parseRetryAfter } from './transport.ts';
import type { StreamEnd, Transport } from './transport.ts';
import type { ApiFailure, KubeObject, Resource } from './types.ts';

/** `LISTED` is the bookmark that ends the list with which a watch was asked to begin. */
export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'LISTED';

export interface WatchOptions extends WatchQuery {
  signal: AbortSignal;
  /** No event for this long ends the watch as `silent`; waiting for the answer is silence as well. */
  silenceMs: number;
  /** The same while the initial list lasts, and for how long it may last; 10 s and 60 s. */
  listing?: { silenceMs: number; atMostMs: number } | undefined;
  /** Where the watch begins with a list: whether it waits for its turn. */
  onTurn?: OnTurn | undefined;
  /** The server answered, with any status. */
  onAnswer?(status: number): void;
  /** Must not throw; called in the order of arrival. `distrust` ends the watch as `expired`. */
  onEvent(type: WatchEventType, object: KubeObject): 'distrust' | void;
  /** Something was passed over: an event of an unknown type, or without an object. */
  onOddity?(what: string): void;
}

/**
 * `expired`: 410, by HTTP or as an event; the resourceVersion is too old and only a list helps. `mustList`: an ERROR
 * event said that the server cannot go on from here, so that events may have been lost.
 */
export type WatchEnd =
  | { kind: 'ended' }
  | { kind: 'expired' }
  | { kind: 'silent' }
  | { kind: 'stopped' }
  | { kind: 'failed'; failure: ApiFailure; retryAfterMs?: number | undefined; mustList?: boolean };

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
  const silence = createSilence(options, () => conclude({ kind: 'silent' }));
  const splitter = createLineSplitter(LINE_LIMIT_BYTES, (line) => {
    if (progress.verdict === undefined) readLine(line, { ...options, silence }, conclude);
  });
  const sinceMs = performance.now();
  const used = parts.access.current();

  const end = await parts.transport.stream(watchRequestOf(resource, options), {
    signal: closing.signal,
    onStart(status, headers) {
      progress.status = status;
      progress.retryAfterMs = parseRetryAfter(headers['retry-after']);
      parts.report('watch', 'GET', { code: status, sinceMs });
      options.onAnswer?.(status);
    },
    onData(chunk) {
      if (progress.status === 200) feed(splitter, chunk, conclude);
      else if (progress.errorBody.length < ERROR_BODY_LIMIT) progress.errorBody += chunk.toString('latin1');
    },
  });
  silence.end();
  options.signal.removeEventListener('abort', onStop);
  if (progress.status === 0) parts.report('watch', 'GET', { code: 0, sinceMs });
  if (progress.status === 401) await within(parts.access.refresh(used), options.silenceMs, options.signal);
  return endOf(end, progress);
}

function feed(splitter: LineSplitter, chunk: Buffer, conclude: (verdict: WatchEnd) => void): void {
  try {
    splitter.push(chunk);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    conclude(garbage('line too long'));
  }
}

export interface LineSplitter {
  /** @throws RangeError when a line is longer than the limit */
  push(chunk: Buffer): void;
  /** Bytes after the last newline; a clean end leaves none. */
  pending(): number;
}

const NEWLINE = 0x0a;

/**
 * Cuts a stream of bytes into lines of text. A newline byte never occurs inside a UTF-8 sequence, so cutting the bytes
 * first and decoding whole lines afterwards is safe at any chunk boundary. Refuses lines beyond a limit, so that a
 * server that never ends a line cannot fill the memory.
 */
export function createLineSplitter(limitBytes: number, onLine: (line: string) => void): LineSplitter {
  let pieces: Buffer[] = [];
  let pendingBytes = 0;

  const finish = (last: Buffer): string => {
    if (pieces.length === 0) return last.toString('utf8');
    pieces.push(last);
    const line = Buffer.concat(pieces).toString('utf8');
    pieces = [];
    pendingBytes = 0;
    return line;
  };

  return {
    push(chunk) {
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(NEWLINE, start);
        if (end < 0) break;
        const line = finish(chunk.subarray(start, end));
        start = end + 1;
        if (line !== '') onLine(line);
      }
      if (start >= chunk.length) return;
      pieces.push(start === 0 ? chunk : chunk.subarray(start));
      pendingBytes += chunk.length - start;
      if (pendingBytes > limitBytes) throw new RangeError(`a line is longer than ${limitBytes} bytes`);
    },
    pending: () => pendingBytes,
  };
}

interface Silence {
  broken(): void;
  /** The initial list is complete. */
  listed(): void;
  end(): void;
}

const LISTING = { silenceMs: 10_000, atMostMs: 60_000 };

function createSilence(options: WatchOptions, onSilent: () => void): Silence {
  const { silenceMs, sendInitialEvents, listing = LISTING } = options;
  const whole = sendInitialEvents && setTimeout(onSilent, listing.atMostMs);
  let timer = setTimeout(onSilent, sendInitialEvents ? listing.silenceMs : silenceMs);
  const end = () => {
    clearTimeout(timer);
    clearTimeout(whole);
  };
  return {
    broken: () => void timer.refresh(),
    listed() {
      end();
      timer = setTimeout(onSilent, silenceMs);
    },
    end,
  };
}

type Listening = Pick<WatchOptions, 'onEvent' | 'onOddity'> & { silence: Silence };

function readLine(line: string, listening: Listening, conclude: (verdict: WatchEnd) => void): void {
  const event = parseLine(line);
  if (event === undefined) return conclude(garbage('not a watch event'));
  if (event.type === 'ERROR') return conclude(endOfEvent(event.object as Status | null | undefined));
  const oddity = oddityOf(event);
  if (oddity !== undefined) return listening.onOddity?.(oddity);
  const type = typeOf(event as Event);
  if (type === 'LISTED') listening.silence.listed();
  else listening.silence.broken();
  if (listening.onEvent(type, event.object as KubeObject) === 'distrust') conclude({ kind: 'expired' });
}

interface Event {
  type: WatchEventType;
  object: KubeObject;
}

function typeOf({ type, object }: Event): WatchEventType {
  const { annotations } = object.metadata as { annotations?: Record<string, unknown> };
  return type === 'BOOKMARK' && annotations?.['k8s.io/initial-events-end'] === 'true' ? 'LISTED' : type;
}

interface Line {
  type?: unknown;
  object?: unknown;
}

/** Undefined for anything but one JSON object a line: that is no API server. */
function parseLine(line: string): Line | undefined {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === 'object' && event !== null ? event : undefined;
  } catch {
    return undefined;
  }
}

const KNOWN_TYPES: readonly unknown[] = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'] satisfies WatchEventType[];

function oddityOf({ type, object }: Line): string | undefined {
  if (!KNOWN_TYPES.includes(type)) return 'an event of an unknown type';
  const { metadata } = (object ?? {}) as Partial<KubeObject>;
  return typeof metadata === 'object' && metadata !== null ? undefined : 'an event without an object';
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

function endOfEvent(status: Status | null | undefined): WatchEnd {
  const end = endOfStatus(status ?? {});
  if (end.kind !== 'failed') return end;
  const { retryAfterSeconds } = status?.details ?? {};
  const retryAfterMs = typeof retryAfterSeconds === 'number' ? retryAfterSeconds * 1_000 : undefined;
  return { ...end, retryAfterMs, mustList: end.failure.status !== 429 };
}

function garbage(message: string): WatchEnd {
  return { kind: 'failed', failure: noAnswer('Garbage', message, false) };
}
