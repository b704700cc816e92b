/**
 * Runs the credential plugin that a kubeconfig's user names (`exec`), and keeps what it gave until it expires. The plugin
 * gets no terminal, a closed stdin, and a bounded time; what it writes to stderr is counted and never quoted, because
 * plugins print what they were given. Refuses what cannot work here (a plugin that insists on a terminal).
 * Source: "client-go credential plugins" of Kubernetes, and the reference of client.authentication.k8s.io (v1).
 */
import { spawn } from 'node:child_process';
import type { TlsParts } from './credentials.ts';

type Fields = Record<string, unknown>;

export interface PluginOptions {
  /** The user's `exec`; its command is resolved already. */
  exec: Fields;
  /** What a plugin with `provideClusterInfo` is told, in the spelling of `ExecCredential`. */
  cluster: Fields;
  /** The process's own; plugins find their programs and homes by it. */
  environment: Readonly<Record<string, string | undefined>>;
  timeoutMs?: number | undefined;
}

/** What a plugin gave: a token, a client certificate, or both. */
export interface PluginCredentials {
  token: string | undefined;
  tls: Pick<TlsParts, 'cert' | 'key'>;
}

const API_VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];
const TIMEOUT_MS = 20_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;
const MAX_HINT = 300;

/**
 * The way to ask the plugin: from what it gave before as long as that lasts, unless that was rejected.
 * @throws Error naming the plugin; nothing that it was given or wrote is quoted
 */
export function createPlugin(options: PluginOptions): (rejected: boolean) => Promise<PluginCredentials> {
  const { exec, cluster, environment, timeoutMs = TIMEOUT_MS } = options;
  const { command = '', apiVersion = '', installHint: hint = '' } = textsOf(exec);
  if (command === '') throw new Error('kubeconfig: exec has no command');
  if (!API_VERSIONS.includes(apiVersion)) {
    throw new Error(`exec plugin ${command}: apiVersion must be one of ${API_VERSIONS.join(', ')}`);
  }
  if (exec['interactiveMode'] === 'Always') throw new Error(`exec plugin ${command}: there is no terminal for it`);
  const info = {
    apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(exec['provideClusterInfo'] === true ? { cluster } : {}) },
  };
  const env = { ...environment, ...extraEnvironment(exec['env']), KUBERNETES_EXEC_INFO: JSON.stringify(info) };
  const args = Array.isArray(exec['args']) ? exec['args'].map(String) : [];
  let kept: { credentials: PluginCredentials; untilMs: number } | undefined;
  return async (rejected) => {
    if (kept !== undefined && !rejected && Date.now() < kept.untilMs) return kept.credentials;
    const output = await run({ command, args, env, hint, timeoutMs });
    kept = credentialsOf(command, output);
    return kept.credentials;
  };
}

function textsOf(fields: Fields): Record<string, string> {
  const texts = Object.entries(fields).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return Object.fromEntries(texts);
}

function extraEnvironment(entries: unknown): Record<string, string> {
  if (!Array.isArray(entries)) return {};
  const pairs = (entries as Fields[]).map(({ name, value }) => [String(name), String(value)] as const);
  return Object.fromEntries(pairs);
}

interface Invocation {
  command: string;
  args: string[];
  env: Record<string, string | undefined>;
  hint: string;
  timeoutMs: number;
}

/** What it printed. It is killed when its time is over. */
function run({ command, args, env, hint, timeoutMs }: Invocation): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const fail = (what: string): void => reject(new Error(`exec plugin ${command} ${what}`));
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errorLines = 0;
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    fail(`did not end within ${timeoutMs / 1_000} s`);
  }, timeoutMs);
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    if (output.length < MAX_OUTPUT_BYTES) output += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errorLines += chunk.split('\n').length - 1;
  });
  child.on('error', (error: NodeJS.ErrnoException) => {
    fail(`cannot be started (${error.code ?? error.name})${hint === '' ? '' : `; ${hint.slice(0, MAX_HINT)}`}`);
  });
  child.on('close', (code, signal) => {
    if (code === 0) resolve(output);
    else fail(`ended with ${code ?? signal}, and ${errorLines} lines on stderr that are not shown: run it by hand`);
  });
  return promise.finally(() => clearTimeout(timer));
}

function credentialsOf(command: string, output: string): { credentials: PluginCredentials; untilMs: number } {
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp = '' } = statusOf(output);
  const tls = { cert, key };
  if (token === undefined && (tls.cert === undefined || tls.key === undefined)) {
    throw new Error(`exec plugin ${command} printed no ExecCredential with a token or a certificate and its key`);
  }
  const expires = Date.parse(expirationTimestamp);
  return { credentials: { token, tls }, untilMs: Number.isNaN(expires) ? Infinity : expires };
}

function statusOf(output: string): Record<string, string> {
  try {
    return textsOf((JSON.parse(output) as { status?: Fields } | null)?.status ?? {});
  } catch {
    return {};
  }
}
