/**
 * Where the API server is and what proves who we are: in-cluster files, or a kubeconfig. Reads files only; makes no
 * connection. Whatever can change on disk (projected tokens, a rotated CA, client certificates) is read again while
 * requests are made, so nothing needs a restart. Secrets stay in the returned material: no error text carries them.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { AccessSource, Credentials } from './credentials.ts';
import { within } from './pause.ts';
import type { PluginSurroundings } from './kubeconfig.ts';

export interface Access {
  server: string;
  namespace: string | undefined;
  /** The newest credentials. */
  current(): CurrentCredentials;
  /**
   * To be asked after the server refused what `current` gave for that request. True when there are others now: calls
   * that were refused together cause one reading. The old ones stay when reading fails.
   */
  refresh(refused: CurrentCredentials): Promise<boolean>;
}

/** `serial` grows when the TLS part changed, and connections must be made anew. */
export type CurrentCredentials = Credentials & { serial: number };

export interface AccessHooks {
  /** The first failure in a row to read the credentials again; the text holds no secret. */
  onFault?(text: string): void;
}

export interface AccessEnvironment extends PluginSurroundings {
  /** `KUBECONFIG`: one path, or several separated by the platform's delimiter. */
  kubeconfigPath?: string | undefined;
  /** `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`, set in every pod. */
  serviceHost?: string | undefined;
  servicePort?: string | undefined;
  /** Where `~/.kube/config` is looked for. */
  homeDirectory?: string | undefined;
  /** Where the pod's ServiceAccount is mounted, if not at the usual place. */
  serviceAccountDirectory?: string | undefined;
  hooks?: AccessHooks | undefined;
}

/** A kubelet refreshes projected files within about a minute, and tokens stay valid for some minutes after. */
const REREAD_AFTER_MS = 10_000;
/** Files need milliseconds; plugins may ask a service far away. */
const READ_TIMEOUT_MS = 30_000;
/** Credentials that are refused still, right after they were read anew, are not read once more by every call. */
const REFUSED_AGAIN_MS = 1_000;
const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * Finds the API server: `KUBECONFIG`, else the pod's own ServiceAccount, else `~/.kube/config`.
 * @throws Error with a text for people when nothing is found or a file cannot be read; contents are never quoted.
 */
export async function loadAccess(environment: AccessEnvironment): Promise<Access> {
  return createAccess(await findSource(environment), { hooks: environment.hooks });
}

async function findSource(environment: AccessEnvironment): Promise<AccessSource> {
  const { kubeconfigPath, serviceHost } = environment;
  if (kubeconfigPath !== undefined && kubeconfigPath !== '') return kubeconfigSource(kubeconfigPath, environment);
  if (serviceHost !== undefined && serviceHost !== '') return inClusterSource(environment);
  return kubeconfigSource(join(environment.homeDirectory ?? homedir(), '.kube', 'config'), environment);
}

/** Loaded where it is needed only: no pod has a kubeconfig, and what reads one takes 1 to 2 MB. */
async function kubeconfigSource(paths: string, environment: AccessEnvironment): Promise<AccessSource> {
  const { loadKubeconfig } = await import('./kubeconfig.ts');
  return loadKubeconfig(paths, environment);
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

export interface AccessOptions {
  readTimeoutMs?: number;
  hooks?: AccessHooks | undefined;
}

/** Keeps the newest credentials of a source; a re-read starts in the background when requests ask after 10 s. */
export async function createAccess(
  source: AccessSource,
  { readTimeoutMs = READ_TIMEOUT_MS, hooks }: AccessOptions = {},
): Promise<Access> {
  let current: CurrentCredentials = { ...(await readWithin(source, false, readTimeoutMs)), serial: 1 };
  let readAtMs = performance.now();
  let reading: Promise<void> | undefined;
  let failing = false;
  /** When the current credentials were refused, and read again for it. */
  let refusedAtMs = -Infinity;
  const isOther = ({ authorization, serial }: CurrentCredentials): boolean =>
    authorization !== current.authorization || serial !== current.serial;

  const readAgain = async (rejected: boolean): Promise<void> => {
    readAtMs = performance.now();
    // A file that is being replaced reads as missing or torn for an instant; the old credentials still work then.
    const fresh = await readWithin(source, rejected, readTimeoutMs).catch((error: Error) => error);
    if (fresh instanceof Error) {
      if (!failing) hooks?.onFault?.(fresh.message);
      failing = true;
      return;
    }
    failing = false;
    const before = current;
    const isSameTls = JSON.stringify(fresh.tls) === JSON.stringify(before.tls);
    current = { ...fresh, serial: isSameTls ? before.serial : before.serial + 1 };
    if (isOther(before)) refusedAtMs = -Infinity;
  };
  const startReading = (rejected: boolean): Promise<void> => {
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
      return current;
    },
    async refresh(refused) {
      await reading;
      if (isOther(refused)) return true;
      if (performance.now() - refusedAtMs < REFUSED_AGAIN_MS) return false;
      refusedAtMs = performance.now();
      await startReading(true);
      return isOther(refused);
    },
  };
}

async function readWithin(source: AccessSource, rejected: boolean, timeoutMs: number): Promise<Credentials> {
  const credentials = await within(source.read(rejected), timeoutMs);
  if (credentials === undefined) throw new Error(`credentials could not be read within ${timeoutMs / 1_000} s`);
  return credentials;
}
