/**
 * Where the API server is and what proves who we are: in-cluster files, or a kubeconfig. Reads files only; makes no
 * connection. Whatever can change on disk (projected tokens, a rotated CA, client certificates) is read again while
 * requests are made, so nothing needs a restart. Secrets stay in the returned material: no error text carries them.
 * Called once by each process in `bin/`; used by `transport.ts`.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { AccessSource, Credentials } from './credentials.ts';
import { loadKubeconfig } from './kubeconfig.ts';

export interface Access {
  server: string;
  namespace: string | undefined;
  /** The newest credentials. `serial` grows when the TLS part changed, and connections must be made anew. */
  current(): Credentials & { serial: number };
  /** Reads again after the server refused the credentials. True when they changed; the old ones stay when reading fails. */
  refresh(): Promise<boolean>;
}

export interface AccessEnvironment {
  /** `KUBECONFIG`: one path, or several separated by the platform's delimiter. */
  kubeconfigPath?: string | undefined;
  /** `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`, set in every pod. */
  serviceHost?: string | undefined;
  servicePort?: string | undefined;
  /** Where `~/.kube/config` is looked for. */
  homeDirectory?: string | undefined;
  /** For tests. */
  serviceAccountDirectory?: string | undefined;
}

/** A kubelet refreshes projected files within about a minute, and tokens stay valid for some minutes after. */
const REREAD_AFTER_MS = 10_000;
const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * Finds the API server: `KUBECONFIG`, else the pod's own ServiceAccount, else `~/.kube/config`.
 * @throws Error with a text for people when nothing is found or a file cannot be read; contents are never quoted.
 */
export async function loadAccess(environment: AccessEnvironment): Promise<Access> {
  return createAccess(await findSource(environment));
}

async function findSource(environment: AccessEnvironment): Promise<AccessSource> {
  const { kubeconfigPath, serviceHost } = environment;
  if (kubeconfigPath !== undefined && kubeconfigPath !== '') return loadKubeconfig(kubeconfigPath);
  if (serviceHost !== undefined && serviceHost !== '') return inClusterSource(environment);
  return loadKubeconfig(join(environment.homeDirectory ?? homedir(), '.kube', 'config'));
}

async function inClusterSource(environment: AccessEnvironment): Promise<AccessSource> {
  const { serviceHost = '', servicePort = '443', serviceAccountDirectory = SERVICE_ACCOUNT_DIRECTORY } = environment;
  const host = serviceHost.includes(':') ? `[${serviceHost}]` : serviceHost;
  const namespace = await readFile(join(serviceAccountDirectory, 'namespace'), 'utf8').catch(() => '');
  return {
    server: `https://${host}:${servicePort}`,
    namespace: namespace.trim() || undefined,
    read: async () => {
      const [token, ca] = await Promise.all([
        readFile(join(serviceAccountDirectory, 'token'), 'utf8'),
        readFile(join(serviceAccountDirectory, 'ca.crt'), 'utf8'),
      ]);
      return { authorization: `Bearer ${token.trim()}`, tls: { ca } };
    },
  };
}

/** Keeps the newest credentials of a source; a re-read starts in the background when requests ask after 10 s. */
export async function createAccess(source: AccessSource): Promise<Access> {
  let credentials = await source.read(false);
  let fingerprint = JSON.stringify(credentials.tls);
  let serial = 1;
  let readAtMs = performance.now();
  let reading: Promise<boolean> | undefined;

  const readAgain = async (rejected: boolean): Promise<boolean> => {
    readAtMs = performance.now();
    // A file that is being replaced reads as missing or torn for an instant; the old credentials still work then.
    const fresh = await source.read(rejected).catch(() => undefined);
    if (fresh === undefined) return false;
    const freshFingerprint = JSON.stringify(fresh.tls);
    const changed = freshFingerprint !== fingerprint || fresh.authorization !== credentials.authorization;
    if (freshFingerprint !== fingerprint) serial++;
    fingerprint = freshFingerprint;
    credentials = fresh;
    return changed;
  };
  const startReading = (rejected: boolean) => {
    reading ??= readAgain(rejected).finally(() => {
      reading = undefined;
    });
    return reading;
  };

  return {
    server: source.server,
    namespace: source.namespace,
    current: () => {
      if (performance.now() - readAtMs > REREAD_AFTER_MS) void startReading(false);
      return { authorization: credentials.authorization, tls: credentials.tls, serial };
    },
    refresh: () => startReading(true),
  };
}
