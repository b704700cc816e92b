/**
 * The callback sidecar as one value: listener, intake, spool and drainer, started and stopped in the right order.
 * It starts and answers while the Kubernetes API is down, and without keys (then it is not ready and refuses all).
 * Called by `bin/callback.ts`, tests and benchmarks.
 */
import type { RequestListener } from 'node:http';
import { runProtocol } from '../kube/run.ts';
import type { KubeClient } from '../kube/client.ts';
import { createApiHealth } from './api-health.ts';
import { createApp } from './app.ts';
import type { CallbackHooks } from './hooks.ts';
import { createIntake } from './intake.ts';
import { LIMITS } from './limits.ts';
import type { Limits } from './limits.ts';
import { startListener } from './listener.ts';
import type { ListenAddress } from './listener.ts';
import type { TokenVerifier } from './middleware/authenticate.ts';
import { createPollRequests } from './poll-requests.ts';
import type { RunCallbackProtocol } from './intake.ts';
import type { SpoolWriter } from './spool/spool.ts';

export interface CallbackServerOptions {
  address: ListenAddress;
  keys: TokenVerifier;
  client: Pick<KubeClient, 'execute'>;
  hooks: CallbackHooks;
  limits?: Partial<Limits>;
}

export interface CallbackServer {
  /** The port that was bound. */
  port: number;
  /** Keys loaded and listening. */
  ready(): boolean;
  stop(): Promise<void>;
}

/** Requests under way get this long to end once the listener stopped. */
const STOP_GRACE_MS = 2_000;

export async function startCallbackServer(options: CallbackServerOptions): Promise<CallbackServer> {
  const { keys, client, hooks } = options;
  const limits: Limits = { ...LIMITS, ...options.limits };
  const health = createApiHealth();
  const run: RunCallbackProtocol = (protocol, signal) => runProtocol(client, protocol, { signal });
  const spool: SpoolWriter = { append: () => Promise.reject(new Error('no spool')) };
  const intake = createIntake({ run, spool, health, hooks, limits });
  const pollRequests = createPollRequests({ run, spool, intervalMs: limits.pollRequestIntervalMs, now: Date.now });
  const app = createApp({ keys, intake, pollRequests, hooks, limits });
  const handle = app.callback();
  let stopping = false;
  const handleUntilStopped: RequestListener = (req, res) => {
    // A kept-alive connection would otherwise bring new requests to a listener that has stopped.
    if (stopping) res.shouldKeepAlive = false;
    void handle(req, res);
  };
  const listener = await startListener(handleUntilStopped, options.address, limits);
  return {
    port: listener.port,
    ready: () => keys.ready() && !stopping,
    async stop() {
      stopping = true;
      await listener.stop(STOP_GRACE_MS);
      await pollRequests.idle();
    },
  };
}
