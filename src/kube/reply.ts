/**
 * Turns an HTTP answer of the API server into an `ApiReply`: what is final, what may succeed later, and a message that
 * is safe to show. The server quotes refused values in its messages, and values may be solutions or keys, so every
 * quoted value is cut out here, once, for all callers. Pure.
 * Source: `metav1.Status` and "HTTP Status codes" in the Kubernetes API conventions.
 */
import type { ApiFailure, ApiReply } from './types.ts';

const MESSAGE_LIMIT = 512;

/** What a 404 must name to prove that it is this object that is missing. */
export interface Sought {
  name: string | undefined;
  plural: string;
  namespace: string | undefined;
}

/** The parts of `metav1.Status` that are read. */
export interface Status {
  code?: unknown;
  reason?: unknown;
  message?: unknown;
  details?: { name?: unknown; kind?: unknown; causes?: unknown; retryAfterSeconds?: unknown };
}

/** @param body text of the answer; anything but a JSON object of the expected kind is `Unreadable` and transient */
export function replyOf(status: number, body: string, sought: Sought): ApiReply {
  const parsed = parseObject(body);
  if (status >= 200 && status < 300) {
    return parsed === undefined ? unreadable(status) : { ok: true, object: parsed };
  }
  return failureOf(status, parsed ?? {}, sought);
}

/** The failure that an error Status stands for; also for the ERROR events of a watch. */
export function failureOf(code: number, status: Status, sought: Sought): ApiFailure {
  return {
    ok: false,
    status: code,
    reason: typeof status.reason === 'string' && status.reason !== '' ? status.reason : `HTTP${code}`,
    message: messageOf(status),
    transient: isTransient(code, status, sought),
    // A refusal below 500 is answered before anything is stored.
    sent: code >= 500 || code < 400,
  };
}

/** A failure without an answer. `detail` is an error code, never a text that could quote a request. */
export function noAnswer(reason: string, detail: string, sent: boolean): ApiFailure {
  return { ok: false, status: 0, reason, message: detail, transient: true, sent };
}

function unreadable(status: number): ApiFailure {
  const message = 'the answer is not a JSON object';
  return { ok: false, status, reason: 'Unreadable', message, transient: true, sent: true };
}

/** 401 is transient: tokens rotate, and a result must not be given up because ours was late. */
const TRANSIENT_CODES = [401, 408, 425, 429];

function isTransient(code: number, status: Status, sought: Sought): boolean {
  if (code >= 500 || code < 400 || TRANSIENT_CODES.includes(code)) return true;
  return code === 404 && !namesTheMissing(status.details ?? {}, sought);
}

/**
 * A 404 is final only when it names the object or its namespace: a missing CRD and an aggregated API that is down
 * answer 404 as well.
 */
function namesTheMissing(details: { name?: unknown; kind?: unknown }, sought: Sought): boolean {
  const { name, kind } = details;
  if (name === undefined) return false;
  if (kind === 'namespaces') return name === sought.namespace;
  return name === sought.name && (kind === undefined || kind === sought.plural);
}

function messageOf(status: Status): string {
  const causes = status.details?.causes;
  if (!Array.isArray(causes) || causes.length === 0) return cleanMessage(status.message);
  const parts = causes.map((cause: { field?: unknown; message?: unknown }) => {
    const field = typeof cause.field === 'string' && cause.field !== '<nil>' ? `${cause.field}: ` : '';
    return `${field}${cleanMessage(cause.message)}`;
  });
  return bounded(parts.join('; '));
}

/**
 * Cuts out what the server quotes: `Invalid value: "…": text`, `Duplicate value: {…}: text`, `unknown field "…"`
 * keeps its name. Values without quotes are cut up to the last `: `.
 */
export function cleanMessage(message: unknown): string {
  if (typeof message !== 'string') return '';
  const cleaned = message
    .replaceAll(/\b(\w+ value): "(?:[^"\\]|\\.)*"(?:\.\.\.)?/g, '$1')
    .replaceAll(/\b(\w+ value): (?:map\[|\[|\{).*[\]}](?=: |$)/gs, '$1');
  return bounded(cleaned);
}

function bounded(text: string): string {
  return text.length <= MESSAGE_LIMIT ? text : `${text.slice(0, MESSAGE_LIMIT - 1)}…`;
}

function parseObject(body: string): object | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
