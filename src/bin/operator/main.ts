/**
 * The operator as a process: reads its configuration, campaigns for the Lease, runs the task controller and the
 * dead-letter controller until SIGTERM. Then the controllers stop first and record the replies of calls already sent,
 * the Lease is given back, the clients close, and it ends with 0. Wrong configuration ends it with 2.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

import { DEAD_LETTER } from '../../api/names.ts';
import { DRAIN_MS, type TaskPolicy } from '../../core/task/policy.ts';
import { createPingbackMinter, type PingbackMinter } from '../../core/token.ts';
import { createLetterStore, startDeadLetterController } from '../../controllers/deadletter/index.ts';
import { startTaskController } from '../../controllers/task/index.ts';
import type { Leadership, LetterLookup, TaskController } from '../../controllers/task/ports.ts';
import type { KubeClient } from '../../kube/client.ts';
import { createEventRecorder, type EventRecorder } from '../../kube/events.ts';
import { startLease } from '../../kube/lease.ts';
import { startReflector, type Reflector, type ReflectorHooks } from '../../kube/reflector.ts';
import { splitKey } from '../../kube/types.ts';
import { parseOperatorConfig, type OperatorConfig, type Surroundings } from '../../ops/config.ts';
import { checkWatches, createCallRecord } from '../../ops/health.ts';
import { refusedWatches, registerWatchGauges, reportWatches, signsOfLife, type Watches } from '../../ops/watches.ts';
import { createProviderClient, type ProviderClient } from '../../provider/client.ts';
import {
  openCallbackKeys,
  openKubeClient,
  openProbes,
  reportRequests,
  runConfigured,
  type Running,
} from '../wiring.ts';

/** Resolves when everything is started. `handOver` ends the handling of early signals. */
export async function runOperator(handOver: () => void): Promise<void> {
  const parsed = parseOperatorConfig(process.env, await readSurroundings());
  await runConfigured('operator', parsed, handOver, startOperator);
}

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** What the machine knows where the environment is silent: the pod's namespace and the host's name. */
async function readSurroundings(): Promise<Surroundings> {
  const namespace = await readFile(NAMESPACE_FILE, 'utf8').catch(() => '');
  return { serviceAccountNamespace: namespace.trim() || undefined, hostname: hostname() };
}

type Operator = Running<OperatorConfig>;

/** What the controllers and their surroundings share. */
interface OperatorParts extends Operator {
  client: KubeClient;
  /** Unique for each process, also after a restart of the pod: names the holder of the Lease and begins every intent. */
  identity: string;
  watchHooks: ReflectorHooks;
}

/** In the metric it is the election that is named, whatever the Lease is called: alerts and dashboards ask for it. */
const ELECTION = 'captcha-operator';
/** What the contract promises for the end: replies of calls already sent are read and recorded this long. */
const STOP_MS = DRAIN_MS + 5_000;

/** Opens everything in the order in which the releases, run backwards, are right. */
async function startOperator(operator: Operator): Promise<void> {
  const { config, log, lifecycle, metrics } = operator;
  const calls = createCallRecord();
  const client = await openKubeClient(operator, watchCalls(reportRequests(metrics), calls));
  const identity = `${config.podName}_${randomBytes(6).toString('hex')}`;
  const parts: OperatorParts = { ...operator, client, identity, watchHooks: reportWatches(metrics, log) };
  const leadership = startLeadership(parts);
  const events = openEvents(parts);
  const letters = startLetters(parts, leadership, events);
  const tasks = startTaskController({
    client,
    namespaces: config.watchNamespaces,
    leadership,
    provider: openProvider(parts),
    metrics,
    log,
    events,
    policy: taskPolicyOf(config),
    identity,
    journal: { namespace: config.podNamespace, name: `${config.leaseName}-journal` },
    ownKey: ownKeyOf(config),
    letters: letters.lookup,
    mintPingback: await openMinter(parts),
    watchHooks: parts.watchHooks,
  });
  lifecycle.onStop('task controller', STOP_MS, () => tasks.stop({ drainMs: DRAIN_MS }));
  letters.connect(tasks);
  const watches: Watches = () => [
    ...tasks.watches().map((watch) => ({ ...watch, resource: 'captchatasks' as const })),
    ...letters.watches().map((watch) => ({ ...watch, resource: 'deadletters' as const })),
  ];
  await openListeners(parts, watches, calls);
  void tasks.synced.then(() => log.info('tasks known'));
}

type CallRecord = ReturnType<typeof createCallRecord>;

type OnRequest = ReturnType<typeof reportRequests>;

/** Counts each call, and tells the liveness check which were answered. */
function watchCalls(count: OnRequest, calls: CallRecord): OnRequest {
  return (report) => {
    count(report);
    if (report.verb === 'watch') return;
    if (/^[24]/.test(report.code)) calls.succeeded(performance.now());
    else calls.failed();
  };
}

/** Who may act: the holder of the Lease, or always this process where leader election is off. */
function startLeadership({ client, config, identity, lifecycle, log, metrics }: OperatorParts): Leadership {
  const leadership = config.leaderElection ? campaign() : alone();
  metrics.gauge('leader_election_master_status', (set) => set({ name: ELECTION }, leadership.isLeader() ? 1 : 0));
  return leadership;

  function campaign(): Leadership {
    const lease = startLease({
      client,
      namespace: config.podNamespace,
      name: config.leaseName,
      identity,
      hooks: { onTrouble: (message) => log.warn('lease cannot be read or written', { trouble: message }) },
    });
    lifecycle.onStop('lease', 6_000, () => lease.release());
    lease.onChange((leading) => log.info(leading ? 'leading' : 'not leading any more', { identity }));
    return lease;
  }
}

function alone(): Leadership {
  return { isLeader: () => true, wasTaken: () => false, onChange: () => () => false };
}

function openEvents({ client, config, lifecycle }: OperatorParts): EventRecorder {
  const events = createEventRecorder({
    client,
    reportingController: 'captcha-operator.io/operator',
    reportingInstance: config.podName,
  });
  lifecycle.onStop('events', 3_000, () => events.stop());
  return events;
}

interface Letters {
  lookup: LetterLookup;
  /** From now on a task is woken when a letter of its own changes. */
  connect(tasks: Pick<TaskController, 'wake'>): void;
  watches(): readonly Reflector[];
}

/** The dead-letter controller: its cache, its right to act, and what it and the task controller tell each other. */
function startLetters(parts: OperatorParts, leadership: Leadership, events: EventRecorder): Letters {
  const { client, config, lifecycle, log, metrics } = parts;
  const store = createLetterStore();
  let tasks: Pick<TaskController, 'wake'> | undefined;
  const controller = startDeadLetterController({
    client,
    store,
    policy: {
      retryMinMs: config.deadLetterRetryMinMs,
      retryMaxMs: config.deadLetterRetryMaxMs,
      maxAttempts: config.deadLetterMaxAttempts,
      ttlMs: config.deadLetterTtlMs,
    },
    mayAct: () => leadership.isLeader() && !lifecycle.signal.aborted,
    clock: { now: () => Date.now(), monotonicMs: () => performance.now(), random: () => Math.random() },
    metrics,
    log,
    events,
    onLetter: (taskKey) => {
      const { namespace, name } = splitKey(taskKey);
      tasks?.wake(namespace, name);
    },
  });
  leadership.onChange(() => controller.actingChanged());
  const watches = startLetterWatches(parts, store);
  lifecycle.onStop('dead-letter watches', 2_000, () => Promise.all(watches.map((watch) => watch.stop())));
  lifecycle.onStop('dead-letter controller', 12_000, () => controller.stop({ drainMs: 10_000 }));
  return {
    lookup: { lookup: (namespace, name) => controller.lookup(namespace, name) },
    connect: (next) => {
      tasks = next;
    },
    watches: () => watches,
  };
}

function startLetterWatches(
  { client, config, watchHooks }: OperatorParts,
  store: ReturnType<typeof createLetterStore>,
): Reflector[] {
  const namespaces = config.watchNamespaces ?? [undefined];
  return namespaces.map((namespace) =>
    startReflector({ client, resource: DEAD_LETTER, namespace, store, hooks: watchHooks }),
  );
}

function openProvider({ config, metrics, lifecycle, log }: OperatorParts): ProviderClient {
  const provider = createProviderClient({
    baseUrl: config.providerURL,
    proxy: config.httpsProxy === undefined ? undefined : { url: config.httpsProxy, except: config.noProxy },
    hooks: {
      onRequest: ({ operation, code, durationMs }) => {
        metrics.inc('captcha_operator_provider_requests_total', { operation, code });
        metrics.observe('captcha_operator_provider_request_duration_seconds', { operation }, durationMs / 1_000);
      },
      onPollByGet: () => log.warn('The provider takes polls by GET only; from now on URLs to it hold the API key'),
    },
  });
  lifecycle.onStop('provider client', 1_000, () => provider.close());
  return provider;
}

function taskPolicyOf(config: OperatorConfig): TaskPolicy {
  const { maxConcurrentSubmissions, pollIntervalMs, maxPollsPerSecond, unknownSubmissionGraceMs } = config;
  return {
    maxConcurrentSubmissions,
    pollIntervalMs,
    maxPollsPerSecond,
    unknownSubmissionGraceMs,
    rejectedKeysLimit: config.rejectedKeysLimit,
    callbackSilenceLimit: config.callbackSilenceLimit,
    defaultTtlSeconds: config.defaultTtlMs === 'never' ? undefined : config.defaultTtlMs / 1_000,
  };
}

function ownKeyOf(config: OperatorConfig): { file: string } | { value: string } | undefined {
  if (config.providerApiKeyFile !== undefined) return { file: config.providerApiKeyFile };
  return config.providerApiKey === undefined ? undefined : { value: config.providerApiKey };
}

/** Absent without `CALLBACK_URL`: then every task is polled. */
async function openMinter(parts: OperatorParts): Promise<PingbackMinter | undefined> {
  const { callbackURL, callbackKeysFile } = parts.config;
  if (callbackURL === undefined || callbackKeysFile === undefined) return undefined;
  const keys = await openCallbackKeys(parts, { path: callbackKeysFile });
  return createPingbackMinter({ callbackURL, keys });
}

/** Readiness belongs to the sidecar; the operator is ready whenever it runs, standby or not, API or not. */
async function openListeners(parts: OperatorParts, watches: Watches, calls: CallRecord): Promise<void> {
  registerWatchGauges(parts.metrics, watches);
  const live = checkWatches({ watches: () => signsOfLife(watches), calls, nowMs: () => performance.now() });
  await openProbes(parts, { live, ready: () => [], remarks: () => refusedWatches(watches) });
}
