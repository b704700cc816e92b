/**
 * The callback sidecar as one value: listener, intake, spool and drainer, started and stopped in the right order, and
 * the street of middlewares that each request walks (`createApp`). It starts and answers while the Kubernetes API is
 * down, and without keys (then it is not ready and refuses all). Wiring only: it decides nothing about a callback.
 */
import Koa from 'koa';
import type { KubeClient } from '../kube/client.ts';
import { stageOfCreated } from '../core/deadletter/announce.ts';
import { type RunOptions, runProtocol } from '../kube/run.ts';
import { createApiHealth } from './api-health.ts';
import { createDrainer } from './drainer.ts';
import type { Drainer } from './drainer.ts';
import type { CallbackHooks } from './hooks.ts';
import { createIntake } from './intake.ts';
import type { Intake, RunCallbackProtocol } from './intake.ts';
import { LIMITS } from './limits.ts';
import type { Limits } from './limits.ts';
import type { BindAddress } from '../ops/config.ts';
import { longestLeaveMs, startListener } from '../ops/http-listener.ts';
import type { Listener } from '../ops/http-listener.ts';
import { authenticate, claimsOf } from './middleware/authenticate.ts';
import type { TokenVerifier } from './middleware/authenticate.ts';
import { limitHead } from './middleware/limit-head.ts';
import { limitInFlight } from './middleware/limit-in-flight.ts';
import { observe } from './middleware/observe.ts';
import { readBody } from './middleware/read-body.ts';
import { receive } from './middleware/receive.ts';
import { refusePipelined } from './middleware/refuse-pipelined.ts';
import { route } from './middleware/route.ts';
import { serveRootFiles } from './middleware/serve-root-files.ts';
import { shield } from './middleware/shield.ts';
import { createPollRequests } from './poll-requests.ts';
import type { PollRequests } from './poll-requests.ts';
import type { RootFiles } from './root-files.ts';
import type { SpoolFiles } from './spool/files.ts';
import { createSpool } from './spool/spool.ts';
import type { Spool, SpoolEntry, SpoolOptions, SpoolStats } from './spool/types.ts';
import type { CallbackState } from './state.ts';
import { startWarmUp } from './warm-up.ts';

export interface CallbackServerOptions {
  address: BindAddress;
  spoolDir: string;
  keys: TokenVerifier;
  /** Callbacks for other namespaces are refused; undefined: there are no others. */
  namespaces?: readonly string[] | undefined;
  /** Served at the root of the host; undefined: nothing but callbacks is. */
  rootFiles?: RootFiles | undefined;
  client: Pick<KubeClient, 'execute'>;
  hooks: CallbackHooks;
  limits?: Partial<Limits>;
  /** A namespace whose tasks may be read: API and disk are tried out once before the server is ready. */
  warmUpNamespace?: string;
  /** File operations of the spool; tests let them fail. */
  files?: SpoolFiles;
}

export interface CallbackServer {
  /** The port that was bound. */
  port: number;
  /** Keys loaded, listening, warmed up as far as possible, and not stopping. */
  ready(): boolean;
  /** For the gauges; times in epoch milliseconds. */
  spoolStats(): SpoolStats;
  /** Not ready at once; ends connections as its listener does, drains for a bounded time, closes the spool. */
  stop(): Promise<void>;
}

/** Requests under way get this long to end once no connection is taken any more. */
const STOP_GRACE_MS = 2_000;

/** The longest that `stop` takes, but for a disk that hangs. */
export const STOP_MS = longestLeaveMs(LIMITS) + STOP_GRACE_MS + LIMITS.drainOnStopMs + 5_000;

export async function startCallbackServer(options: CallbackServerOptions): Promise<CallbackServer> {
  const limits: Limits = { ...LIMITS, ...options.limits };
  const { keys, namespaces, rootFiles, client, hooks } = options;
  const health = createApiHealth();
  const run = runnerOf(options);
  const spool = createSpool({
    directory: options.spoolDir,
    ...boundsOfSpool(limits),
    onEntry: (entry: SpoolEntry): void => drainer.offer(entry),
    onFault: (fault, code) => hooks.onSpoolFault(fault, code),
    onTokenCandidates: (candidates) => requestPolls(candidates, keys, pollRequests),
    ...(options.files === undefined ? {} : { files: options.files }),
  });
  const drainer: Drainer = createDrainer({ spool, run, health, hooks, concurrency: limits.drainConcurrency });
  const intake = createIntake({ run, spool, offer: (entry) => drainer.offer(entry), health, hooks, limits });
  const clocks = { now: Date.now, monotonicMs: () => performance.now() };
  const pollRequests = createPollRequests({ run, spool, intervalMs: limits.pollRequestIntervalMs, ...clocks });
  await spool.open();
  const handle = createApp({ keys, namespaces, rootFiles, intake, pollRequests, hooks, limits }).callback();
  let stopping = false;
  const listener = await startListener((req, res) => void handle(req, res), {
    address: options.address,
    limits,
    onConnectionDropped: () => hooks.onConnectionDropped(),
  });
  const warmUp = startWarmUp({ client, spool, namespace: options.warmUpNamespace, withinMs: limits.warmUpMs });
  return {
    port: listener.port,
    ready: () => keys.ready() && warmUp.isOver() && !stopping,
    spoolStats: () => spool.stats(),
    async stop() {
      stopping = true;
      warmUp.stop();
      await stopAll({ listener, intake, pollRequests, drainer, spool }, limits);
    },
  };
}

interface AppParts {
  keys: TokenVerifier;
  namespaces?: readonly string[] | undefined;
  rootFiles?: RootFiles | undefined;
  intake: Intake;
  pollRequests: PollRequests;
  hooks: CallbackHooks;
  limits: Limits;
}

/** The middlewares in the order in which a request meets them. */
function createApp(parts: AppParts): Koa<CallbackState> {
  const app = new Koa<CallbackState>();
  // `shield` answers for errors; Koa's own handler would print them with their stacks.
  app.silent = true;
  app.use(observe(parts.hooks));
  app.use(shield(parts.hooks));
  if (parts.rootFiles !== undefined) app.use(serveRootFiles(parts.rootFiles));
  app.use(route);
  app.use(limitInFlight(parts.limits));
  app.use(authenticate(parts.keys, parts.namespaces));
  app.use(refusePipelined);
  app.use(limitHead(parts.limits, parts.pollRequests));
  app.use(readBody(parts.limits, parts.pollRequests));
  app.use(receive(parts.intake, parts.pollRequests));
  return app;
}

/** Runs protocols against the API, and counts the letters that they create. */
function runnerOf({ client, hooks }: Pick<CallbackServerOptions, 'client' | 'hooks'>): RunCallbackProtocol {
  const onObject: RunOptions['onObject'] = (_object, request) => {
    const stage = stageOfCreated(request);
    if (stage !== undefined) hooks.onLetterCreated(stage);
  };
  return (protocol, options) => runProtocol(client, protocol, { ...options, onObject });
}

function boundsOfSpool(
  limits: Limits,
): Pick<SpoolOptions, 'maxBytes' | 'maxRecords' | 'maxRecordsPerTask' | 'segmentBytes'> {
  return {
    maxBytes: limits.spoolBytes,
    maxRecords: limits.spoolRecords,
    maxRecordsPerTask: limits.spoolRecordsPerTask,
    segmentBytes: limits.segmentBytes,
  };
}

interface Parts {
  listener: Listener;
  intake: Intake;
  pollRequests: PollRequests;
  drainer: Drainer;
  spool: Spool;
}

/** In this order: what takes work in stops before what works it off. */
async function stopAll({ listener, intake, pollRequests, drainer, spool }: Parts, limits: Limits): Promise<void> {
  await listener.leave();
  await listener.close(STOP_GRACE_MS);
  await intake.stop();
  await pollRequests.idle();
  await drainer.stop(limits.drainOnStopMs);
  await spool.close();
}

/** Damaged records may still show a token; each that verifies makes its task due for a poll. */
function requestPolls(candidates: readonly string[], keys: TokenVerifier, pollRequests: PollRequests): void {
  for (const candidate of candidates) {
    const claims = claimsOf(candidate, keys);
    if (claims !== undefined) pollRequests.request(candidate, claims);
  }
}
