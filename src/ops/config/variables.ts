/**
 * THE table of environment variables: name, field of the configuration, who reads it, default, kind and meaning.
 * `ops/config.ts` parses by it, docs/configuration.md is generated from it, and a test compares it with the manifests.
 * A new setting is a new row here. One that a rule of `core` reads has its default there, and `bin/` hands it on.
 */
import { MAX_CALLBACK_URL_LENGTH } from '../../api/names.ts';
import { DEFAULT_LETTER_POLICY } from '../../core/deadletter/schedule.ts';
import { DEFAULT_POLICY } from '../../core/task/policy.ts';
import { CALLBACK_PATH, MAX_TOKEN_LENGTH } from '../../core/token.ts';
import {
  anyPath,
  baseURL,
  bindAddress,
  filePath,
  flag,
  hostList,
  leaseName,
  namespaceList,
  namespaceName,
  objectName,
  oneOf,
  proxyURL,
  seconds,
  secondsOrNever,
  secretWord,
  wholeNumber,
  type Kind,
} from './kinds.ts';
import { GATEWAY_VARIABLES } from './gateway-variables.ts';
import { DAY, isReader, YEAR, type ProcessName, type ReaderOf, type Variable } from './variable.ts';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** With the longest token behind it the pingback URL stays below the limit. */
const MAX_CALLBACK_BASE_LENGTH = MAX_CALLBACK_URL_LENGTH - 1 - CALLBACK_PATH.length - MAX_TOKEN_LENGTH;

export const VARIABLES = {
  kubeconfigPath: {
    name: 'KUBECONFIG',
    readBy: 'all',
    kind: anyPath,
    unset: 'in-cluster, else `~/.kube/config`',
    meaning: 'How to reach the Kubernetes API; see below.',
  },
  watchNamespaces: {
    name: 'WATCH_NAMESPACES',
    readBy: 'all',
    kind: namespaceList,
    unset: 'all namespaces',
    meaning:
      'The namespaces whose tasks and letters are watched. The sidecar answers callbacks for others like a bad token (404) and counts them as `misrouted`; the gateway knows no keys of others.',
  },
  providerURL: {
    name: 'PROVIDER_URL',
    readBy: 'operator',
    kind: baseURL(200),
    default: 'https://ocr.captchaai.com',
    meaning: 'Base URL of the captcha provider; `/in.php` and `/res.php` are appended. `http:` works, with a warning.',
  },
  httpsProxy: {
    name: 'HTTPS_PROXY',
    readBy: 'operator',
    kind: proxyURL,
    unset: 'straight',
    meaning: 'The forward proxy for calls to an `https:` provider. Calls to the Kubernetes API never go through one.',
    secret: true,
  },
  noProxy: {
    name: 'NO_PROXY',
    readBy: 'operator',
    kind: hostList,
    unset: 'no exceptions',
    meaning: 'Hosts that are reached without `HTTPS_PROXY`.',
  },
  providerApiKeyFile: {
    name: 'PROVIDER_API_KEY_FILE',
    readBy: 'operator',
    kind: filePath,
    unset: 'tasks need `apiKeySecretRef`',
    meaning: "A file with the operator's own API key, for tasks that bring none. Excludes `PROVIDER_API_KEY`.",
  },
  providerApiKey: {
    name: 'PROVIDER_API_KEY',
    readBy: 'operator',
    kind: secretWord,
    unset: 'tasks need `apiKeySecretRef`',
    meaning: 'The same key in the environment. Prefer the file: environments leak into crash reports and debuggers.',
    secret: true,
  },
  callbackURL: {
    name: 'CALLBACK_URL',
    readBy: 'both',
    kind: baseURL(MAX_CALLBACK_BASE_LENGTH),
    unset: 'every task is polled',
    meaning:
      'The public URL that is routed to the sidecar; `/v1/callback/<token>` is appended. With it the sidecar is not ready without keys.',
  },
  callbackKeysFile: {
    name: 'CALLBACK_KEYS_FILE',
    readBy: 'both',
    kind: filePath,
    unset: 'allowed for the operator without `CALLBACK_URL` only',
    meaning:
      'Lines `kid:base64`: the first key signs callback URLs, all verify. Reloaded when it changes. The file may be missing without `CALLBACK_URL`.',
  },
  callbackAllowHTTP: {
    name: 'CALLBACK_ALLOW_HTTP',
    readBy: 'operator',
    kind: flag,
    default: 'false',
    meaning: 'Accept a `CALLBACK_URL` with `http:`. Solutions then cross the network in clear.',
  },
  callbackSilenceLimit: {
    name: 'CALLBACK_SILENCE_LIMIT',
    readBy: 'operator',
    kind: wholeNumber(0, 1_000),
    default: String(DEFAULT_POLICY.callbackSilenceLimit),
    meaning:
      'After so many results in a row that a poll found and no callback announced, tasks of that API key are polled as if none was to come, until one does. `0`: never.',
  },
  callbackBind: {
    name: 'CALLBACK_BIND_ADDRESS',
    readBy: 'callback',
    kind: bindAddress,
    default: ':8080',
    meaning: 'Where callbacks are received.',
  },
  callbackRootFiles: {
    name: 'CALLBACK_ROOT_FILES',
    readBy: 'callback',
    kind: filePath,
    unset: 'only callbacks are answered',
    meaning:
      'A directory (a mounted ConfigMap) whose files are served at the root of the callback host, for providers that look for an ownership file. At most 16 files of 8 KiB; read again when they change.',
  },
  spoolDir: {
    name: 'SPOOL_DIR',
    readBy: 'callback',
    kind: filePath,
    default: '/var/lib/captcha-operator/spool',
    meaning: 'Where callbacks wait on disk while the Kubernetes API cannot take them. One directory per replica.',
  },
  metricsBind: {
    name: 'METRICS_BIND_ADDRESS',
    readBy: 'all',
    kind: bindAddress,
    default: { operator: ':9090', callback: ':9091', gateway: ':9092' },
    meaning: 'Where `/metrics` is served.',
  },
  healthBind: {
    name: 'HEALTH_BIND_ADDRESS',
    readBy: 'all',
    kind: bindAddress,
    default: { operator: ':8081', callback: ':8082', gateway: ':8083' },
    meaning: 'Where `/healthz` and `/readyz` are served.',
  },
  leaderElection: {
    name: 'LEADER_ELECTION',
    readBy: 'operator',
    kind: flag,
    default: 'true',
    meaning: 'Only the holder of the Lease `LEASE_NAME` acts. `false` only where one operator runs at most.',
  },
  leaseName: {
    name: 'LEASE_NAME',
    readBy: 'operator',
    kind: leaseName,
    default: 'captcha-operator',
    meaning:
      'The Lease. Two installations in one namespace need two names, a Role for each, and no watched namespace in common.',
  },
  podNamespace: {
    name: 'POD_NAMESPACE',
    readBy: 'operator',
    kind: namespaceName,
    unset: 'from the pod (its service account)',
    meaning: 'The namespace of the Lease.',
  },
  podName: {
    name: 'POD_NAME',
    readBy: 'operator',
    kind: objectName,
    unset: 'from the pod (its host name)',
    meaning: 'Names this replica in the Lease, in intents and in events.',
  },
  maxConcurrentSubmissions: {
    name: 'MAX_CONCURRENT_SUBMISSIONS',
    readBy: 'operator',
    kind: wholeNumber(1, 1_000),
    default: String(DEFAULT_POLICY.maxConcurrentSubmissions),
    meaning: 'Calls to `in.php` at once, per API key.',
  },
  pollIntervalMs: {
    name: 'POLL_INTERVAL_SECONDS',
    readBy: 'operator',
    kind: seconds(1, 3_600),
    default: String(DEFAULT_POLICY.pollIntervalMs / 1_000),
    meaning: 'Time between two polls of one task, ±10 %.',
  },
  maxPollsPerSecond: {
    name: 'MAX_POLLS_PER_SECOND',
    readBy: 'operator',
    kind: wholeNumber(1, 1_000),
    default: String(DEFAULT_POLICY.maxPollsPerSecond),
    meaning: 'Calls to `res.php` per second, per API key.',
  },
  unknownSubmissionGraceMs: {
    name: 'UNKNOWN_SUBMISSION_GRACE_SECONDS',
    readBy: 'operator',
    kind: seconds(1, 3_600),
    default: String(DEFAULT_POLICY.unknownSubmissionGraceMs / 1_000),
    meaning: 'How long the callback of a submission with unknown outcome is awaited before it is submitted once more.',
  },
  rejectedKeysLimit: {
    name: 'REJECTED_KEYS_LIMIT',
    readBy: 'operator',
    kind: wholeNumber(0, 1_000),
    default: String(DEFAULT_POLICY.rejectedKeysLimit),
    meaning:
      'After so many rejections within 5 min, keys never accepted wait; and so many of them are tried at once. `0`: no limit.',
  },
  defaultTtlMs: {
    name: 'DEFAULT_TTL_SECONDS_AFTER_FINISHED',
    readBy: 'operator',
    kind: secondsOrNever(0, 10 * YEAR),
    default: String(DEFAULT_POLICY.defaultTtlSeconds),
    meaning: 'When finished tasks without a TTL are deleted; Argo CD and Flux keep theirs. `never`: none.',
  },
  deadLetterRetryMinMs: {
    name: 'DEAD_LETTER_RETRY_MIN_SECONDS',
    readBy: 'operator',
    kind: seconds(1, DAY),
    default: String(DEFAULT_LETTER_POLICY.retryMinMs / 1_000),
    meaning: 'Time before the first retry of a dead letter; doubles with every retry.',
  },
  deadLetterRetryMaxMs: {
    name: 'DEAD_LETTER_RETRY_MAX_SECONDS',
    readBy: 'operator',
    kind: seconds(1, DAY),
    default: String(DEFAULT_LETTER_POLICY.retryMaxMs / 1_000),
    meaning: 'The longest time between two retries of a dead letter.',
  },
  deadLetterMaxAttempts: {
    name: 'DEAD_LETTER_MAX_ATTEMPTS',
    readBy: 'operator',
    kind: wholeNumber(1, 10_000),
    default: String(DEFAULT_LETTER_POLICY.maxAttempts),
    meaning: 'Retries before a dead letter is abandoned.',
  },
  deadLetterTtlMs: {
    name: 'DEAD_LETTER_TTL_SECONDS',
    readBy: 'operator',
    kind: seconds(0, 10 * YEAR),
    default: String(DEFAULT_LETTER_POLICY.ttlMs / 1_000),
    meaning: 'When finished dead letters are deleted.',
  },
  ...GATEWAY_VARIABLES,
  logLevel: {
    name: 'LOG_LEVEL',
    readBy: 'all',
    kind: oneOf(LOG_LEVELS),
    default: 'info',
    meaning: 'The least important lines that are written (JSON lines on stdout).',
  },
} as const satisfies Record<string, Variable<unknown>>;

export type Field = keyof typeof VARIABLES;

type Rows = typeof VARIABLES;
type ValueOf<Row> = Row extends { kind: Kind<infer T> }
  ? Row extends { default: unknown }
    ? T
    : T | undefined
  : never;

/** The settings of one process: one field per variable it reads. Durations are in milliseconds. */
export type Settings<P extends ProcessName> = {
  readonly [F in Field as P extends ReaderOf<Rows[F]['readBy']> ? F : never]: ValueOf<Rows[F]>;
};

/** The rows that a process reads, in the order of the table. */
export function variablesOf(process: ProcessName): [Field, Variable<unknown>][] {
  return (Object.entries(VARIABLES) as [Field, Variable<unknown>][]).filter(([, row]) => isReader(row.readBy, process));
}

export function defaultOf(row: Variable<unknown>, process: ProcessName): string | undefined {
  return typeof row.default === 'object' ? row.default[process] : row.default;
}
