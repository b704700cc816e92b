/**
 * Reads what a client sent, in every encoding the provider takes: query, urlencoded body, multipart body, on GET and
 * POST alike; body fields win over query fields. Refuses nothing: what cannot be read is simply missing.
 */
import type { IncomingMessage } from 'node:http';

export type Fields = Map<string, string>;

/** A field's value; empty where it was not sent. */
export const field = (fields: Fields, name: string): string => fields.get(name) ?? '';

const MAX_BODY_BYTES = 32 * 1024 * 1024;

export async function readFields(request: IncomingMessage, query: string): Promise<Fields> {
  const body = await readBody(request);
  const fields: Fields = new Map(query === '' ? [] : new URLSearchParams(query));
  const type = request.headers['content-type'] ?? '';
  const boundary = /^multipart\/form-data;.*boundary="?([^";]+)"?/i.exec(type)?.[1];
  const sent = boundary === undefined ? urlencoded(body) : multipart(body, boundary);
  for (const [name, value] of sent) fields.set(name, value);
  return fields;
}

/** The whole body. A client that breaks off ends with an error here, and its request is not acted on. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error('body too large');
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

function urlencoded(body: Buffer): Iterable<readonly [string, string]> {
  return body.length === 0 ? [] : new URLSearchParams(body.toString('utf8'));
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
