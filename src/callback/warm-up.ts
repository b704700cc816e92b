/**
 * Takes the two ways of a callback once before the first one comes: a connection to the API server with its handshakes,
 * and a record on disk with its segment and fsync. The first callback after a start has a second for its answer, and on
 * a node that is short of CPU these would cost it most of that. A best effort within a bound: the sidecar is ready
 * without it, because what is slow or away now is what the spool and the budgets are for.
 */
import { CAPTCHA_TASK } from '../api/names.ts';
import type { KubeClient } from '../kube/client.ts';
import type { SpoolWriter } from './spool/types.ts';

export interface WarmUp {
  /** Everything is warm, or the bound is over. */
  isOver(): boolean;
  /** Breaks it off. */
  stop(): void;
}

export interface WarmUpOptions {
  client: Pick<KubeClient, 'execute'>;
  spool: SpoolWriter;
  /** One whose tasks the sidecar may read; without it nothing is warmed. */
  namespace: string | undefined;
  withinMs: number;
}

/** No task has this name; should one, it is only read. */
const NAME = 'captcha-operator-warm-up';

export function startWarmUp(options: WarmUpOptions): WarmUp {
  const { namespace, withinMs } = options;
  let over = namespace === undefined;
  const stopped = new AbortController();
  const end = (): void => {
    over = true;
    clearTimeout(timer);
  };
  const timer = setTimeout(end, withinMs);
  if (namespace === undefined) end();
  else void Promise.allSettled([askOnce(options, namespace, stopped.signal), writeOnce(options, namespace)]).then(end);
  return {
    isOver: () => over,
    stop() {
      stopped.abort();
      end();
    },
  };
}

async function askOnce({ client, withinMs }: WarmUpOptions, namespace: string, signal: AbortSignal): Promise<void> {
  const request = { verb: 'get', resource: CAPTCHA_TASK, namespace, name: NAME, read: 'cached' } as const;
  await client.execute(request, { signal, timeoutMs: withinMs });
}

async function writeOnce({ spool }: WarmUpOptions, namespace: string): Promise<void> {
  const record = { kind: 'due', token: warmUpToken(namespace), receivedTime: Date.now() } as const;
  await spool.append(record, (entry) => spool.release(entry));
}

/** Where a process is killed before it let go of the record, the next one finds that it belongs to no task. */
export function warmUpToken(namespace: string): string {
  return `warm-up.${namespace}.${NAME}.${NAME}.1.${'A'.repeat(24)}`;
}
