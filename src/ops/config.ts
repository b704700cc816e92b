/**
 * Reads the configuration of a process from its environment (contract, section 8): once, at the start, by the table in
 * `config/variables.ts`. Every fault is reported, not only the first, and each names the variable, what was found and
 * what is expected; secrets are never shown. A variable that is set but empty counts as unset, as manifests often
 * leave it so.
 *
 * Pure: it opens no file, binds no port and asks no API. Called by `bin/operator` and `bin/callback`, which end the
 * process with code 2 when there are faults.
 */
import { VARIABLES, defaultOf, variablesOf } from './config/variables.ts';
import type { ProcessName } from './config/variable.ts';
import type { Field, Settings } from './config/variables.ts';

export type { ProcessName } from './config/variable.ts';

export type { BindAddress } from './config/kinds.ts';

/** A process's environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the machine knows where the environment is silent: a pod's namespace file, the host name. */
export interface Surroundings {
  serviceAccountNamespace?: string | undefined;
  hostname?: string | undefined;
}

/** Durations in milliseconds; `watchNamespaces` undefined means all; `defaultTtlMs` may be `never`. */
export type OperatorConfig = Settings<'operator'> & { readonly podNamespace: string; readonly podName: string };
/** As above; the sidecar cannot verify anything without its key file. */
export type CallbackConfig = Settings<'callback'> & { readonly callbackKeysFile: string };

/** As above; without its key file the gateway knows nobody. */
export type GatewayConfig = Settings<'gateway'> & { readonly gatewayKeysFile: string };

export type AnyConfig = OperatorConfig | CallbackConfig | GatewayConfig;

export type ParsedConfig<Config> =
  | { ok: true; config: Config; warnings: string[] }
  /** One sentence each, without secrets. */
  | { ok: false; faults: string[] };

const KEY_LENGTH = 32;
const MAX_SHOWN = 120;

/** The operator's configuration. `surroundings` fills `podNamespace` and `podName` in where they are unset. */
export function parseOperatorConfig(env: Environment, surroundings: Surroundings = {}): ParsedConfig<OperatorConfig> {
  const { settings, faults } = readSettings('operator', env);
  const namespace = settings.podNamespace ?? surroundings.serviceAccountNamespace;
  faults.push(
    ...bindFaults(settings),
    ...providerKeyFaults(env),
    ...callbackFaults(settings, env),
    ...leaseFaults(settings, env, namespace),
    ...retryFaults(settings),
  );
  if (faults.length > 0) return { ok: false, faults };
  const config: OperatorConfig = Object.freeze({
    ...(settings as Settings<'operator'>),
    podNamespace: namespace ?? 'default',
    podName: settings.podName ?? surroundings.hostname?.toLowerCase() ?? 'operator',
  });
  return { ok: true, config, warnings: [...operatorWarnings(config), ...proxyWarnings(env, usesProxy(config))] };
}

/** The sidecar's configuration. */
export function parseCallbackConfig(env: Environment): ParsedConfig<CallbackConfig> {
  const { settings, faults } = readSettings('callback', env);
  faults.push(...bindFaults(settings));
  if (settings.callbackKeysFile === undefined && !isSet(env, 'callbackKeysFile')) {
    faults.push(expectation('callbackKeysFile', 'not set', VARIABLES.callbackKeysFile.kind.expected));
  }
  if (faults.length > 0) return { ok: false, faults };
  return { ok: true, config: Object.freeze(settings as CallbackConfig), warnings: proxyWarnings(env, false) };
}

/** The gateway's configuration. */
export function parseGatewayConfig(env: Environment): ParsedConfig<GatewayConfig> {
  const { settings, faults } = readSettings('gateway', env);
  faults.push(...bindFaults(settings), ...pairFaults(env));
  if (settings.gatewayKeysFile === undefined && !isSet(env, 'gatewayKeysFile')) {
    faults.push(expectation('gatewayKeysFile', 'not set', VARIABLES.gatewayKeysFile.kind.expected));
  }
  if (faults.length > 0) return { ok: false, faults };
  return { ok: true, config: Object.freeze(settings as GatewayConfig), warnings: proxyWarnings(env, false) };
}

/** The configuration by variable name, for the log line at the start; secrets are replaced, unset ones left out. */
export function describeConfig(config: AnyConfig): Record<string, unknown> {
  const shown = Object.entries(config).flatMap(([field, value]): [string, unknown][] => {
    const row = VARIABLES[field as Field];
    if (value === undefined) return [];
    return [[row.name, 'secret' in row ? '[redacted]' : plain(row.name, value)]];
  });
  return Object.fromEntries(shown);
}

function plain(name: string, value: unknown): unknown {
  if (typeof value === 'number' && name.includes('SECONDS')) return value / 1_000;
  if (typeof value !== 'object' || value === null || !('port' in value)) return value;
  const { host, port } = value as { host?: string; port: number };
  return `${host?.includes(':') === true ? `[${host}]` : (host ?? '')}:${port}`;
}

function isSet(env: Environment, field: Field): boolean {
  return (env[VARIABLES[field].name] ?? '') !== '';
}

function expectation(field: Field, found: string, expected: string): string {
  return `${VARIABLES[field].name}: ${found}, expected ${expected}`;
}

function readSettings<P extends ProcessName>(
  process: P,
  env: Environment,
): { settings: Partial<Settings<P>>; faults: string[] } {
  const values: Partial<Record<Field, unknown>> = {};
  const faults: string[] = [];
  for (const [field, row] of variablesOf(process)) {
    const text = isSet(env, field) ? env[row.name] : defaultOf(row, process);
    if (text === undefined) continue;
    const value = row.kind.read(text);
    if (value === undefined) faults.push(expectation(field, `found ${shownText(field, text)}`, row.kind.expected));
    else values[field] = value;
  }
  return { settings: values as Partial<Settings<P>>, faults };
}

function shownText(field: Field, text: string): string {
  const row = VARIABLES[field];
  const shown = 'show' in row.kind ? row.kind.show(text) : text;
  return 'secret' in row ? shown : JSON.stringify(shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown);
}

/** Two listeners on one port: the second would fail with an error that names neither variable. */
function bindFaults(settings: Partial<Settings<ProcessName>>): string[] {
  const all = ['callbackBind', 'gatewayBind', 'gatewayTlsBind', 'metricsBind', 'healthBind'] as const;
  const fields = all.filter((field) => field in settings);
  const ports = new Map<number, Field>();
  return fields.flatMap((field) => {
    const { port } = (settings as Settings<'callback'> & Settings<'gateway'>)[field];
    const other = ports.get(port);
    ports.set(port, field);
    if (port === 0 || other === undefined) return [];
    return [expectation(field, `found port ${port}`, `another port than that of ${VARIABLES[other].name}`)];
  });
}

function pairFaults(env: Environment): string[] {
  const pair = ['gatewayTlsCertFile', 'gatewayTlsKeyFile'] as const;
  const [given, ...others] = pair.filter((field) => isSet(env, field));
  if (given === undefined || others.length > 0) return [];
  const wanted = `an absolute path, because ${VARIABLES[given].name} is set`;
  return pair.filter((field) => field !== given).map((field) => expectation(field, 'not set', wanted));
}

function providerKeyFaults(env: Environment): string[] {
  if (!isSet(env, 'providerApiKey') || !isSet(env, 'providerApiKeyFile')) return [];
  return [expectation('providerApiKey', 'set together with PROVIDER_API_KEY_FILE', 'only one of the two')];
}

function callbackFaults(settings: Partial<Settings<'operator'>>, env: Environment): string[] {
  const { callbackURL, callbackAllowHTTP } = settings;
  if (callbackURL === undefined) return [];
  const faults: string[] = [];
  if (callbackURL.startsWith('http:') && callbackAllowHTTP === false) {
    const found = `found ${JSON.stringify(callbackURL)}`;
    faults.push(expectation('callbackURL', found, '"https:", or CALLBACK_ALLOW_HTTP=true'));
  }
  if (!isSet(env, 'callbackKeysFile')) {
    faults.push(expectation('callbackKeysFile', 'not set', 'an absolute path, because CALLBACK_URL is set'));
  }
  return faults;
}

function leaseFaults(
  settings: Partial<Settings<'operator'>>,
  env: Environment,
  namespace: string | undefined,
): string[] {
  if (settings.leaderElection !== true || namespace !== undefined || isSet(env, 'podNamespace')) return [];
  return [expectation('podNamespace', 'not set', 'a namespace outside a pod, or LEADER_ELECTION=false')];
}

function retryFaults(settings: Partial<Settings<'operator'>>): string[] {
  const { deadLetterRetryMinMs = 0, deadLetterRetryMaxMs = Infinity } = settings;
  if (deadLetterRetryMaxMs >= deadLetterRetryMinMs) return [];
  const found = `found ${deadLetterRetryMaxMs / 1_000}`;
  return [expectation('deadLetterRetryMaxMs', found, 'at least DEAD_LETTER_RETRY_MIN_SECONDS')];
}

const PROXY_VARIABLES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()]);

function usesProxy({ httpsProxy, providerURL }: OperatorConfig): boolean {
  return httpsProxy !== undefined && providerURL.startsWith('https:');
}

/** Other programs obey these; whoever set them should not have to find out. Their values may hold passwords. */
function proxyWarnings(env: Environment, isUsed: boolean): string[] {
  const set = PROXY_VARIABLES.filter((name) => (env[name] ?? '') !== '');
  return set.map((name) =>
    isUsed && name === VARIABLES.httpsProxy.name
      ? `${name}: calls to the provider use it, those to the Kubernetes API never do`
      : `${name}: no call uses it; HTTPS_PROXY is for calls of the operator to an "https:" PROVIDER_URL`,
  );
}

function operatorWarnings(config: OperatorConfig): string[] {
  const warnings: string[] = [];
  const warn = (field: Field, text: string): void => void warnings.push(`${VARIABLES[field].name}: ${text}`);
  if (config.providerURL.startsWith('http:')) warn('providerURL', 'is "http:"; API keys cross the network in clear');
  if (config.callbackURL?.startsWith('http:')) warn('callbackURL', 'is "http:"; solutions cross the network in clear');
  if (config.callbackURL === undefined) warn('callbackURL', 'is not set; every task is polled');
  if (config.providerApiKey !== undefined && config.providerApiKey.length !== KEY_LENGTH) {
    warn('providerApiKey', `does not have the ${KEY_LENGTH} characters that the provider asks for`);
  }
  return warnings;
}
