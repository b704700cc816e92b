/**
 * An open-loop HTTP load generator that costs little: a seeded Poisson schedule, kept-alive raw connections, no
 * pipelining. A request is due at its instant whether or not earlier ones were answered, and its latency counts from
 * that instant; a slow server therefore shows as latency, not as a lower rate. Used by the benchmarks and the torture.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export interface LoadOptions {
  port: number;
  ratePerSecond: number;
  durationMs: number;
  seed: number;
  /** The n-th request's target (path and query). */
  target(n: number): string;
  maxConnections?: number;
}

export interface LoadResult {
  sent: number;
  /** Answers by status; 0 is a connection that ended without one. */
  statuses: Map<number, number>;
  /** Milliseconds from the scheduled instant, sorted. */
  latenciesMs: Float64Array;
  elapsedMs: number;
}

/** mulberry32: small, seeded, good enough for a schedule. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

interface Call {
  n: number;
  dueMs: number;
}

interface Connection {
  socket: Socket;
  call: Call | undefined;
  text: string;
}

export async function runOpenLoop(options: LoadOptions): Promise<LoadResult> {
  const { durationMs, ratePerSecond, maxConnections = 256 } = options;
  const random = seededRandom(options.seed);
  const statuses = new Map<number, number>();
  const latencies: number[] = [];
  const idle: Connection[] = [];
  const waiting: Call[] = [];
  let connections = 0;
  let sent = 0;
  let answered = 0;

  const finish = (connection: Connection, status: number): void => {
    const { call } = connection;
    if (call === undefined) return;
    connection.call = undefined;
    latencies.push(performance.now() - call.dueMs);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    answered++;
  };
  const send = (connection: Connection, call: Call): void => {
    connection.call = call;
    connection.socket.write(`GET ${options.target(call.n)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  };
  const open = (call: Call): void => {
    connections++;
    const socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
    const connection: Connection = { socket, call: undefined, text: '' };
    socket.setEncoding('latin1');
    socket.on('connect', () => send(connection, call));
    socket.on('data', (chunk: string) => {
      connection.text += chunk;
      const status = statusIn(connection.text);
      if (status === undefined) return;
      connection.text = '';
      finish(connection, status);
      const next = waiting.shift();
      if (next === undefined) idle.push(connection);
      else send(connection, next);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      connections--;
      connection.call ??= socket.connecting ? call : undefined;
      finish(connection, 0);
      const index = idle.indexOf(connection);
      if (index !== -1) idle.splice(index, 1);
    });
  };
  const dispatch = (call: Call): void => {
    sent++;
    const connection = idle.pop();
    if (connection !== undefined) send(connection, call);
    else if (connections < maxConnections) open(call);
    else waiting.push(call);
  };

  const startMs = performance.now();
  let dueMs = startMs;
  await new Promise<void>((resolve) => {
    const tick = (): void => {
      const nowMs = performance.now();
      while (dueMs <= nowMs && dueMs < startMs + durationMs) {
        dispatch({ n: sent, dueMs });
        dueMs += (-Math.log(1 - random()) * 1_000) / ratePerSecond;
      }
      const over = dueMs >= startMs + durationMs;
      if (over && (answered >= sent || nowMs > startMs + durationMs + 10_000)) resolve();
      else setTimeout(tick, 1);
    };
    tick();
  });
  const elapsedMs = performance.now() - startMs;
  for (const { socket } of idle) socket.destroy();
  return { sent, statuses, latenciesMs: Float64Array.from(latencies).sort(), elapsedMs };
}

/** The status of a whole answer; undefined while it is incomplete. Our answers have short bodies with a length. */
function statusIn(text: string): number | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
  return text.length >= end + 4 + length ? Number(text.slice(9, 12)) : undefined;
}
