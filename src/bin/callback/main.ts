/**
 * The callback sidecar as a process: reads its configuration, opens its listeners, receives callbacks until SIGTERM,
 * then stops listening, drains the spool for a bounded time and ends with 0. Wrong configuration ends it with 2.
 */
import { LIMITS } from '../../callback/limits.ts';
import { reportTo } from '../../callback/report.ts';
import { loadRootFiles, type RootFiles } from '../../callback/root-files.ts';
import { STOP_MS, startCallbackServer, type CallbackServer } from '../../callback/server.ts';
import type { KubeClient } from '../../kube/client.ts';
import { parseCallbackConfig, type CallbackConfig } from '../../ops/config.ts';
import type { CallbackKeys } from '../../ops/keys.ts';
import {
  announceListener,
  openCallbackKeys,
  openKubeClient,
  openProbes,
  reportRequests,
  runConfigured,
  type Running,
} from '../wiring.ts';

/** Resolves when everything is started. `handOver` ends the handling of early signals. */
export async function runCallback(handOver: () => void): Promise<void> {
  await runConfigured('callback', parseCallbackConfig(process.env), handOver, startCallback);
}

/** Callbacks go first: where both wait for the API server, it is the operator that makes room. */
const AT_THE_API = { initial: 16, floor: 16, tolerance: 4 };

type Sidecar = Running<CallbackConfig>;

/** Opens everything in the order in which the releases, run backwards, are right. */
async function startCallback(sidecar: Sidecar): Promise<void> {
  const { config, log, lifecycle, metrics } = sidecar;
  const keys = await openCallbackKeys(sidecar, {
    path: config.callbackKeysFile,
    mayBeAbsent: config.callbackURL === undefined,
  });
  const client = await openKubeClient(sidecar, reportRequests(metrics, 'callback'), AT_THE_API);
  // The health listener opens first and closes last, so that probes see the whole life of the other one.
  const opened: { server?: CallbackServer } = {};
  const complaints = (): string[] =>
    opened.server?.ready() ? [] : ['no callback keys are loaded, or just starting, or stopping'];
  await openProbes(sidecar, { live: () => [], ready: complaints });
  const rootFiles = await openRootFiles(sidecar);
  const server = await openServer(sidecar, { keys, client, rootFiles });
  opened.server = server;
  lifecycle.onStop('callbacks', STOP_MS, () => server.stop());
  announceListener(log, 'callback', server.port);
}

async function openRootFiles({ config, log, lifecycle }: Sidecar): Promise<RootFiles | undefined> {
  const { callbackRootFiles: directory } = config;
  if (directory === undefined) return undefined;
  const files = await loadRootFiles({
    directory,
    onLoaded: (names) => log.info('root files loaded', { names }),
    onFault: (fault) => log.warn('root files that are not served', { fault }),
  });
  lifecycle.onStop('root files', 1_000, () => files.stop());
  return files;
}

interface Opened {
  keys: CallbackKeys;
  client: KubeClient;
  rootFiles: RootFiles | undefined;
}

async function openServer(
  { config, log, metrics }: Sidecar,
  { keys, client, rootFiles }: Opened,
): Promise<CallbackServer> {
  const server = await startCallbackServer({
    address: config.callbackBind,
    spoolDir: config.spoolDir,
    keys,
    namespaces: config.watchNamespaces,
    rootFiles,
    warmUpNamespace: config.watchNamespaces?.[0] ?? 'default',
    client,
    hooks: reportTo(metrics, log),
  });
  metrics.gauge('captcha_operator_spool_open', (set) => set({}, server.spoolStats().open ? 1 : 0));
  metrics.gauge('captcha_operator_spool_records', (set) => set({}, server.spoolStats().records));
  metrics.gauge('captcha_operator_spool_bytes', (set) => set({}, server.spoolStats().bytes));
  metrics.gauge('captcha_operator_spool_capacity_bytes', (set) => set({}, LIMITS.spoolBytes));
  metrics.gauge('captcha_operator_spool_capacity_records', (set) => set({}, LIMITS.spoolRecords));
  metrics.gauge('captcha_operator_spool_oldest_age_seconds', (set) => {
    const oldest = server.spoolStats().oldestReceivedTime;
    set({}, oldest === undefined ? 0 : Math.max(0, Date.now() - oldest) / 1_000);
  });
  return server;
}
