/**
 * The simulator's remote control, over HTTP because it often runs as a process of its own: scripts, accounts, the
 * books, pingbacks on command, outages, the clock. The routes are in `routes.ts`; both sides share the types of this
 * file.
 */
import { request as httpRequest } from 'node:http';
import type { Ledger, LedgerTotals } from './ledger.ts';
import type { Account, Match, PingbackStep, Script } from './script.ts';
import type { Switches } from './switches.ts';

export interface LedgerFilter {
  /** A form field of the submission, and its exact value. */
  field: string;
  equals: string;
}

/** Whose pingback: a task by id, the newest submission that matches, or a URL of one's own (a forged callback). */
export type PingbackCommand = { step?: PingbackStep } & (
  | { id: string }
  | { match: LedgerFilter }
  | { url: string; foreignId: string; code: unknown }
);

export interface SimulatorControl {
  /** For submissions that match; without `match`, for all that no rule matches. */
  script(script: Script, match?: Match): Promise<void>;
  /** By the whole key. `block` starts at once. */
  account(key: string, patch: Partial<Account>): Promise<void>;
  /** Changes what the provider is like, from the next request on. */
  switches(patch: Partial<Switches>): Promise<void>;
  ledger(filter?: LedgerFilter): Promise<Ledger>;
  totals(): Promise<LedgerTotals>;
  /** CPU time of the simulator's process so far: the benchmarks report it on a line of its own. */
  cpuMs(): Promise<number>;
  /** Sends a pingback now; resolves with the receiver's status (0: none). */
  pingback(command: PingbackCommand): Promise<number>;
  /** Refuses connections for this long (and cuts those that are open), then listens again on the same port. */
  outage(forMs: number): Promise<void>;
  advanceClock(byMs: number): Promise<void>;
  /** Forgets rules, accounts, bans, changed switches and the books; ids go on counting. Open tasks stay. */
  reset(): Promise<void>;
}

export function createSimulatorControl(url: string): SimulatorControl {
  const call = async <T>(route: string, body?: unknown): Promise<T> =>
    (await post(`${url}/_control/${route}`, body)) as T;
  return {
    script: (script, match) => call('script', { script, match }),
    account: (key, patch) => call('account', { key, patch }),
    switches: (patch) => call('switches', patch),
    ledger: (filter) => call('ledger', { filter }),
    totals: () => call('totals'),
    cpuMs: () => call('cpu'),
    pingback: (command) => call('pingback', command),
    outage: (forMs) => call('outage', { forMs }),
    advanceClock: (byMs) => call('clock', { byMs }),
    reset: () => call('reset'),
  };
}

/** One connection per call: the control must not leave sockets behind for a test to wait for. */
function post(url: string, body: unknown): Promise<unknown> {
  const text = JSON.stringify(body ?? {});
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } } as const;
    const request = httpRequest(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const reply = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(JSON.parse(reply));
        else reject(new Error(`simulator control ${url}: ${response.statusCode} ${reply}`));
      });
    });
    request.once('error', reject);
    request.end(text);
  });
}
