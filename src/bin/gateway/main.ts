/**
 * The gateway as a process: reads its configuration, opens its listeners, serves clients of the provider's protocol
 * until SIGTERM, then lets requests under way end and ends with 0. Wrong configuration ends it with 2.
 */
import { CAPTCHA_TASK } from '../../api/names.ts';
import { reportTo } from '../../gateway/hooks.ts';
import { loadGatewayKeys, type GatewayKeys } from '../../gateway/keys.ts';
import { STOP_MS, startGateway, type Gateway } from '../../gateway/server.ts';
import { loadCertificate, type Certificate } from '../../ops/certificate.ts';
import { parseGatewayConfig, type GatewayConfig } from '../../ops/config.ts';
import { registerWatchGauges, refusedWatches, reportWatches, type Watches } from '../../ops/watches.ts';
import {
  announceListener,
  openKubeClient,
  openProbes,
  reportRequests,
  runConfigured,
  type Running,
} from '../wiring.ts';

/** Resolves when everything is started. `handOver` ends the handling of early signals. */
export async function runGateway(handOver: () => void): Promise<void> {
  await runConfigured('gateway', parseGatewayConfig(process.env), handOver, startAll);
}

type Process = Running<GatewayConfig>;

/** Opens everything in the order in which the releases, run backwards, are right. */
async function startAll(running: Process): Promise<void> {
  const { config, log, lifecycle, metrics } = running;
  const keys = await openKeys(running);
  const certificate = await openCertificate(running);
  const client = await openKubeClient(running, reportRequests(metrics));
  // The health listener opens first and closes last, so that probes see the whole life of the other one.
  const opened: { gateway?: Gateway } = {};
  const watches: Watches = () =>
    (opened.gateway?.watches() ?? []).map((watch) => ({ ...watch, resource: CAPTCHA_TASK.plural }));
  const complaints = (): string[] => (opened.gateway?.ready() ? [] : whyNotReady(keys, certificate));
  await openProbes(running, { live: () => [], ready: complaints, remarks: () => refusedWatches(watches) });
  const gateway = await startGateway({
    address: config.gatewayBind,
    tls: certificate && { address: config.gatewayTlsBind, certificate },
    keys,
    client,
    namespaces: config.watchNamespaces,
    ttlSeconds: config.gatewayTtlMs / 1_000,
    maxOpenTasks: config.gatewayMaxOpenTasks,
    hooks: reportTo(metrics, log),
    watchHooks: reportWatches(metrics, log),
  });
  opened.gateway = gateway;
  lifecycle.onStop('gateway', STOP_MS, () => gateway.stop());
  metrics.gauge('captcha_operator_gateway_open_tasks', (set) => set({}, gateway.open()));
  registerWatchGauges(metrics, watches, [CAPTCHA_TASK.plural]);
  announceListener(log, 'gateway', gateway.port);
  if (gateway.tlsPort !== undefined) announceListener(log, 'gateway-tls', gateway.tlsPort);
}

function whyNotReady(keys: GatewayKeys, certificate: Certificate | undefined): string[] {
  const missing = keys.ready() ? [] : ['no keys are loaded'];
  if (certificate?.ready() === false) missing.push('no certificate is loaded');
  return missing.length > 0 ? missing : ['just starting, or stopping'];
}

async function openKeys({ config, log, lifecycle, metrics }: Process): Promise<GatewayKeys> {
  const keys = await loadGatewayKeys({
    path: config.gatewayKeysFile,
    namespaces: config.watchNamespaces,
    onLoaded: (count, others) => log.info('gateway keys loaded', { count, ofNamespacesNotWatched: others }),
    onFault: (fault) => log.error('gateway keys not loaded; the previous ones, if any, stay in use', { fault }),
  });
  lifecycle.onStop('gateway keys', 1_000, () => keys.stop());
  metrics.gauge('captcha_operator_gateway_keys', (set) => set({}, keys.count()));
  metrics.gauge('captcha_operator_gateway_keys_reload_failed', (set) => set({}, keys.fault() === undefined ? 0 : 1));
  return keys;
}

async function openCertificate({ config, log, lifecycle, metrics }: Process): Promise<Certificate | undefined> {
  const { gatewayTlsCertFile: certFile, gatewayTlsKeyFile: keyFile } = config;
  if (certFile === undefined || keyFile === undefined) return undefined;
  const certificate = await loadCertificate({
    certFile,
    keyFile,
    onLoaded: ({ expiresMs }) => log.info('certificate loaded', { expires: new Date(expiresMs).toISOString() }),
    onFault: (fault) => log.error('certificate not loaded; the previous one, if any, stays in use', { fault }),
  });
  lifecycle.onStop('certificate', 1_000, () => certificate.stop());
  metrics.gauge('captcha_operator_gateway_certificate_expiry_timestamp_seconds', (set) => {
    set({}, (certificate.expiresMs() ?? 0) / 1_000);
  });
  metrics.gauge('captcha_operator_gateway_certificate_reload_failed', (set) => {
    set({}, certificate.fault() === undefined ? 0 : 1);
  });
  return certificate;
}
