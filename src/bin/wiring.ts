/**
 * What all processes do in the same way: run from a checked configuration to the end, and open what more than one needs
 * (the Kubernetes client, the callback keys, the health and metrics listeners). Each registers its own release, so the
 * order of calls is the order of the end, backwards.
 */
import { readFileSync } from 'node:fs';

import { loadAccess } from '../kube/access.ts';
import { createKubeClient, type KubeClient, type KubeClientOptions } from '../kube/client.ts';
import { describeConfig } from '../ops/config.ts';
import type { AnyConfig, ParsedConfig, ProcessName } from '../ops/config.ts';
import { startHealthServer, startMetricsServer } from '../ops/health.ts';
import { loadCallbackKeys, type CallbackKeys, type CallbackKeysOptions } from '../ops/keys.ts';
import { configFaultText, EXIT_CONFIG, runProcess, type Lifecycle } from '../ops/lifecycle.ts';
import { createLogger, type Logger } from '../ops/log.ts';
import { createMetrics, httpCode, httpMethod, type Metrics } from '../ops/metrics.ts';

const packageFile = new URL('../../package.json', import.meta.url);
const VERSION: string = (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;

/** What a process has once its configuration is right. */
export interface Running<Config> {
  process: ProcessName;
  config: Config;
  log: Logger;
  lifecycle: Lifecycle;
  metrics: Metrics;
}

/**
 * Runs a process; a wrong configuration ends it with 2. Resolves when everything is started. `handOver` ends the
 * handling of early signals.
 */
export async function runConfigured<Config extends AnyConfig>(
  name: ProcessName,
  parsed: ParsedConfig<Config>,
  handOver: () => void,
  start: (running: Running<Config>) => Promise<void>,
): Promise<void> {
  if (!parsed.ok) {
    process.stderr.write(configFaultText(name, parsed.faults));
    process.exit(EXIT_CONFIG);
  }
  const { config, warnings } = parsed;
  const log = createLogger({ level: config.logLevel, component: name });
  log.info('starting', { version: VERSION, config: describeConfig(config) });
  for (const warning of warnings) log.warn('configuration', { warning });

  const running = runProcess({ logger: log, source: process, exit: (code) => process.exit(code) }, (lifecycle) => {
    const metrics = createMetrics({ process: name, version: VERSION });
    lifecycle.onStop('metrics', 1_000, () => metrics.stop());
    return start({ process: name, config, log, lifecycle, metrics });
  });
  handOver();
  await running;
}

type OnRequest = NonNullable<NonNullable<KubeClientOptions['hooks']>['onRequest']>;

export async function openKubeClient(
  running: Running<AnyConfig>,
  onRequest: OnRequest,
  inFlight: KubeClientOptions['inFlight'] = {},
): Promise<KubeClient> {
  const { config, log, lifecycle, metrics } = running;
  const access = await loadAccess({
    kubeconfigPath: config.kubeconfigPath,
    serviceHost: process.env['KUBERNETES_SERVICE_HOST'],
    servicePort: process.env['KUBERNETES_SERVICE_PORT'],
    environment: process.env,
    hooks: {
      onFault: (fault) => log.warn('credentials cannot be read again; the previous ones stay in use', { fault }),
    },
  });
  const client = createKubeClient({
    access,
    userAgent: `captcha-operator/${VERSION} ${running.process}`,
    hooks: { onRequest },
    inFlight,
  });
  metrics.gauge('captcha_operator_api_request_limit', (set) => set({}, client.load().limit));
  metrics.gauge('captcha_operator_api_requests_in_flight', (set) => set({}, client.load().inFlight));
  metrics.gauge('captcha_operator_api_requests_waiting', (set) => set({}, client.load().waiting));
  lifecycle.onStop('Kubernetes client', 2_000, () => client.close());
  return client;
}

/** Counts every call; `writer` also counts its status writes by their answer. */
export function reportRequests(metrics: Metrics, writer?: 'callback'): OnRequest {
  return ({ verb, method, code, durationMs }) => {
    const label = httpMethod(method);
    metrics.inc('rest_client_requests_total', { code: httpCode(code), method: label });
    if (verb !== 'watch') metrics.observe('rest_client_request_duration_seconds', { verb: label }, durationMs / 1_000);
    if (writer !== undefined && (verb === 'patchStatus' || verb === 'replaceStatus')) {
      metrics.inc('captcha_operator_status_writes_total', { controller: writer, result: writeResult(code) });
    }
  };
}

function writeResult(code: string): 'written' | 'conflict' | 'gone' | 'invalid' | 'transient' {
  if (code === '200' || code === '201') return 'written';
  // 422 is how a JSON patch says that what it tested no longer holds.
  if (code === '409' || code === '422') return 'conflict';
  if (code === '404') return 'gone';
  return code.startsWith('4') && code !== '429' ? 'invalid' : 'transient';
}

type Keys = Pick<CallbackKeysOptions, 'path' | 'mayBeAbsent'>;

/** The keys of callback URLs, read again when their file changes. */
export async function openCallbackKeys(
  { log, lifecycle, metrics }: Running<unknown>,
  options: Keys,
): Promise<CallbackKeys> {
  const keys = await loadCallbackKeys({
    ...options,
    onLoaded: (kids) => log.info('callback keys loaded', { kids }),
    onFault: (fault) => log.error('callback keys not loaded; the previous ones, if any, stay in use', { fault }),
  });
  lifecycle.onStop('callback keys', 1_000, () => keys.stop());
  metrics.gauge('captcha_operator_callback_keys', (set) => set({}, keys.kids().length));
  metrics.gauge('captcha_operator_callback_keys_reload_failed', (set) => set({}, keys.fault() === undefined ? 0 : 1));
  return keys;
}

type Health = Omit<Parameters<typeof startHealthServer>[0], 'bind'>;

/** The listeners of probes and of scrapes. */
export async function openProbes(
  { config, log, lifecycle, metrics }: Running<AnyConfig>,
  checks: Health,
): Promise<void> {
  const health = await startHealthServer({ bind: config.healthBind, ...checks });
  lifecycle.onStop('health listener', 2_000, () => health.close());
  announceListener(log, 'health', health.port);
  const scrapes = await startMetricsServer({ bind: config.metricsBind, metrics });
  lifecycle.onStop('metrics listener', 2_000, () => scrapes.close());
  announceListener(log, 'metrics', scrapes.port);
}

/** The line that tests and the demo wait for; `port` is the one that was bound where 0 was asked for. */
export function announceListener(log: Logger, listener: string, port: number): void {
  log.info('listening', { listener, port });
}
