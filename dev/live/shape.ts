/**
 * What a reply looks like, without what it says: the form of ids and answers, which fields there are, which word. What
 * `npm run live` prints and stores goes through here, so that no key, token or solution can be in it.
 */
import type { Reply } from './exchange.ts';

export interface Shape {
  /** The members of a JSON object; undefined for any other text. */
  members?: Readonly<Record<string, unknown>>;
  /** A word in place of an answer: an error code, or `CAPCHA_NOT_READY`. */
  word?: string;
  /** The task id of an accepted submission, with all its digits. */
  id?: string;
}

/** Words begin like the known ones; other capitals may be an answer. */
const WORD = /^(?:(?:ERROR|IP|CAPCHA|OK|MAX|REPORT|NO)_[A-Z0-9_]{2,60}|ERROR: \d{3,5})$/;

export function shapeOf({ text }: Pick<Reply, 'text'>): Shape {
  const body = text.replace(/^\uFEFF/, '').trim();
  const members = membersOf(body);
  if (members === undefined) return plainShape(body);
  const request = members['request'];
  const saysNo = ['0', 'false'].includes(String(members['status']));
  if (typeof request === 'string' && WORD.test(request)) return { members, word: request };
  const id = /"(?:request|result)"\s*:\s*"?([\w-]{1,64})"?\s*[,}]/.exec(body)?.[1];
  return { members, ...(id === undefined || saysNo ? {} : { id }) };
}

function plainShape(body: string): Shape {
  if (body.startsWith('OK|')) return { id: body.slice(3) };
  return WORD.test(body) ? { word: body } : {};
}

function membersOf(body: string): Record<string, unknown> | undefined {
  if (!body.startsWith('{')) return undefined;
  try {
    return JSON.parse(body) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** A word, or how the reply failed to be one: `http 502`, `timeout`, `empty`, `a page`, `accepted`. */
export function wordOf(reply: Reply): string {
  if (reply.fault !== undefined) return reply.fault;
  if (reply.status !== 200) return `http ${reply.status}`;
  const { word, id } = shapeOf(reply);
  if (word !== undefined) return word;
  if (id !== undefined) return 'accepted';
  if (reply.text.trim() === '') return 'empty';
  return reply.text.includes('<html') ? 'a page' : 'something else';
}

/** The form of a value: `token of 500`, `JSON text of a list`, `object of challenge,validate`. Never the value. */
export function formOf(value: unknown): string {
  if (value === undefined) return 'absent';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return `object of ${names(value)}`;
  if (typeof value !== 'string') return typeof value;
  return formOfText(value);
}

function formOfText(value: string): string {
  if (value === '') return 'empty text';
  const inner = membersOf(value.trim());
  if (inner !== undefined) return `JSON text of an object of ${names(inner)}`;
  if (/^\s*\[[\d\s,"]*\]\s*$/.test(value)) return 'JSON text of a list';
  if (/^click:[\d/]+$/.test(value)) return 'click:';
  if (/^\w+:.+,\w+:/.test(value)) return 'pairs';
  if (/^cf_clearance=/i.test(value)) return 'cf_clearance=';
  return 'text';
}

/** Names of members that a client might know; others could say anything. */
const names = (members: object): string =>
  Object.keys(members)
    .map((name) => (/^[a-z_A-Z]{1,32}$/.test(name) ? name : '?'))
    .toSorted()
    .join(',');

const KEPT = new Set(['status', 'threads', 'working_threads', 'free_threads']);

/** The reply as it may be stored: numbers of threads and words stay, every other value is replaced by its form. */
export function redacted(text: string): string {
  const body = text.replace(/^\uFEFF/, '').trim();
  const members = membersOf(body);
  if (members === undefined) return redactedPlain(body);
  const entries = Object.entries(members).map(([name, value]) => [
    /^[a-z_A-Z]{1,32}$/.test(name) ? name : '?',
    redactedMember(name, value),
  ]);
  return JSON.stringify(Object.fromEntries(entries));
}

function redactedMember(name: string, value: unknown): unknown {
  if (KEPT.has(name) && /^(?:\d{1,6}|true|false)$/.test(String(value))) return value;
  if (typeof value === 'string' && WORD.test(value)) return value;
  if (name === 'request' && typeof value === 'object' && value !== null && 'threads' in value) {
    return JSON.parse(redacted(JSON.stringify(value)));
  }
  return `<${formOf(value)}>`;
}

function redactedPlain(body: string): string {
  if (body === '') return '';
  if (body.startsWith('OK|')) return `OK|<${formOfText(body.slice(3))}>`;
  if (WORD.test(body)) return body;
  if (/^\d+(?:\.\d+)?$/.test(body)) return '<number>';
  return body.includes('<html') ? '<page>' : '<text>';
}
