/**
 * Where the provider's callbacks arrive while `npm run live` asks about them: an HTTP server whose answer to each path
 * the questions choose (200, 500, none at all, a reset), and which remembers how each call came. What a callback said
 * is kept only to be compared with the polled answer, in memory.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  /** The last part of the path: which question it belongs to. */
  name: string;
  verb: string;
  type: string;
  /** Query and form together. */
  fields: ReadonlyMap<string, string>;
  inQuery: boolean;
  headers: string[];
  atMs: number;
}

export type Behaviour = 'ok' | 'fail' | 'hang' | 'reset';

export interface Receiver {
  readonly port: number;
  readonly received: readonly Received[];
  /** What calls of this name are answered; `ok` where nothing was said. */
  behave(name: string, behaviour: Behaviour): void;
  stop(): Promise<void>;
}

const MAX_BODY_BYTES = 65_536;

export async function startReceiver(port: number, host = '127.0.0.1'): Promise<Receiver> {
  const received: Received[] = [];
  const behaviours = new Map<string, Behaviour>();
  const server = createServer((request, response) => {
    take(request, response).catch(() => request.destroy());
  });
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const call = readCall(request, await readBody(request));
    received.push(call);
    answer(response, behaviours.get(call.name) ?? 'ok');
  };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    received,
    behave: (name, behaviour) => void behaviours.set(name, behaviour),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, behaviour: Behaviour): void {
  if (behaviour === 'ok') response.end('OK');
  else if (behaviour === 'fail') response.writeHead(500).end();
  else if (behaviour === 'reset') response.socket?.resetAndDestroy();
}

function readCall(request: IncomingMessage, body: string): Received {
  const url = new URL(request.url ?? '/', 'http://receiver.invalid');
  const fields = new Map(url.searchParams);
  const type = request.headers['content-type'] ?? '';
  for (const [name, value] of formFields(type, body)) fields.set(name, value);
  return {
    name: url.pathname.split('/').at(-1) ?? '',
    verb: request.method ?? '',
    type: type.split(';')[0] ?? '',
    fields,
    inQuery: url.searchParams.has('code'),
    headers: Object.keys(request.headers).toSorted(),
    atMs: performance.now(),
  };
}

function formFields(type: string, body: string): Iterable<[string, string]> {
  if (body === '') return [];
  if (type.includes('json')) return jsonFields(body);
  return type.startsWith('multipart/') ? multipartFields(body) : new URLSearchParams(body);
}

function jsonFields(body: string): [string, string][] {
  try {
    return Object.entries(JSON.parse(body) as object).map(([name, value]) => [name, String(value)]);
  } catch {
    return [];
  }
}

function multipartFields(body: string): [string, string][] {
  return [...body.matchAll(/name="([^"]{1,64})"[^\r]*\r\n(?:[^\r]+\r\n)*\r\n([\s\S]*?)\r\n--/g)].map((match) => [
    match[1] ?? '',
    match[2] ?? '',
  ]);
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = '';
  request.setEncoding('utf8');
  for await (const chunk of request) {
    body += chunk as string;
    if (body.length > MAX_BODY_BYTES) throw new Error('too large');
  }
  return body;
}
