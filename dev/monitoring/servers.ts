/**
 * A real Prometheus and a real Alertmanager beside local processes: scrapes the given pages, evaluates the given rules,
 * sends alerts to a webhook where there is one. Both programs are found on the PATH (Debian packages `prometheus` and
 * `prometheus-alertmanager`); without them it says what to install. Loopback only, scratch directory of its own,
 * nothing outlives the parent.
 */
import { access, constants, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { stringify } from 'yaml';

import { spawnGuarded, type GuardedProcess } from '../control-plane/guard.ts';
import { freePorts } from '../control-plane/ports.ts';

export interface ScrapeTarget {
  /** `host:port` of a `/metrics` page. */
  address: string;
  /** Becomes the label `instance`: `operator-0`. */
  name: string;
}

export interface MonitoringOptions {
  targets: readonly ScrapeTarget[];
  /** A plain Prometheus rule file. */
  rules: string;
  /** Where Alertmanager posts alerts; it only shows them where absent. */
  webhookURL?: string;
  /** Between scrapes and between evaluations; default 5,000 ms. */
  intervalMs?: number;
  /** The PATH to search. */
  path: string;
}

/** One sample of an instant query. `value` may be NaN. */
export interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

export interface Monitoring {
  readonly prometheusURL: string;
  readonly alertmanagerURL: string;
  /** An instant query, at `atSeconds` (epoch; default now). Throws with Prometheus' own message. */
  query(expr: string, atSeconds?: number): Promise<Sample[]>;
  stop(): Promise<void>;
}

const READY_TIMEOUT_MS = 30_000;
const KILL_AFTER_MS = 5_000;

/** Throws a sentence for people when a program is missing or does not come up. */
export async function startMonitoring(options: MonitoringOptions): Promise<Monitoring> {
  const prometheus = await findProgram(['prometheus'], options.path);
  const alertmanager = await findProgram(['alertmanager', 'prometheus-alertmanager'], options.path);
  const directory = await mkdtemp(join(tmpdir(), 'captcha-monitoring-'));
  const [prometheusPort = 0, alertmanagerPort = 0] = await freePorts(2);
  const started: GuardedProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map(end));
    await rm(directory, { recursive: true, force: true });
  };
  const prometheusURL = `http://127.0.0.1:${prometheusPort}`;
  const alertmanagerURL = `http://127.0.0.1:${alertmanagerPort}`;
  try {
    await writeConfiguration(directory, options, alertmanagerPort);
    const settings = { output: 'pipe', scratch: directory } as const;
    started.push(
      spawnGuarded('alertmanager', alertmanagerCommand(alertmanager, directory, alertmanagerPort), settings),
      spawnGuarded('prometheus', prometheusCommand(prometheus, directory, prometheusPort), settings),
    );
    const logs = started.map(collectOutput);
    await Promise.all([
      ready(`${alertmanagerURL}/-/ready`, started[0], logs[0]),
      ready(`${prometheusURL}/-/ready`, started[1], logs[1]),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { prometheusURL, alertmanagerURL, stop, query: (expr, at) => query(prometheusURL, expr, at) };
}

async function findProgram(names: readonly string[], path: string): Promise<string> {
  for (const directory of path.split(delimiter)) {
    for (const name of names) {
      const file = join(directory, name);
      const found = await access(file, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return file;
    }
  }
  throw new Error(
    `${names[0]} is not on the PATH. Install it (Debian: apt-get install prometheus prometheus-alertmanager; ` +
      'others: https://prometheus.io/download/) and try again.',
  );
}

async function writeConfiguration(
  directory: string,
  options: MonitoringOptions,
  alertmanagerPort: number,
): Promise<void> {
  const interval = `${options.intervalMs ?? 5_000}ms`;
  const targets = options.targets.map(({ address, name }) => ({ targets: [address], labels: { instance: name } }));
  await mkdir(join(directory, 'prometheus'));
  await mkdir(join(directory, 'alertmanager'));
  await writeFile(join(directory, 'rules.yaml'), options.rules);
  await writeFile(
    join(directory, 'prometheus.yaml'),
    stringify({
      global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
      rule_files: ['rules.yaml'],
      alerting: { alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${alertmanagerPort}`] }] }] },
      scrape_configs: [{ job_name: 'captcha-operator', static_configs: targets }],
    }),
  );
  const webhook = options.webhookURL === undefined ? {} : { webhook_configs: [{ url: options.webhookURL }] };
  await writeFile(
    join(directory, 'alertmanager.yaml'),
    stringify({
      route: {
        receiver: 'people',
        group_by: ['alertname'],
        group_wait: interval,
        group_interval: interval,
        repeat_interval: '1h',
      },
      receivers: [{ name: 'people', ...webhook }],
    }),
  );
}

function prometheusCommand(program: string, directory: string, port: number): string[] {
  return [
    program,
    `--config.file=${join(directory, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(directory, 'prometheus')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=warn',
  ];
}

function alertmanagerCommand(program: string, directory: string, port: number): string[] {
  return [
    program,
    `--config.file=${join(directory, 'alertmanager.yaml')}`,
    `--storage.path=${join(directory, 'alertmanager')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    // One instance: no gossip, no open port for it.
    '--cluster.listen-address=',
    '--log.level=warn',
  ];
}

const KEPT_OUTPUT = 4_000;

function collectOutput(guarded: GuardedProcess): () => string {
  let text = '';
  for (const stream of [guarded.child.stdout, guarded.child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-KEPT_OUTPUT);
    });
  }
  return () => text;
}

async function ready(url: string, guarded: GuardedProcess | undefined, log: (() => string) | undefined): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline && guarded?.running() === true) {
    const answered = await fetch(url, { signal: AbortSignal.timeout(1_000) }).then(
      async (reply) => {
        await reply.arrayBuffer();
        return reply.ok;
      },
      () => false,
    );
    if (answered) return;
    await delay(100);
  }
  throw new Error(`${guarded?.name ?? 'a program'} did not come up. Its last words:\n${log?.() ?? ''}`);
}

async function end(guarded: GuardedProcess): Promise<void> {
  guarded.kill('SIGTERM');
  const killer = setTimeout(() => guarded.kill('SIGKILL'), KILL_AFTER_MS);
  await guarded.ended;
  clearTimeout(killer);
}

interface QueryReply {
  status: string;
  error?: string;
  data?: { resultType: string; result: unknown };
}

async function query(base: string, expr: string, atSeconds?: number): Promise<Sample[]> {
  const parameters = new URLSearchParams({ query: expr });
  if (atSeconds !== undefined) parameters.set('time', String(atSeconds));
  const reply = await fetch(`${base}/api/v1/query?${parameters}`, { signal: AbortSignal.timeout(10_000) });
  const body = (await reply.json()) as QueryReply;
  if (body.status !== 'success' || body.data === undefined) throw new Error(`${expr}: ${body.error ?? reply.status}`);
  if (body.data.resultType === 'scalar') {
    const [, value] = body.data.result as [number, string];
    return [{ labels: {}, value: Number(value) }];
  }
  const vector = body.data.result as { metric: Record<string, string>; value: [number, string] }[];
  return vector.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}
