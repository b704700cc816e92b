/**
 * etcd and kube-apiserver as child processes: their flags, their logs, and when they count as ready. A server that
 * ends or is not ready in time becomes an error with its last log lines. Decides nothing about restarts.
 */
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { Agent, request } from 'undici';

import { spawnGuarded, type GuardedProcess } from './guard.ts';

/** Generous: a loaded machine with two cores may need half a minute where an idle one needs two seconds. */
const READY_TIMEOUT_MS = 90_000;
const READY_POLL_MS = 50;

export interface Layout {
  /** Scratch directory of this control plane: data, certificates, tokens, kubeconfigs, logs. */
  directory: string;
  /** Unique name, by which a server is recognised as ours. */
  name: string;
  etcdPort: number;
  etcdPeerPort: number;
  apiPort: number;
  /** Flags of kube-apiserver besides the usual ones. */
  apiServerFlags: readonly string[];
}

/** Another process took a port between the search and the bind: start again with other ports. */
export class PortTaken extends Error {}

export function etcdURL(layout: Layout): string {
  return `http://127.0.0.1:${layout.etcdPort}`;
}

export function serverURL(layout: Layout): string {
  return `https://127.0.0.1:${layout.apiPort}`;
}

/** kube-apiserver makes its own certificate here; clients verify with the same file. */
export function caFile(layout: Layout): string {
  return join(layout.directory, 'certs', 'apiserver.crt');
}

/** Starts etcd with an empty data directory and waits until it answers under our name. */
export async function startEtcd(program: string, layout: Layout): Promise<GuardedProcess> {
  const peer = `http://127.0.0.1:${layout.etcdPeerPort}`;
  const command = [
    program,
    `--name=${layout.name}`,
    `--data-dir=${join(layout.directory, 'etcd')}`,
    `--listen-client-urls=${etcdURL(layout)}`,
    `--advertise-client-urls=${etcdURL(layout)}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=${layout.name}=${peer}`,
    // The data dies with the process anyway.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
  const etcd = startServer('etcd', command, layout);
  await waitReady(etcd, layout, async () => {
    const reply = await request(`${etcdURL(layout)}/v3/cluster/member/list`, { method: 'POST', body: '{}' });
    const text = await reply.body.text();
    return text.includes(`"${layout.name}"`) ? undefined : `member list answered ${reply.statusCode}`;
  });
  return etcd;
}

/** Starts kube-apiserver on the layout's port and waits until it is ready to serve `token`'s owner. */
export async function startApiServer(program: string, layout: Layout, token: string): Promise<GuardedProcess> {
  const apiServer = startServer('kube-apiserver', [program, ...apiServerFlags(layout)], layout);
  await waitReady(apiServer, layout, async () => {
    // Read anew at every look: the first one may find it half written, with the certificate and without its issuer.
    const dispatcher = new Agent({ connect: { ca: await readFile(caFile(layout), 'utf8') } });
    try {
      return await unreadyReason(serverURL(layout), { dispatcher, headers: { authorization: `Bearer ${token}` } });
    } finally {
      await dispatcher.destroy();
    }
  });
  return apiServer;
}

async function unreadyReason(
  url: string,
  options: { dispatcher: Agent; headers: { authorization: string } },
): Promise<string | undefined> {
  const ready = await request(`${url}/readyz?verbose`, options);
  if (ready.statusCode !== 200) return unreadyChecks(await ready.body.text(), ready.statusCode);
  await ready.body.dump();
  // Made a moment after readiness; without it the first namespaced request would be refused.
  const home = await request(`${url}/api/v1/namespaces/default`, options);
  await home.body.dump();
  return home.statusCode === 200 ? undefined : 'the namespace "default" does not exist yet';
}

function apiServerFlags(layout: Layout): string[] {
  const file = (name: string): string => join(layout.directory, name);
  return [
    `--etcd-servers=${etcdURL(layout)}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${layout.apiPort}`,
    `--cert-dir=${file('certs')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('service-account.pub')}`,
    `--service-account-signing-key-file=${file('service-account.key')}`,
    `--token-auth-file=${file('tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.0.0.0/24',
    // No controller manager runs here that would create the default ServiceAccounts which this plugin waits for.
    '--disable-admission-plugins=ServiceAccount',
    '--allow-privileged=true',
    ...layout.apiServerFlags,
  ];
}

function startServer(name: string, command: string[], layout: Layout): GuardedProcess {
  const output = openSync(logFile(name, layout), 'a', 0o600);
  try {
    // Either guard removes the scratch directory when this process dies without doing so.
    return spawnGuarded(name, command, { output, scratch: layout.directory });
  } finally {
    closeSync(output);
  }
}

function logFile(name: string, layout: Layout): string {
  return join(layout.directory, `${name}.log`);
}

/** Names the checks that fail, from the verbose readiness page. */
function unreadyChecks(page: string, status: number): string {
  const failing = page.split('\n').filter((line) => line.startsWith('[-]'));
  return `/readyz answered ${status}${failing.length > 0 ? `: ${failing.join(' ')}` : ''}`;
}

/** Asks `check` until it returns undefined; its text, or the error it throws, says why the server is not ready. */
async function waitReady(
  server: GuardedProcess,
  layout: Layout,
  check: () => Promise<string | undefined>,
): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  let why: string | undefined = 'not asked yet';
  while (server.running() && performance.now() < deadlineMs) {
    why = await check().catch((error: Error & { code?: string }) => error.code ?? error.message);
    if (why === undefined && server.running()) return;
    await Promise.race([delay(READY_POLL_MS), server.ended]);
  }
  const ended = !server.running();
  server.kill('SIGKILL');
  const tail = (await readFile(logFile(server.name, layout), 'utf8').catch(() => ''))
    .trim()
    .split('\n')
    .slice(-10)
    .join('\n');
  if (ended && /address already in use/.test(tail))
    throw new PortTaken(`${server.name} lost its port to another process`);
  const what = ended ? `ended while starting` : `was not ready after ${READY_TIMEOUT_MS / 1_000} s (${why})`;
  throw new Error(`${server.name} ${what}; its last words:\n${tail}`);
}
