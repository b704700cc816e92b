/**
 * Two Debian trees for the node, from a Debian mirror: `base`, minimal, of which the base image is made where no registry
 * answers, and `node`, the same with what a node needs beside its daemons (runc, iptables, buildah). Installs nothing on
 * this machine: debootstrap itself is unpacked. Made once, kept in the cache.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AssetOptions } from '../control-plane/assets.ts';
import { publishEntry, readEntry, withCacheLock, type EntryKind } from '../control-plane/cache.ts';
import { withProgress } from '../control-plane/progress.ts';
import { cacheDirectory, platform } from '../control-plane/versions.ts';
import { run } from '../command.ts';

const SUITE = 'trixie';
/** Another number where the packages below change. */
const EDITION = 1;
const PACKAGES =
  'nftables iptables ipset conntrack runc buildah netavark iproute2 procps ca-certificates kmod socat util-linux';
const PUBLIC_MIRROR = 'https://deb.debian.org/debian';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The list of packages stands for the trees in the cache's manifest: it is written last. */
const KIND: EntryKind<'packages'> = { key: `node-debian-${SUITE}-${EDITION}-${platform()}`, binaries: ['packages'] };

export interface DebianTrees {
  base: string;
  node: string;
}

/** Needs root and apt. Throws with the last words of what did not work. */
export async function ensureDebian({ log, env }: AssetOptions): Promise<DebianTrees> {
  const cache = cacheDirectory(env);
  await mkdir(cache, { recursive: true });
  const fill = (directory: string): Promise<string> =>
    withProgress(log, `unpacking Debian ${SUITE} for the node`, () => unpack(directory));
  const entry =
    (await readEntry(cache, KIND)) ??
    (await withCacheLock(cache, log, async () => {
      // Whoever held the lock before may have made it.
      return (await readEntry(cache, KIND)) ?? (await publishEntry(cache, KIND, fill));
    }));
  return { base: join(entry.directory, 'base'), node: join(entry.directory, 'node') };
}

/** Whether they are there already. */
export async function hasDebian(env: NodeJS.ProcessEnv): Promise<boolean> {
  return (await readEntry(cacheDirectory(env), KIND)) !== undefined;
}

async function unpack(directory: string): Promise<string> {
  const [base, node, tool] = ['base', 'node', 'debootstrap'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(tool);
  await run(['sh', '-c', 'apt-get download -q debootstrap && dpkg -x debootstrap_*.deb .'], { cwd: tool });
  const mirror = await mirrorOf();
  const command = [
    join(tool, 'usr/sbin/debootstrap'),
    '--variant=minbase',
    `--keyring=${KEYRING}`,
    SUITE,
    base,
    mirror,
  ];
  await run(command, { env: { DEBOOTSTRAP_DIR: join(tool, 'usr/share/debootstrap') } });
  await run(['cp', '-a', base, node]);
  await run(['sh', '-ec', INSTALL, 'install', node, ...PACKAGES.split(' ')]);
  await run(['rm', '-rf', tool]);
  const list = await run(['chroot', node, 'dpkg-query', '--show']);
  await writeFile(join(directory, 'packages'), list);
  return `Debian ${SUITE} from ${mirror}`;
}

/** In a mount namespace, so that an interrupted run leaves no mount. The packages' services do not start. */
const INSTALL = `
tree=$1; shift
printf '#!/bin/sh\\nexit 101\\n' > "$tree/usr/sbin/policy-rc.d"; chmod +x "$tree/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$tree/etc/resolv.conf"
export DEBIAN_FRONTEND=noninteractive
unshare --mount sh -ec 'mount -t proc proc "$0/proc"; chroot "$0" apt-get install -q -y --no-install-recommends "$@"; chroot "$0" apt-get clean' "$tree" "$@"
`;

/** The machine's own mirror where it runs Debian. */
async function mirrorOf(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (!/^ID=debian$/m.test(release)) return PUBLIC_MIRROR;
  const uris = await run(['apt-get', 'indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']);
  return uris.split('\n')[0] || PUBLIC_MIRROR;
}
