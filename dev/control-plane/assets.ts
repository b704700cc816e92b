/**
 * Finds the binaries of a control plane, or makes them: `$KUBEBUILDER_ASSETS`, else the cache, else a download of the
 * envtest release, else a build with the local Go. The first that works is used, and each step says what it does.
 * Nothing is installed outside the cache.
 */
import { access, constants, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { buildFromModules } from './build.ts';
import { publishEntry, readEntry, withCacheLock, type CacheEntry, type EntryKind } from './cache.ts';
import { downloadEnvtest } from './download.ts';
import type { Log } from './progress.ts';
import { BINARIES, GO_VERSION, KUBERNETES_VERSION, cacheDirectory, cacheKey, type Binary } from './versions.ts';

/** Absolute paths of the binaries; `kubectl` where the source had it. */
export interface ControlPlaneAssets {
  etcd: string;
  kubeApiserver: string;
  kubectl?: string;
  /** Where they came from, for people. */
  origin: string;
}

export interface AssetOptions {
  log: Log;
  /** The process's environment. Read: KUBEBUILDER_ASSETS, CAPTCHA_OPERATOR_CACHE, CAPTCHA_OPERATOR_ENVTEST_INDEX, XDG_CACHE_HOME, HOME. */
  env: NodeJS.ProcessEnv;
}

/** Throws when nothing works; the error lists what was tried, why each failed, and the ways out. */
export async function ensureAssets({ log, env }: AssetOptions): Promise<ControlPlaneAssets> {
  const given = env['KUBEBUILDER_ASSETS'];
  if (given) return fromDirectory(given);
  const cache = cacheDirectory(env);
  const cached = await readEntry(cache, entryKind());
  if (cached) return toAssets(cached);
  await mkdir(cache, { recursive: true }).catch((error: Error) => {
    throw new Error(waysOut(cache, [`cache: ${error.message}`]), { cause: error });
  });
  return withCacheLock(cache, log, async () => toAssets(await makeEntry(cache, log, env)));
}

function entryKind(): EntryKind<Binary> {
  return { key: cacheKey(), binaries: BINARIES, optional: ['kubectl'] };
}

async function makeEntry(cache: string, log: Log, env: NodeJS.ProcessEnv): Promise<CacheEntry<Binary>> {
  // Whoever held the lock before may have made it.
  const madeMeanwhile = await readEntry(cache, entryKind());
  if (madeMeanwhile) return madeMeanwhile;
  const sources = [
    { name: 'download', fill: (directory: string) => downloadEnvtest(directory, log, env) },
    { name: 'build', fill: (directory: string) => buildFromModules(directory, log, env) },
  ];
  const failures: string[] = [];
  for (const { name, fill } of sources) {
    try {
      const entry = await publishEntry(cache, entryKind(), fill);
      log(`control plane ready in ${entry.directory} (${entry.origin})`);
      return entry;
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`);
      log(`${name} did not work: ${(error as Error).message}`);
    }
  }
  throw new Error(waysOut(cache, failures));
}

function waysOut(cache: string, failures: string[]): string {
  return [
    `no local control plane (Kubernetes ${KUBERNETES_VERSION}) could be found, downloaded or built:`,
    ...failures.map((failure) => `  - ${failure}`),
    'Any one of these helps:',
    '  - set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver (for example by setup-envtest),',
    `  - install Go ≥ ${GO_VERSION} and let it reach a module proxy (GOPROXY),`,
    '  - let this machine reach GitHub, or set HTTPS_PROXY, for the envtest release,',
    `  - copy a filled ${cache} from another machine of the same platform, or point CAPTCHA_OPERATOR_CACHE to a writable folder.`,
  ].join('\n');
}

async function fromDirectory(directory: string): Promise<ControlPlaneAssets> {
  const binaries: Partial<Record<Binary, string>> = {};
  for (const binary of BINARIES) {
    const path = join(directory, binary);
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) binaries[binary] = path;
  }
  const missing = (['etcd', 'kube-apiserver'] as const).filter((binary) => binaries[binary] === undefined);
  if (missing.length > 0) {
    throw new Error(
      `KUBEBUILDER_ASSETS is ${directory}, which has no executable ${missing.join(' and no ')}; correct or unset it`,
    );
  }
  return toAssets({ directory, origin: 'KUBEBUILDER_ASSETS', binaries });
}

function toAssets({ binaries, origin }: CacheEntry<Binary>): ControlPlaneAssets {
  const { etcd, 'kube-apiserver': kubeApiserver, kubectl } = binaries;
  if (etcd === undefined || kubeApiserver === undefined) throw new Error('an entry without etcd or kube-apiserver');
  return { etcd, kubeApiserver, origin, ...(kubectl === undefined ? {} : { kubectl }) };
}
