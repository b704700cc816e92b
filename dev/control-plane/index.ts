/**
 * A real Kubernetes API on this machine: etcd and kube-apiserver on free loopback ports with an empty data directory,
 * RBAC on, and a kubeconfig for every identity that needs one. No kubelet, scheduler or controller manager: objects are
 * stored, validated and watched, but no pods run and nothing is garbage collected.
 *
 * Whoever starts one calls `stop()`; when the process dies before that, in whatever way, the servers and their
 * directory go with it (guard.ts).
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ControlPlaneAssets } from './assets.ts';
import type { GuardedProcess } from './guard.ts';
import { prepareAudit, readAudit, type AuditedRequest } from './audit.ts';
import {
  ADMINISTRATOR,
  GATEWAY,
  OPERATOR,
  writeKubeconfig,
  writeTokens,
  type Identity,
  type Tokens,
} from './identities.ts';
import { freePorts } from './ports.ts';
import { withProgress, type Log } from './progress.ts';
import { PortTaken, caFile, serverURL, startApiServer, startEtcd, type Layout } from './servers.ts';

export type { AuditedRequest } from './audit.ts';
export { createAdmin, createProxiedAdmin, messageOf, objectOf, type Admin, type AdminReply } from './admin.ts';
export { ensureAssets, type AssetOptions, type ControlPlaneAssets } from './assets.ts';
export { ADMINISTRATOR, GATEWAY, OPERATOR, serviceAccount, type Identity } from './identities.ts';
export { applyManifests, installGateway, installOperator } from './install.ts';

const PORT_TRIES = 5;

export interface ControlPlaneOptions {
  assets: ControlPlaneAssets;
  log: Log;
  /** Identities besides ADMINISTRATOR, OPERATOR and GATEWAY. The API server learns them at its start only. */
  identities?: readonly Identity[];
  /** Whether the API server keeps a record of requests, for `auditOf`. Default false. */
  audit?: boolean;
}

export interface ControlPlane {
  /** `https://127.0.0.1:<port>`; the same after a restart of the API server. */
  serverURL: string;
  /** PEM file that verifies the server. */
  caFile: string;
  /** Path of the administrator's kubeconfig: for tooling and tests only. */
  adminKubeconfig: string;
  /** Path of the kubeconfig of OPERATOR, of GATEWAY or of one of `options.identities`. Throws for any other. */
  kubeconfigFor(identity: Identity): Promise<string>;
  /** The bearer token of such an identity. */
  tokenOf(identity: Identity): string;
  /** What an identity asked for so far; throws where `options.audit` was not set. */
  auditOf(identity: Identity): Promise<AuditedRequest[]>;
  pids(): { etcd: number; kubeApiserver: number };
  /** Ends the API server, by default without warning (SIGKILL); etcd and the data stay. */
  stopApiServer(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and resolves when it is ready. */
  startApiServer(): Promise<void>;
  /** Keeps a copy of what is stored now. Both servers are down meanwhile. */
  saveStorage(): Promise<void>;
  /** Kills both servers, puts the copy back and starts them: a cluster restored from its backup. */
  putStorageBack(): Promise<void>;
  /** Ends both servers and removes the directory. May be called twice. */
  stop(): Promise<void>;
}

/** Resolves when the API server is ready: about 2 s on an idle machine. Throws with the server's last log lines. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  return withProgress(options.log, `starting etcd and kube-apiserver (${options.assets.origin})`, async () => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await startOnce(options);
      } catch (error) {
        if (!(error instanceof PortTaken) || tries === PORT_TRIES) throw error;
        options.log(`${error.message}; trying other ports`);
      }
    }
  });
}

async function startOnce({ assets, identities = [], audit = false }: ControlPlaneOptions): Promise<ControlPlane> {
  const directory = await mkdtemp(join(tmpdir(), 'captcha-control-plane-'));
  const started: GuardedProcess[] = [];
  try {
    const [etcdPort = 0, etcdPeerPort = 0, apiPort = 0] = await freePorts(3);
    const name = `local-${randomBytes(6).toString('hex')}`;
    const apiServerFlags = audit ? await prepareAudit(directory) : [];
    const layout: Layout = { directory, name, etcdPort, etcdPeerPort, apiPort, apiServerFlags };
    await writeServiceAccountKeys(directory);
    const tokens = await writeTokens(join(directory, 'tokens.csv'), [ADMINISTRATOR, OPERATOR, GATEWAY, ...identities]);
    const etcd = await startEtcd(assets.etcd, layout);
    started.push(etcd);
    const apiServer = await startApiServer(assets.kubeApiserver, layout, tokens.get(ADMINISTRATOR.user) ?? '');
    started.push(apiServer);
    return await handle({ assets, layout, tokens, etcd, apiServer });
  } catch (error) {
    await endAll(started, directory);
    throw error;
  }
}

/** The pair that the API server signs and checks ServiceAccount tokens with. */
async function writeServiceAccountKeys(directory: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = privateKey.export({ type: 'sec1', format: 'pem' });
  await writeFile(join(directory, 'service-account.key'), pem, { mode: 0o600 });
  await writeFile(join(directory, 'service-account.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
}

async function endAll(processes: GuardedProcess[], directory: string): Promise<void> {
  // Nothing of theirs is kept, so there is nothing to shut down gracefully.
  for (const process of processes) process.kill('SIGKILL');
  await Promise.all(processes.map((process) => process.ended));
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

interface Parts {
  assets: ControlPlaneAssets;
  layout: Layout;
  tokens: Tokens;
  etcd: GuardedProcess;
  apiServer: GuardedProcess;
}

async function handle(parts: Parts): Promise<ControlPlane> {
  const { assets, layout, tokens } = parts;
  let { apiServer, etcd } = parts;
  const tokenOf = (identity: Identity): string => {
    const token = tokens.get(identity.user);
    if (token === undefined)
      throw new Error(`${identity.user} is not among the identities this control plane started with`);
    return token;
  };
  const cluster = { serverURL: serverURL(layout), caFile: caFile(layout) };
  const kubeconfigFor = (identity: Identity): Promise<string> =>
    writeKubeconfig(layout.directory, cluster, identity.user, tokenOf(identity));
  const whileDown = async (act: () => Promise<void>): Promise<void> => {
    for (const server of [apiServer, etcd]) {
      server.kill('SIGKILL');
      await server.ended;
    }
    await act();
    etcd = await startEtcd(assets.etcd, layout);
    apiServer = await startApiServer(assets.kubeApiserver, layout, tokenOf(ADMINISTRATOR));
  };
  const data = join(layout.directory, 'etcd');
  const saved = join(layout.directory, 'etcd-saved');
  return {
    ...cluster,
    adminKubeconfig: await kubeconfigFor(ADMINISTRATOR),
    kubeconfigFor,
    tokenOf,
    auditOf: (identity) => readAudit(layout.directory, identity),
    pids: () => ({ etcd: etcd.pid, kubeApiserver: apiServer.pid }),
    stopApiServer: async (signal = 'SIGKILL') => {
      apiServer.kill(signal);
      await apiServer.ended;
    },
    startApiServer: async () => {
      if (apiServer.running()) return;
      apiServer = await startApiServer(assets.kubeApiserver, layout, tokenOf(ADMINISTRATOR));
    },
    saveStorage: () => whileDown(() => cp(data, saved, { recursive: true })),
    putStorageBack: () =>
      whileDown(async () => {
        await rm(data, { recursive: true });
        await cp(saved, data, { recursive: true });
      }),
    stop: () => endAll([apiServer, etcd], layout.directory),
  };
}
