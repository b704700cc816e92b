/**
 * The ledger client: delivers numbered callbacks over kept-alive connections to a sidecar that keeps dying, and writes
 * down which were answered 200. Some are delivered twice at once. What got no answer is not delivered again, because
 * the provider promises nothing else either; a refused connection delivered nothing and is tried again.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface LedgerOptions {
  /** Where to deliver: 0, and for the second of two at once, 1. */
  port(which: 0 | 1): number;
  /** Target of the n-th callback. */
  target(n: number): string;
  callbacks: number;
  connections: number;
  /** One in this many is delivered twice at once. */
  duplicateEvery: number;
  /** Whether it is time to deliver the n-th; spreads the callbacks over a run. */
  mayDeliver?(n: number): boolean;
}

export interface Ledger {
  /** 1 where a callback was answered 200. */
  acknowledged: Uint8Array;
  /** How many they are. */
  answered(): number;
  /** Answers that were neither 200 nor a broken connection, by status. */
  refused: Map<number, number>;
  /** Slowest answer, in ms. */
  slowestMs(): number;
  finished: Promise<void>;
  stop(): void;
}

/** Refusing is quick: without a pause a run would be over before the sidecar can take anything again. */
const REFUSED_PAUSE_MS = 50;

export function startLedger(options: LedgerOptions): Ledger {
  const acknowledged = new Uint8Array(options.callbacks);
  const refused = new Map<number, number>();
  let answered = 0;
  let next = 0;
  const stopping = new AbortController();
  const over = stopping.signal;
  let slowestMs = 0;

  const deliver = async (lane: Lane, n: number): Promise<void> => {
    let startMs = performance.now();
    let status = await lane.get(options.target(n));
    while (status === 'refused' && !over.aborted) {
      await delay(10);
      startMs = performance.now();
      status = await lane.get(options.target(n));
    }
    if (typeof status !== 'number') return;
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    if (status === 200) {
      answered += 1 - acknowledged[n]!;
      acknowledged[n] = 1;
    } else {
      refused.set(status, (refused.get(status) ?? 0) + 1);
      await delay(REFUSED_PAUSE_MS);
    }
  };
  const work = async (): Promise<void> => {
    const lanes = [createLane(() => options.port(0)), createLane(() => options.port(1))];
    while (!over.aborted && next < options.callbacks) {
      const n = next++;
      while (options.mayDeliver?.(n) === false && !over.aborted) await delay(20);
      const twice = n % options.duplicateEvery === 0;
      await Promise.all((twice ? lanes : lanes.slice(0, 1)).map((lane) => deliver(lane, n)));
    }
    for (const lane of lanes) lane.close();
  };
  const finished = Promise.all(Array.from({ length: options.connections }, work)).then(() => undefined);
  return {
    acknowledged,
    refused,
    answered: () => answered,
    slowestMs: () => slowestMs,
    finished,
    stop: () => stopping.abort(),
  };
}

type Answer = number | 'refused' | 'broken';

interface Lane {
  /** The status; `refused` when nobody listened, so that nothing was delivered; `broken` when the connection ended. */
  get(target: string): Promise<Answer>;
  close(): void;
}

function createLane(port: () => number): Lane {
  let socket: Socket | undefined;
  let settle: ((answer: Answer) => void) | undefined;
  let text = '';
  const open = (): Socket => {
    const opened = connect({ port: port(), host: '127.0.0.1', noDelay: true });
    let connected = false;
    opened.on('connect', () => (connected = true));
    opened.setEncoding('latin1');
    opened.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end === -1 || text.length < end + 4 + length) return;
      const status = Number(text.slice(9, 12));
      text = '';
      settle?.(status);
    });
    opened.on('error', () => undefined);
    opened.on('close', () => {
      if (socket === opened) socket = undefined;
      settle?.(connected ? 'broken' : 'refused');
    });
    return opened;
  };
  return {
    get: (target) =>
      new Promise((resolve) => {
        text = '';
        settle = resolve;
        socket ??= open();
        socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
      }),
    close: () => void socket?.destroy(),
  };
}
