/**
 * The gateway as one value: the watch of its tasks, the submissions, the listener and the street of middlewares that
 * each request walks (`createApp`). It starts and answers while the Kubernetes API is down. Wiring only.
 */
import type { RequestListener } from 'node:http';
import Koa from 'koa';
import type { KubeClient } from '../kube/client.ts';
import type { Reflector, ReflectorHooks } from '../kube/reflector.ts';
import type { Certificate } from '../ops/certificate.ts';
import { longestLeaveMs, startListener } from '../ops/http-listener.ts';
import type { BindAddress } from '../ops/config.ts';
import type { GatewayHooks } from './hooks.ts';
import type { GatewayKeys } from './keys.ts';
import { LIMITS, type Limits } from './limits.ts';
import { authenticate } from './middleware/authenticate.ts';
import { limitInFlight } from './middleware/limit-in-flight.ts';
import { limitNamespace } from './middleware/limit-namespace.ts';
import { observe } from './middleware/observe.ts';
import { readFields } from './middleware/read-fields.ts';
import { result } from './middleware/result.ts';
import { refuse, routeTo } from './middleware/route.ts';
import { shield } from './middleware/shield.ts';
import { submit } from './middleware/submit.ts';
import { createRooms } from './rooms.ts';
import type { GatewayState } from './state.ts';
import { createSubmissions, type Submissions } from './submissions.ts';
import { startTasks, type GatewayTasks } from './tasks.ts';

export interface GatewayOptions {
  address: BindAddress;
  /** For clients that insist on https; the same is served there. */
  tls?: { address: BindAddress; certificate: Certificate } | undefined;
  keys: GatewayKeys;
  client: KubeClient;
  /** Whose tasks are watched; undefined: all. */
  namespaces: readonly string[] | undefined;
  ttlSeconds: number;
  /** Of one namespace. */
  maxOpenTasks: number;
  hooks: GatewayHooks;
  watchHooks: ReflectorHooks;
  limits?: Partial<Limits>;
}

export interface Gateway {
  /** The port that was bound. */
  port: number;
  tlsPort: number | undefined;
  /** Keys and, where there is one, the certificate are loaded, the tasks are known or cannot be for now, and it is not stopping. */
  ready(): boolean;
  /** Unfinished tasks, in all namespaces. */
  open(): number;
  watches(): readonly Reflector[];
  /** Not ready at once; holds nobody back any longer, lets requests under way end, stops watching. */
  stop(): Promise<void>;
}

/** For how long after its start a gateway waits for the first list before it is ready without it. */
const SYNC_MS = 10_000;
/** The longest that `stop` takes. */
export const STOP_MS = longestLeaveMs(LIMITS) + LIMITS.stopGraceMs + 1_000;

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const limits: Limits = { ...LIMITS, ...options.limits };
  const { client, hooks, keys, maxOpenTasks, tls, ttlSeconds } = options;
  const tasks = startTasks({ ...options, limits });
  const rooms = createRooms({ max: maxOpenTasks, openIn: tasks.openIn, waitAtMostMs: limits.submitHoldMs });
  tasks.onRoom(rooms.recheck);
  const submissions = createSubmissions({ client, tasks, rooms, hooks, ttlSeconds, limits });
  const stopping = new AbortController();
  const handle = createApp({ ...options, limits, tasks, submissions, stopping: stopping.signal }).callback();
  const { listeners, port, tlsPort } = await openListeners((req, res) => void handle(req, res), options, limits);
  let knowsTasks = false;
  const settle = (): void => {
    knowsTasks = true;
  };
  const timer = setTimeout(settle, SYNC_MS).unref();
  void tasks.synced.then(settle);
  return {
    port,
    tlsPort,
    ready: () => keys.ready() && tls?.certificate.ready() !== false && knowsTasks && !stopping.signal.aborted,
    open: tasks.open,
    watches: tasks.watches,
    async stop() {
      stopping.abort();
      clearTimeout(timer);
      // Submissions are taken as long as somebody may send one.
      await Promise.all(listeners.map((listener) => listener.leave()));
      const closing = listeners.map((listener) => listener.close(limits.stopGraceMs));
      await Promise.all([...closing, submissions.stop(limits.stopGraceMs)]);
      await tasks.stop();
    },
  };
}

/** Both serve the same; each has the bounds of a listener for itself. */
async function openListeners(handler: RequestListener, { address, tls }: GatewayOptions, limits: Limits) {
  const shared = { limits: { ...limits, holdMs: limits.pollHoldMs }, onConnectionDropped: () => undefined };
  const plain = await startListener(handler, { ...shared, address });
  if (tls === undefined) return { listeners: [plain], port: plain.port, tlsPort: undefined };
  const secure = await startListener(handler, { ...shared, ...tls });
  return { listeners: [plain, secure], port: plain.port, tlsPort: secure.port };
}

interface AppParts extends Pick<GatewayOptions, 'keys' | 'hooks' | 'maxOpenTasks'> {
  limits: Limits;
  tasks: GatewayTasks;
  submissions: Submissions;
  stopping: AbortSignal;
}

/** The middlewares in the order in which a request meets them. */
function createApp(parts: AppParts): Koa<GatewayState> {
  const app = new Koa<GatewayState>();
  // `shield` answers for errors; Koa's own handler would print them with their stacks.
  app.silent = true;
  app.use(observe(parts.hooks));
  app.use(shield(parts.hooks));
  app.use(
    routeTo([
      limitInFlight(parts.limits),
      readFields(parts.limits),
      authenticate(parts.keys),
      limitNamespace(parts.limits),
      submit(parts.submissions),
      result(parts),
    ]),
  );
  app.use(refuse);
  return app;
}
