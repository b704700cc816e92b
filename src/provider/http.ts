/**
 * One call of the provider, as a value: the reply with its whole body, or what went wrong and whether the request can
 * have been acted on. Called by `provider/client`; knows nothing of captchas and understands no body.
 *
 * The question it must get right is "was anything sent?". It never guesses that from an error code alone: it watches
 * the socket. Only a request whose *own, new* connection never finished connecting (or its TLS handshake) is proven
 * unsent. On a reused keep-alive connection a reset may mean either, so it counts as sent.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import fetch, { type Response } from 'node-fetch';

export type Fault =
  | 'connectionRefused'
  | 'dns'
  | 'tls'
  | 'timeout'
  | 'aborted'
  | 'reset'
  | 'network'
  | 'redirect'
  | 'tooLarge';

/** `cut`: the status line came, the body did not come whole. `sent` is false only where that is proven. */
export type Exchange =
  | { kind: 'reply'; status: number; text: string; retryAfterMs?: number }
  | { kind: 'cut'; status: number; fault: Fault; retryAfterMs?: number }
  | { kind: 'failed'; fault: Fault; sent: boolean };

export interface ExchangeOptions {
  /** From the call to the last byte of the body. */
  timeoutMs: number;
  signal?: AbortSignal;
}

/** Where `https:` calls are tunnelled through. */
export interface ForwardProxy {
  /** `http://[user:password@]host:port`. */
  url: string;
  /** Hosts that are reached without it, as in `NO_PROXY`. */
  except?: string | undefined;
}

export interface HttpClient {
  /** Sends a form to a path below the base URL. Never rejects. */
  post(path: string, form: string, options: ExchangeOptions): Promise<Exchange>;
  get(path: string, options: ExchangeOptions): Promise<Exchange>;
  close(): void;
}

/** How far the connection made for one request has come; `reused` where none had to be made. */
interface Connection {
  phase: 'reused' | 'connecting' | 'handshake' | 'open';
}

const underway = new AsyncLocalStorage<Connection>();

/**
 * The longest a connection may idle here. Shorter than any server keeps it, because a server that closes it just as
 * we send makes that submission unknown.
 */
const MAX_IDLE_MS = 4_000;

/** `maxReplyBytes`: a longer body is a fault, whatever it says. */
export function createHttpClient(options: {
  baseUrl: string;
  maxReplyBytes: number;
  proxy?: ForwardProxy | undefined;
}): HttpClient {
  const { protocol, href } = new URL(options.baseUrl);
  const base = href.endsWith('/') ? href : `${href}/`;
  const agent = createAgent(protocol === 'https:', options.proxy);
  const send = (path: string, form: string | undefined, signal: AbortSignal): Promise<Response> =>
    fetch(base + path, {
      method: form === undefined ? 'GET' : 'POST',
      headers: {
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        accept: 'application/json, text/plain;q=0.9',
        'user-agent': 'captcha-operator',
      },
      ...(form === undefined ? {} : { body: form }),
      redirect: 'error',
      size: options.maxReplyBytes,
      agent,
      signal,
    });
  const call = (path: string, form: string | undefined, exchangeOptions: ExchangeOptions): Promise<Exchange> =>
    withDeadline(exchangeOptions, (deadline) => exchange(deadline, () => send(path, form, deadline.signal)));
  return {
    post: call,
    get: (path, exchangeOptions) => call(path, undefined, exchangeOptions),
    close: () => agent.destroy(),
  };
}

/** One keep-alive agent that tells each request how far the connection opened for it has come. */
function createAgent(secure: boolean, proxy: ForwardProxy | undefined): HttpAgent {
  const settings = { keepAlive: true, timeout: MAX_IDLE_MS, scheduling: 'lifo' as const };
  const proxyEnv = proxy && { HTTPS_PROXY: proxy.url, NO_PROXY: proxy.except ?? '' };
  const agent = secure ? new HttpsAgent({ ...settings, proxyEnv }) : new HttpAgent(settings);
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const connection = underway.getStore();
    // Through a proxy the socket that is returned leads to the proxy; that of the tunnel comes when its TLS stands.
    const socket = connect(options, (error, tunnel) => {
      if (connection !== undefined && !error) connection.phase = 'open';
      callback?.(error, tunnel);
    });
    if (connection !== undefined && socket) follow(connection, socket, secure);
    return socket;
  };
  return agent;
}

function follow(connection: Connection, socket: Duplex, secure: boolean): void {
  connection.phase = 'connecting';
  socket.once('connect', () => {
    connection.phase = secure ? 'handshake' : 'open';
  });
  socket.once('secureConnect', () => {
    connection.phase = 'open';
  });
}

interface Deadline {
  signal: AbortSignal;
  expired(): boolean;
}

/** Runs `call` with a signal that fires at the time limit or with the caller's own signal; leaves no timer behind. */
async function withDeadline<T>(options: ExchangeOptions, call: (deadline: Deadline) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let expired = false;
  const timer = setTimeout(() => {
    expired = true;
    controller.abort();
  }, options.timeoutMs);
  const abort = (): void => controller.abort();
  if (options.signal?.aborted === true) abort();
  options.signal?.addEventListener('abort', abort);
  try {
    return await call({ signal: controller.signal, expired: () => expired });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', abort);
  }
}

async function exchange(deadline: Deadline, send: () => Promise<Response>): Promise<Exchange> {
  if (deadline.signal.aborted) return { kind: 'failed', fault: 'aborted', sent: false };
  const connection: Connection = { phase: 'reused' };
  let response: Response;
  try {
    response = await underway.run(connection, send);
  } catch (error) {
    const sent = connection.phase === 'reused' || connection.phase === 'open';
    return { kind: 'failed', fault: faultOf(error, deadline, connection), sent };
  }
  const head = { status: response.status, ...retryAfter(response) };
  try {
    return { kind: 'reply', ...head, text: await response.text() };
  } catch (error) {
    return { kind: 'cut', ...head, fault: faultOf(error, deadline, connection) };
  }
}

function faultOf(error: unknown, deadline: Deadline, connection: Connection): Fault {
  if (deadline.signal.aborted) return deadline.expired() ? 'timeout' : 'aborted';
  const { code, type } = error as { code?: unknown; type?: unknown };
  if (code === 'ERR_PROXY_TUNNEL') return 'network';
  if (connection.phase === 'handshake') return 'tls';
  if (type === 'max-size') return 'tooLarge';
  if (type === 'no-redirect' || type === 'invalid-redirect') return 'redirect';
  return FAULTS[String(code)] ?? 'network';
}

const FAULTS: Readonly<Record<string, Fault>> = {
  ECONNREFUSED: 'connectionRefused',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  EAI_NONAME: 'dns',
  ETIMEDOUT: 'timeout',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ERR_STREAM_PREMATURE_CLOSE: 'reset',
};

const MAX_RETRY_AFTER_MS = 3_600_000;

/** `Retry-After` in seconds, or as a date measured against the reply's own `Date` (clocks differ); at most an hour. */
function retryAfter(response: Response): { retryAfterMs?: number } {
  const text = response.headers.get('retry-after');
  if (text === null) return {};
  const waitMs = /^\d{1,9}$/.test(text)
    ? Number(text) * 1_000
    : Date.parse(text) - Date.parse(response.headers.get('date') ?? '');
  return Number.isFinite(waitMs) && waitMs >= 0 ? { retryAfterMs: Math.min(waitMs, MAX_RETRY_AFTER_MS) } : {};
}
