/**
 * A whole installation on one machine: sidecars behind a front, operators, one key file, one spool directory each.
 * Every part is a real child process with the configuration a pod would have. It knows nothing of what they do with it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startChild, type Child, type Entry, type LogLine } from './child.ts';
import { startFront, type Front } from './front.ts';

export interface FleetOptions {
  /** Kubeconfig under which operator and sidecar run: the shipped identity, never an administrator's. */
  kubeconfig: string;
  providerURL: string;
  operators?: number;
  sidecars?: number;
  /** Added to (and winning over) what the fleet sets. */
  operatorEnv?: Record<string, string>;
  sidecarEnv?: Record<string, string>;
  /** Default: none. */
  gateways?: {
    count: number;
    kubeconfig: string;
    /** Gateway keys by namespace. */
    keys: Readonly<Record<string, string>>;
    /** In PEM: they listen by TLS, too. */
    tls?: { cert: string; key: string };
    env?: Record<string, string>;
  };
  onLine?: (process: string, line: LogLine) => void;
  /** Runs what `npm run build` made: for figures of CPU and memory. */
  built?: boolean;
}

/** One process that can be killed and started again with the same ports, name and directories. */
export interface Member {
  readonly name: string;
  child(): Child;
  /** Base URLs of its health and metrics listeners, as it reported them. */
  readonly healthURL: string;
  readonly metricsURL: string;
  kill(signal: NodeJS.Signals): void;
  /** Kills it hard and starts it again; resolves when it listens. */
  restart(env?: Record<string, string>): Promise<void>;
  start(env?: Record<string, string>): Promise<void>;
  stop(): Promise<number | string>;
}

export interface Sidecar extends Member {
  readonly callbackPort: number;
  readonly spoolDir: string;
}

export interface Gateway extends Member {
  readonly gatewayPort: number;
  /** 0 without TLS. */
  readonly gatewayTlsPort: number;
}

export interface Fleet {
  readonly operators: readonly Member[];
  readonly sidecars: readonly Sidecar[];
  readonly gateways: readonly Gateway[];
  readonly front: Front;
  /** What clients of the gateways have as their base URL; a Service in front of all of them. */
  readonly gatewayURL: string;
  /** The same by TLS. */
  readonly gatewayTlsURL: string;
  readonly callbackURL: string;
  readonly callbackKeysFile: string;
  /** Every log line of every process so far. */
  logText(): string;
  stop(): Promise<void>;
}

/** The provider account that the fleet's operators use when a task brings none; 32 characters, as the provider asks. */
export const DEMO_API_KEY = 'demo0key0demo0key0demo0key0demo0';

interface Setting {
  options: FleetOptions;
  directory: string;
  front: Front;
  keysFile: string;
  log: string[];
}

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const directory = await mkdtemp(join(tmpdir(), 'captcha-fleet-'));
  const front = await startFront();
  const keysFile = join(directory, 'callback-keys');
  await writeFile(keysFile, `k1:${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const setting: Setting = { options, directory, front, keysFile, log: [] };
  const sidecars: Sidecar[] = [];
  const operators: Member[] = [];
  const gateways: Gateway[] = [];
  const gatewayFront = await startFront();
  const gatewayTlsFront = await startFront();
  const stop = async (): Promise<void> => {
    // What stops waits for connections that are kept; with the fronts those are gone.
    await Promise.all([front, gatewayFront, gatewayTlsFront].map((one) => one.close()));
    await Promise.all([...operators, ...gateways].map((member) => member.stop()));
    await Promise.all(sidecars.map((member) => member.stop()));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    for (let index = 0; index < (options.sidecars ?? 1); index++) sidecars.push(await startSidecar(setting, index));
    front.setBackends(sidecars.map((sidecar) => sidecar.callbackPort));
    for (let index = 0; index < (options.operators ?? 1); index++) operators.push(await startOperator(setting, index));
    for (let index = 0; index < (options.gateways?.count ?? 0); index++) {
      gateways.push(await startGateway(setting, index));
    }
    gatewayFront.setBackends(gateways.map((gateway) => gateway.gatewayPort));
    gatewayTlsFront.setBackends(gateways.map((gateway) => gateway.gatewayTlsPort));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    operators,
    sidecars,
    gateways,
    front,
    gatewayURL: `http://127.0.0.1:${gatewayFront.port}`,
    gatewayTlsURL: `https://127.0.0.1:${gatewayTlsFront.port}`,
    callbackURL: callbackURL(front),
    callbackKeysFile: keysFile,
    logText: () => setting.log.join('\n'),
    stop,
  };
}

function callbackURL(front: Front): string {
  return `http://127.0.0.1:${front.port}`;
}

async function startSidecar(setting: Setting, index: number): Promise<Sidecar> {
  const name = `callback-${index}`;
  const spoolDir = join(setting.directory, `spool-${index}`);
  await mkdir(spoolDir, { recursive: true });
  const member = await startMember(setting, name, 'callback', {
    CALLBACK_KEYS_FILE: setting.keysFile,
    SPOOL_DIR: spoolDir,
    ...setting.options.sidecarEnv,
  });
  return { ...member, callbackPort: member.ports['callback'] ?? 0, spoolDir };
}

async function startGateway(setting: Setting, index: number): Promise<Gateway> {
  const { kubeconfig = '', keys = {}, tls, env } = setting.options.gateways ?? {};
  const keysFile = join(setting.directory, 'gateway-keys');
  const lines = Object.entries(keys).map(([namespace, key]) => `${namespace}:${sha256(key)}\n`);
  await writeFile(keysFile, lines.join(''), { mode: 0o600 });
  const pair = tls === undefined ? {} : await writePair(setting.directory, tls);
  const own = { KUBECONFIG: kubeconfig, GATEWAY_KEYS_FILE: keysFile, ...pair, ...env };
  const member = await startMember(setting, `gateway-${index}`, 'gateway', own);
  return { ...member, gatewayPort: member.ports['gateway'] ?? 0, gatewayTlsPort: member.ports['gateway-tls'] ?? 0 };
}

async function writePair(directory: string, { cert, key }: { cert: string; key: string }) {
  const files = { GATEWAY_TLS_CERT_FILE: join(directory, 'tls.crt'), GATEWAY_TLS_KEY_FILE: join(directory, 'tls.key') };
  await writeFile(files.GATEWAY_TLS_CERT_FILE, cert);
  await writeFile(files.GATEWAY_TLS_KEY_FILE, key, { mode: 0o600 });
  return files;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

async function startOperator(setting: Setting, index: number): Promise<Member> {
  return startMember(setting, `operator-${index}`, 'operator', {
    PROVIDER_URL: setting.options.providerURL,
    PROVIDER_API_KEY: DEMO_API_KEY,
    CALLBACK_URL: callbackURL(setting.front),
    CALLBACK_ALLOW_HTTP: 'true',
    CALLBACK_KEYS_FILE: setting.keysFile,
    POD_NAMESPACE: 'captcha-system',
    POD_NAME: `operator-${index}`,
    LEADER_ELECTION: (setting.options.operators ?? 1) > 1 ? 'true' : 'false',
    ...setting.options.operatorEnv,
  });
}

/** Listeners that each entry reports with the line `listening` before it is `ready`. */
const LISTENERS: Record<string, readonly string[]> = {
  operator: ['health', 'metrics'],
  callback: ['callback', 'health', 'metrics'],
  gateway: ['gateway', 'health', 'metrics'],
};
const BIND_VARIABLE: Record<string, string> = {
  callback: 'CALLBACK_BIND_ADDRESS',
  gateway: 'GATEWAY_BIND_ADDRESS',
  'gateway-tls': 'GATEWAY_TLS_BIND_ADDRESS',
  health: 'HEALTH_BIND_ADDRESS',
  metrics: 'METRICS_BIND_ADDRESS',
};

function listenersOf(entry: Entry, env: Record<string, string>): readonly string[] {
  const secure = env['GATEWAY_TLS_CERT_FILE'] === undefined ? [] : ['gateway-tls'];
  return [...(LISTENERS[entry] ?? []), ...secure];
}

async function startMember(
  setting: Setting,
  name: string,
  entry: Entry,
  env: Record<string, string>,
): Promise<Member & { ports: Record<string, number> }> {
  const listeners = listenersOf(entry, env);
  const ports: Record<string, number> = {};
  let current: Child | undefined;
  const start = async (more: Record<string, string> = {}): Promise<void> => {
    const binds = listeners.map((listener) => [BIND_VARIABLE[listener] ?? '', `127.0.0.1:${ports[listener] ?? 0}`]);
    const child = startChild({
      entry,
      built: setting.options.built === true,
      env: { KUBECONFIG: setting.options.kubeconfig, ...Object.fromEntries(binds), ...env, ...more },
      onLine: (line) => {
        setting.log.push(`${name} ${JSON.stringify(line)}`);
        setting.options.onLine?.(name, line);
      },
    });
    current = child;
    for (const listener of listeners) {
      const line = await child.waitForLine(
        `its ${listener} listener`,
        (l) => l.msg === 'listening' && l['listener'] === listener,
      );
      ports[listener] = Number(line['port']);
    }
  };
  await start();
  const child = (): Child => {
    if (current === undefined) throw new Error(`${name} was never started`);
    return current;
  };
  return {
    name,
    ports,
    child,
    start,
    healthURL: `http://127.0.0.1:${ports['health']}`,
    metricsURL: `http://127.0.0.1:${ports['metrics']}/metrics`,
    kill: (signal) => child().kill(signal),
    restart: async (more) => {
      child().kill('SIGKILL');
      await child().exited;
      await start(more);
    },
    stop: () => child().stop(),
  };
}
