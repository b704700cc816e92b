/**
 * Reads what a client sent, in every encoding the provider takes: query, urlencoded body, multipart body, on GET and
 * POST alike; body fields win over query fields. JSON bodies are read only where the provider shall (switch
 * `jsonBodies`). Refuses nothing: what cannot be read is simply missing.
 */
import type { IncomingMessage } from 'node:http';

export type Fields = Map<string, string>;

/** A field's value; empty where it was not sent. */
export const field = (fields: Fields, name: string): string => fields.get(name) ?? '';

const BOUNDARY = /^multipart\/form-data;.*boundary="?([^";]+)"?/i;
const MAX_BODY_BYTES = 32 * 1024 * 1024;

export async function readFields(request: IncomingMessage, jsonBodies: boolean): Promise<Fields> {
  const body = await readBody(request);
  const fields = queryFields(request);
  const add = (value: string, name: string): unknown => fields.set(name, value);
  if (isJson(request)) {
    if (jsonBodies) for (const [name, value] of members(body)) fields.set(name, value);
    return fields;
  }
  const boundary = BOUNDARY.exec(request.headers['content-type'] ?? '')?.[1];
  if (boundary !== undefined) for (const [name, value] of multipart(body, boundary)) fields.set(name, value);
  else if (body.length > 0) new URLSearchParams(body.toString('utf8')).forEach(add);
  return fields;
}

/** What the URL alone says. */
export function queryFields({ url = '' }: IncomingMessage): Fields {
  const query = url.split('?', 2)[1] ?? '';
  return new Map(query === '' ? [] : new URLSearchParams(query));
}

/** `GET`, or `POST` with the kind of its body: `POST form`, `POST multipart`, `POST json`. */
export function sentAs(request: IncomingMessage): string {
  if (request.method !== 'POST') return request.method ?? '';
  const type = request.headers['content-type'] ?? '';
  return `POST ${type.startsWith('multipart/') ? 'multipart' : isJson(request) ? 'json' : 'form'}`;
}

const isJson = (request: IncomingMessage): boolean => /\bjson\b/i.test(request.headers['content-type'] ?? '');

/** The members of a JSON object, as text. */
function members(body: Buffer): (readonly [string, string])[] {
  try {
    const entries = Object.entries(JSON.parse(body.toString('utf8')) as object);
    return entries.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)] as const);
  } catch {
    return [];
  }
}

/** The whole body. A client that breaks off ends with an error here, and its request is not acted on. */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) request.destroy(new Error('body too large'));
      chunks.push(chunk);
    });
    request.once('end', () =>
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)),
    );
    request.once('error', reject);
  });
}

/** Text parts as text; file parts (`filename=`) as base64, which is how the rest of the simulator sees images. */
function multipart(body: Buffer, boundary: string): (readonly [string, string])[] {
  const parts = body.toString('latin1').split(`--${boundary}`).slice(1, -1);
  return parts.flatMap((part) => {
    const split = part.indexOf('\r\n\r\n');
    const head = part.slice(0, split);
    const name = /name="([^"]*)"/i.exec(head)?.[1];
    if (split === -1 || name === undefined) return [];
    const bytes = Buffer.from(part.slice(split + 4, -2), 'latin1');
    return [[name, bytes.toString(/filename=/i.test(head) ? 'base64' : 'utf8')] as const];
  });
}
