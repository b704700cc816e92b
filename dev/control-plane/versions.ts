/**
 * Which control plane this project develops and tests against, on which platform, and where its binaries are kept.
 * The versions here, in `modules/go.mod` and in the cache's folder names move together. Reads no environment itself.
 */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

export const KUBERNETES_VERSION = '1.36.3';
/** The version that Kubernetes' own go.mod pins. */
export const ETCD_VERSION = '3.6.8';
export const GO_VERSION = '1.26';

/** kubectl is missing where a source has none. */
export const BINARIES = ['etcd', 'kube-apiserver', 'kubectl'] as const;
export type Binary = (typeof BINARIES)[number];

/** The public list of envtest archives with their SHA-512 sums; `CAPTCHA_OPERATOR_ENVTEST_INDEX` replaces it. */
export const ENVTEST_INDEX_URL =
  'https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml';

/** Platform as Go and envtest write it, e.g. `linux-amd64`. */
export function platform(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  return `${os}-${arch}`;
}

/** The per-user cache: `CAPTCHA_OPERATOR_CACHE`, else `$XDG_CACHE_HOME/captcha-operator`, else `~/.cache/…`. */
export function cacheDirectory(env: NodeJS.ProcessEnv): string {
  if (env['CAPTCHA_OPERATOR_CACHE']) return env['CAPTCHA_OPERATOR_CACHE'];
  const xdg = env['XDG_CACHE_HOME'];
  // The XDG specification says to ignore relative paths.
  const base = xdg && isAbsolute(xdg) ? xdg : join(env['HOME'] || homedir(), '.cache');
  return join(base, 'captcha-operator');
}

/** One folder for each version and platform, so that an upgrade never meets old binaries. */
export function cacheKey(): string {
  return `kubernetes-${KUBERNETES_VERSION}-etcd-${ETCD_VERSION}-${platform()}`;
}
