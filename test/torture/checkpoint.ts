/**
 * A proxy before the API server or the provider that stops single requests where a test says so: before they are passed
 * on, or when they were answered and their sender does not know yet. What is stopped waits for as long as the test
 * wants, also when its sender is dead by then: so a process is killed or paused at an exact place, and a request
 * arrives late. Watches can be frozen. Speaks plain HTTP on loopback and decides nothing about what passes.
 */
import { type IncomingMessage, type ServerResponse, createServer, request as sendPlain } from 'node:http';
import { Agent, request as sendSecure } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A request that came to the checkpoint. */
export interface Seen {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly text: string;
}

export type Matches = (seen: Seen) => boolean;

/** `before`: the other side has not seen it. `after`: it has answered, and the sender has not read that. */
export type Place = 'before' | 'after';

/** One request that waits at the checkpoint. */
export interface Stopped {
  readonly seen: Seen;
  /** Lets it go on. Resolves with the status that the other side gave, also where its sender is gone. */
  release(): Promise<number>;
  /** The sender gets this, and the other side nothing. */
  answer(status: number): void;
  /** The sender's connection breaks; the request stays here. */
  cut(): void;
}

export interface Checkpoint {
  readonly url: string;
  /** Stops the next request that matches. Resolves when it is there. */
  stop(place: Place, matches: Matches): Promise<Stopped>;
  /** Lets the next request that matches through. Resolves when it was answered. */
  pass(matches: Matches): Promise<Seen>;
  /** From now on none that matches gets through or is answered, however often it is sent; but for what is stopped. */
  bar(matches: Matches): void;
  /** How many that match have come so far. */
  count(matches: Matches): number;
  /** From now on watches tell nothing; what they would have told comes when they thaw. */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

interface Armed {
  place: Place;
  matches: Matches;
  reached(stopped: Stopped): void;
}

type Order = { kind: 'go' } | { kind: 'none' } | { kind: 'answer'; status: number };

interface State {
  target: URL;
  agent: Agent | undefined;
  armed: Armed[];
  barred: Matches[];
  seen: Seen[];
  frozen: boolean;
  /** What frozen watches would have told, in order. */
  kept: (() => void)[];
}

/** @param ca verifies the other side, where that speaks TLS */
export async function startCheckpoint(target: string, ca?: string): Promise<Checkpoint> {
  const agent = target.startsWith('https:') ? new Agent({ ca, keepAlive: true }) : undefined;
  const state: State = { target: new URL(target), agent, armed: [], barred: [], seen: [], frozen: false, kept: [] };
  const server = createServer((incoming, outgoing) => {
    outgoing.on('error', () => outgoing.destroy());
    handle(state, incoming, outgoing).catch(() => outgoing.destroy());
  });
  // It is the sender that closes, as with the servers behind.
  server.keepAliveTimeout = 600_000;
  // A process that was killed in between leaves half a request.
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop: Checkpoint['stop'] = (place, matches) =>
    new Promise((reached) => void state.armed.push({ place, matches, reached }));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop,
    async pass(matches) {
      const stopped = await stop('after', matches);
      await stopped.release();
      return stopped.seen;
    },
    bar: (matches) => void state.barred.push(matches),
    count: (matches) => state.seen.filter(matches).length,
    freeze: () => {
      state.frozen = true;
    },
    thaw: () => {
      state.frozen = false;
      for (const tell of state.kept.splice(0)) tell();
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      agent?.destroy();
    },
  };
}

async function handle(state: State, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const seen: Seen = { method: incoming.method ?? '', url: incoming.url ?? '/', text: await textOf(incoming) };
  state.seen.push(seen);
  const answered = Promise.withResolvers<number>();
  const passage = { seen, outgoing, answered: answered.promise };
  const order = await halt(state, 'before', passage);
  if (order.kind === 'none') return;
  if (order.kind === 'answer') return answer(outgoing, order.status);
  const reply = await forward(state, seen, incoming);
  outgoing.once('close', () => reply.destroy());
  const late = await halt(state, 'after', passage);
  answered.resolve(reply.statusCode ?? 0);
  if (late.kind === 'answer') return answer(outgoing, late.status);
  if (!outgoing.destroyed) hand(state, { seen, reply }, outgoing);
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

interface Passage {
  seen: Seen;
  outgoing: ServerResponse;
  answered: Promise<number>;
}

/** Waits for the test's order where this request is to be stopped here. */
function halt({ armed, barred }: State, place: Place, { seen, outgoing, answered }: Passage): Promise<Order> | Order {
  const index = armed.findIndex((one) => one.place === place && one.matches(seen));
  const [found] = index < 0 ? [] : armed.splice(index, 1);
  if (found === undefined) {
    const isBarred = place === 'before' && barred.some((matches) => matches(seen));
    return { kind: isBarred && !armed.some((one) => one.matches(seen)) ? 'none' : 'go' };
  }
  return new Promise((resolve) => {
    found.reached({
      seen,
      release: () => {
        resolve({ kind: 'go' });
        return answered;
      },
      answer: (status) => resolve({ kind: 'answer', status }),
      cut: () => void outgoing.destroy(),
    });
  });
}

function answer(outgoing: ServerResponse, code: number): void {
  if (outgoing.destroyed) return;
  const reason = REASONS[code] ?? 'InternalError';
  outgoing.writeHead(code, { 'content-type': 'application/json' });
  outgoing.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code, message: reason }));
}

const REASONS: Readonly<Record<number, string>> = {
  403: 'Forbidden',
  409: 'Conflict',
  413: 'RequestEntityTooLarge',
  429: 'TooManyRequests',
};

/** The whole request goes out, whatever has become of its sender. */
function forward({ target, agent }: State, seen: Seen, { headers }: IncomingMessage): Promise<IncomingMessage> {
  const { host: _host, connection: _connection, 'transfer-encoding': _encoding, ...kept } = headers;
  const length = seen.text === '' ? {} : { 'content-length': String(Buffer.byteLength(seen.text)) };
  const { hostname, port } = target;
  const options = { hostname, port, method: seen.method, path: seen.url, headers: { ...kept, ...length } };
  return new Promise((resolve, reject) => {
    const onward = agent === undefined ? sendPlain(options, resolve) : sendSecure({ ...options, agent }, resolve);
    onward.once('error', reject);
    onward.end(seen.text);
  });
}

function hand(state: State, { seen, reply }: { seen: Seen; reply: IncomingMessage }, outgoing: ServerResponse): void {
  const isWatch = /[?&]watch=true/.test(seen.url);
  outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
  outgoing.flushHeaders();
  const tell = (act: () => void): void => {
    if (isWatch && state.frozen) state.kept.push(act);
    else act();
  };
  reply.on('data', (chunk: Buffer) => tell(() => void outgoing.write(chunk)));
  reply.once('end', () => tell(() => void outgoing.end()));
  reply.once('error', () => void outgoing.destroy());
}
