/**
 * What a node runs, from pinned Go modules (`modules/`): the rest of Kubernetes, containerd, the network plugins, CoreDNS
 * and an enforcer of NetworkPolicies. Built once with the local Go and kept in the cache of the local control plane, one
 * entry for each family, so that a new version builds its own family only. Cold it takes twenty minutes of one core.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AssetOptions } from '../control-plane/assets.ts';
import { buildPrograms, type Program } from '../control-plane/build.ts';
import { publishEntry, readEntry, withCacheLock, type EntryKind } from '../control-plane/cache.ts';
import { KUBERNETES_VERSION, cacheDirectory, platform } from '../control-plane/versions.ts';

interface Family {
  name: string;
  version: string;
  /** By the file that each becomes: its package. */
  programs: Readonly<Record<string, string>>;
  /** Folder below `modules`. */
  modules: string;
  stamps?: Readonly<Record<string, string>>;
  tags?: readonly string[];
}

const CONTAINERD_VERSION = '2.2.5';
const STAMP = 'k8s.io/component-base/version.git';
const [MAJOR = '', MINOR = ''] = KUBERNETES_VERSION.split('.');
const KUBERNETES = 'k8s.io/kubernetes/cmd';
const CONTAINERD = 'github.com/containerd/containerd/v2';
const CNI = 'github.com/containernetworking/plugins/plugins';

/** The versions are those of each go.mod; a contract test compares them. */
export const FAMILIES: readonly Family[] = [
  {
    name: 'kubernetes',
    version: KUBERNETES_VERSION,
    programs: {
      kubelet: `${KUBERNETES}/kubelet`,
      'kube-proxy': `${KUBERNETES}/kube-proxy`,
      'kube-scheduler': `${KUBERNETES}/kube-scheduler`,
      'kube-controller-manager': `${KUBERNETES}/kube-controller-manager`,
    },
    modules: 'kubernetes',
    stamps: { [`${STAMP}Version`]: `v${KUBERNETES_VERSION}`, [`${STAMP}Major`]: MAJOR, [`${STAMP}Minor`]: MINOR },
  },
  {
    name: 'containerd',
    version: CONTAINERD_VERSION,
    programs: {
      containerd: `${CONTAINERD}/cmd/containerd`,
      'containerd-shim-runc-v2': `${CONTAINERD}/cmd/containerd-shim-runc-v2`,
      ctr: `${CONTAINERD}/cmd/ctr`,
    },
    modules: 'containerd',
    stamps: { [`${CONTAINERD}/version.Version`]: `v${CONTAINERD_VERSION}` },
    tags: ['no_btrfs', 'no_zfs', 'no_devmapper', 'no_aufs'],
  },
  {
    name: 'cni',
    version: '1.9.1',
    programs: {
      bridge: `${CNI}/main/bridge`,
      loopback: `${CNI}/main/loopback`,
      'host-local': `${CNI}/ipam/host-local`,
    },
    modules: 'cni',
  },
  { name: 'pause', version: '1', programs: { pause: '.' }, modules: 'pause' },
  { name: 'coredns', version: '1.14.7', programs: { coredns: '.' }, modules: 'coredns' },
  {
    name: 'kube-router',
    version: '2.1.0',
    programs: { 'kube-router': 'github.com/cloudnativelabs/kube-router/v2/cmd/kube-router' },
    modules: 'policies',
  },
];

/** By name: the absolute path of each program. Throws with the reason when one cannot be built. */
export async function ensureNodePrograms({ log, env }: AssetOptions): Promise<ReadonlyMap<string, string>> {
  const cache = cacheDirectory(env);
  await mkdir(cache, { recursive: true });
  const found = new Map<string, string>();
  for (const family of FAMILIES) {
    const kind = kindOf(family);
    const fill = (directory: string): Promise<string> => buildPrograms(programsOf(family), { directory, log, env });
    const make = async (): Promise<Partial<Record<string, string>>> =>
      // Whoever held the lock before may have made it.
      ((await readEntry(cache, kind)) ?? (await publishEntry(cache, kind, fill))).binaries;
    const binaries = (await readEntry(cache, kind))?.binaries ?? (await withCacheLock(cache, log, make));
    for (const [name, path] of Object.entries(binaries)) if (path !== undefined) found.set(name, path);
  }
  return found;
}

/** Whether all of it is in the cache already, so that a caller with little time can say that it is not. */
export async function hasNodePrograms(env: NodeJS.ProcessEnv): Promise<boolean> {
  const entries = await Promise.all(FAMILIES.map((family) => readEntry(cacheDirectory(env), kindOf(family))));
  return entries.every((entry) => entry !== undefined);
}

function kindOf({ name, version, programs }: Family): EntryKind<string> {
  return { key: `node-${name}-${version}-${platform()}`, binaries: Object.keys(programs) };
}

function programsOf({ programs, version, modules, stamps, tags }: Family): Program[] {
  const folder = join(fileURLToPath(new URL('.', import.meta.url)), 'modules', modules);
  return Object.entries(programs).map(([binary, path]) => ({
    binary,
    version,
    path,
    modules: folder,
    ...(stamps === undefined ? {} : { stamps }),
    ...(tags === undefined ? {} : { tags }),
  }));
}
