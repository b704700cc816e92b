/**
 * Reads a callback as it came over HTTP: `GET` with a query, `POST` with a form or JSON body. Strict where leniency
 * could apply a wrong result: a parameter twice, query and body disagreeing, broken percent-encoding or UTF-8 are
 * refused; the caller then makes the task due for a poll, so that nothing is lost by refusing.
 *
 * Unknown parameters are ignored. It does not know the task: whether `+` in a raw query means a space depends on the
 * captcha's type, so both readings are kept until the task is read (`callback.ts`).
 */
import { MAX_SOLUTION_BYTES } from '../../api/names.ts';

/** A callback as the listener took it. Neither part was decoded. */
export interface RawCallback {
  method: 'GET' | 'POST';
  /** Without the question mark; may be empty. */
  query: string;
  contentType?: string;
  body?: Uint8Array;
}

/** What the provider said. */
export interface Callback {
  /** 1–20 digits. */
  id: string;
  /** Decoded; at most 12,288 bytes; empty when the provider sent none. `+` stands as it was written. */
  code: string;
  /** The same with `+` read as a space; only there when the raw query held one. */
  spacedCode?: string;
}

/** Why an authentic callback was refused. */
export type CallbackFault =
  | 'badId'
  | 'badEncoding'
  | 'badBody'
  | 'bodyNotAllowed'
  | 'unsupportedMediaType'
  | 'repeatedParameter'
  | 'disagreeingParameters'
  | 'tooLarge';

export type ParsedCallback = { ok: true; callback: Callback } | { ok: false; status: 400 | 413; fault: CallbackFault };

interface Fields {
  id?: string;
  code?: string;
  spacedCode?: string;
}
type Reading = Fields | { fault: CallbackFault };

const ID = /^\d{1,20}$/;
const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function parseCallback(raw: RawCallback): ParsedCallback {
  const query = readUrlEncoded(raw.query, 'query');
  if ('fault' in query) return refuse(query.fault);
  const body = readBody(raw);
  if ('fault' in body) return refuse(body.fault);
  const merged = merge(query, body);
  if ('fault' in merged) return refuse(merged.fault);
  const { id = '', code = '', spacedCode } = merged;
  if (!ID.test(id)) return refuse('badId');
  // `+` and a space have one byte each, so one check serves both readings.
  if (encoder.encode(code).length > MAX_SOLUTION_BYTES) return refuse('tooLarge');
  return { ok: true, callback: { id, code, ...(spacedCode === undefined ? {} : { spacedCode }) } };
}

function refuse(fault: CallbackFault): ParsedCallback {
  return { ok: false, status: fault === 'tooLarge' ? 413 : 400, fault };
}

function readBody(raw: RawCallback): Reading {
  if (raw.body === undefined || raw.body.length === 0) return {};
  // What a GET's body means is undefined (RFC 9110, 9.3.1), and intermediaries disagree about where it ends.
  if (raw.method === 'GET') return { fault: 'bodyNotAllowed' };
  const text = decodeText(raw.body);
  if (text === undefined) return { fault: 'badEncoding' };
  const mediaType = (raw.contentType ?? '').split(';', 1)[0]!.trim().toLowerCase();
  switch (mediaType) {
    case '':
    case 'application/x-www-form-urlencoded':
      return readUrlEncoded(text, 'form');
    case 'application/json':
      return readJson(text);
    default:
      return { fault: 'unsupportedMediaType' };
  }
}

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function readUrlEncoded(text: string, place: 'query' | 'form'): Reading {
  const fields: Fields = {};
  for (const pair of text.split('&')) {
    const [rawName, value] = splitPair(pair);
    const name = decodeComponent(plusToSpace(rawName));
    if (name !== 'id' && name !== 'code') continue;
    if (fields[name] !== undefined) return { fault: 'repeatedParameter' };
    const spaced = decodeComponent(plusToSpace(value));
    const literal = place === 'form' ? spaced : decodeComponent(value);
    if (literal === undefined || spaced === undefined) return { fault: 'badEncoding' };
    fields[name] = literal;
    if (name === 'code' && spaced !== literal) fields.spacedCode = spaced;
  }
  return fields;
}

function splitPair(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=');
  return equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
}

function plusToSpace(text: string): string {
  return text.replaceAll('+', ' ');
}

function decodeComponent(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function readJson(text: string): Reading {
  const members = jsonMembers(text);
  if (members === undefined) return { fault: 'badBody' };
  const fields: Fields = {};
  for (const { name, source } of members) {
    if (name !== 'id' && name !== 'code') continue;
    if (fields[name] !== undefined) return { fault: 'repeatedParameter' };
    const value = readJsonValue(source);
    if (value === undefined) return { fault: 'badBody' };
    fields[name] = value;
  }
  return fields;
}

/** Strings as they are, numbers digit by digit, objects and lists as compact JSON, null as nothing said. */
function readJsonValue(source: string): string | undefined {
  if (source === 'null') return '';
  if (source === 'true' || source === 'false') return undefined;
  const value: unknown = JSON.parse(source);
  if (typeof value === 'number') return source;
  const text = typeof value === 'string' ? value : compactJson(value);
  // Half a surrogate pair is no text: it would change on its way through UTF-8.
  return text?.isWellFormed() === true ? text : undefined;
}

/** Undefined where it is nested deeper than it can be written: reading JSON has no such limit, writing has. */
function compactJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** Query and body may say the same, or each a part; a contradiction is refused. */
function merge(query: Fields, body: Fields): Reading {
  const sameId = agree(query.id, body.id);
  const sameCode = agree(query.code, body.code) || query.spacedCode === body.code;
  if (!sameId || !sameCode) return { fault: 'disagreeingParameters' };
  // Where both say the code, the body's reading counts: it knows what `+` was.
  const { code, spacedCode } = body.code === undefined ? query : body;
  return present({ id: body.id ?? query.id, code, spacedCode });
}

function agree(left: string | undefined, right: string | undefined): boolean {
  return left === undefined || right === undefined || left === right;
}

function present(fields: { [Name in keyof Fields]: string | undefined }): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

export interface JsonMember {
  name: string;
  /** The value's source text, trimmed. */
  source: string;
}

/**
 * The members of the JSON object in `text` as they are written, in order and repeats included; undefined when `text` is
 * none. `JSON.parse` alone would keep the last of two equal names and round long numbers. It validates all the same: it
 * goes first, and the walk trusts the text from then on.
 */
export function jsonMembers(text: string): JsonMember[] | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
  } catch {
    return undefined;
  }
  const members: JsonMember[] = [];
  let at = text.indexOf('{') + 1;
  while (true) {
    const quote = text.indexOf('"', at);
    const close = text.indexOf('}', at);
    if (quote === -1 || close < quote) return members;
    const nameEnd = endOfString(text, quote);
    const valueStart = text.indexOf(':', nameEnd) + 1;
    const valueEnd = endOfValue(text, valueStart);
    members.push({
      name: JSON.parse(text.slice(quote, nameEnd)) as string,
      source: text.slice(valueStart, valueEnd).trim(),
    });
    at = valueEnd;
  }
}

/** The index behind the closing quote of the string that opens at `open`. */
function endOfString(text: string, open: number): number {
  let at = open + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** The index of the comma or brace that ends the value at `start`. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (true) {
    const char = text[at];
    if (depth === 0 && (char === ',' || char === '}')) return at;
    if (char === '{' || char === '[') depth++;
    if (char === '}' || char === ']') depth--;
    at = char === '"' ? endOfString(text, at) : at + 1;
  }
}
