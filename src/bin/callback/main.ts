/**
 * The callback sidecar as a process: reads its configuration, opens its listeners, receives callbacks until SIGTERM,
 * then stops listening, drains the spool for a bounded time and ends with 0. Wrong configuration ends it with 2.
 */
import { LIMITS } from '../../callback/limits.ts';
import { reportTo } from '../../callback/report.ts';
import { loadRootFiles, type RootFiles } from '../../callback/root-files.ts';
import { startCallbackServer, type CallbackServer } from '../../callback/server.ts';
import { loadAccess } from '../../kube/access.ts';
import { createKubeClient, type KubeClient } from '../../kube/client.ts';
import { describeConfig, parseCallbackConfig, type CallbackConfig } from '../../ops/config.ts';
import { startHealthServer, startMetricsServer } from '../../ops/health.ts';
import { loadCallbackKeys, type CallbackKeys } from '../../ops/keys.ts';
import { configFaultText, EXIT_CONFIG, runProcess, type Lifecycle } from '../../ops/lifecycle.ts';
import { createLogger, type Logger } from '../../ops/log.ts';
import { createMetrics, type Metrics } from '../../ops/metrics.ts';
import { accessEnvironment, announceListener, reportCallbackKeys, reportRequests, VERSION } from '../wiring.ts';

/** Resolves when everything is started. `handOver` ends the handling of early signals. */
export async function runCallback(handOver: () => void): Promise<void> {
  const parsed = parseCallbackConfig(process.env);
  if (!parsed.ok) {
    process.stderr.write(configFaultText('callback', parsed.faults));
    process.exit(EXIT_CONFIG);
  }
  const { config, warnings } = parsed;
  const log = createLogger({ level: config.logLevel, component: 'callback' });
  log.info('starting', { version: VERSION, config: describeConfig(config) });
  for (const warning of warnings) log.warn('configuration', { warning });

  const running = runProcess({ logger: log, source: process, exit: (code) => process.exit(code) }, (lifecycle) =>
    startCallback(config, log, lifecycle),
  );
  handOver();
  await running;
}

/** Opens everything in the order in which the releases, run backwards, are right. */
async function startCallback(config: CallbackConfig, log: Logger, lifecycle: Lifecycle): Promise<void> {
  const metrics = createMetrics({ process: 'callback', version: VERSION });
  lifecycle.onStop('metrics', 1_000, () => metrics.stop());
  const keys = await openKeys(config, metrics, log, lifecycle);
  const client = await openClient(config, metrics, log, lifecycle);
  // The health listener opens first and closes last, so that probes see the whole life of the other one.
  const running: { server?: CallbackServer } = {};
  const complaints = (): string[] =>
    running.server?.ready() ? [] : ['no callback keys are loaded, or just starting, or stopping'];
  const health = await startHealthServer({ bind: config.healthBind, live: () => [], ready: complaints });
  lifecycle.onStop('health listener', 2_000, () => health.close());
  announceListener(log, 'health', health.port);
  const scrapes = await startMetricsServer({ bind: config.metricsBind, metrics });
  lifecycle.onStop('metrics listener', 2_000, () => scrapes.close());
  announceListener(log, 'metrics', scrapes.port);
  const rootFiles = await openRootFiles(config, log, lifecycle);
  const server = await openServer(config, { metrics, log, keys, client, rootFiles });
  running.server = server;
  lifecycle.onStop('callbacks', LIMITS.drainOnStopMs + 10_000, () => server.stop());
  announceListener(log, 'callback', server.port);
}

async function openKeys(
  config: CallbackConfig,
  metrics: Metrics,
  log: Logger,
  lifecycle: Lifecycle,
): Promise<CallbackKeys> {
  const keys = await loadCallbackKeys({
    path: config.callbackKeysFile,
    mayBeAbsent: config.callbackURL === undefined,
    ...reportCallbackKeys(log),
  });
  lifecycle.onStop('callback keys', 1_000, () => keys.stop());
  metrics.gauge('captcha_operator_callback_keys', (set) => set({}, keys.kids().length));
  metrics.gauge('captcha_operator_callback_keys_reload_failed', (set) => set({}, keys.fault() === undefined ? 0 : 1));
  return keys;
}

async function openRootFiles(
  { callbackRootFiles: directory }: CallbackConfig,
  log: Logger,
  lifecycle: Lifecycle,
): Promise<RootFiles | undefined> {
  if (directory === undefined) return undefined;
  const files = await loadRootFiles({
    directory,
    onLoaded: (names) => log.info('root files loaded', { names }),
    onFault: (fault) => log.warn('root files that are not served', { fault }),
  });
  lifecycle.onStop('root files', 1_000, () => files.stop());
  return files;
}

async function openClient(
  config: CallbackConfig,
  metrics: Metrics,
  log: Logger,
  lifecycle: Lifecycle,
): Promise<KubeClient> {
  const access = await loadAccess(accessEnvironment(config.kubeconfigPath, process.env, log));
  const client = createKubeClient({
    access,
    userAgent: `captcha-operator/${VERSION} callback`,
    hooks: { onRequest: reportRequests(metrics, 'callback') },
  });
  lifecycle.onStop('Kubernetes client', 2_000, () => client.close());
  return client;
}

interface Parts {
  metrics: Metrics;
  log: Logger;
  keys: CallbackKeys;
  client: KubeClient;
  rootFiles: RootFiles | undefined;
}

async function openServer(
  config: CallbackConfig,
  { metrics, log, keys, client, rootFiles }: Parts,
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
