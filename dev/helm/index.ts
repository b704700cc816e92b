/**
 * Helm, for the tests of the chart: `$HELM` if set, else the cache, else a build with the local Go from the module that
 * go.mod beside this file pins. Nothing is installed outside the cache, and no Helm of this machine's user is asked.
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import type { AssetOptions } from '../control-plane/assets.ts';
import { buildPrograms, type Program } from '../control-plane/build.ts';
import { publishEntry, readEntry, withCacheLock, type EntryKind } from '../control-plane/cache.ts';
import { GO_VERSION, cacheDirectory, platform } from '../control-plane/versions.ts';

/** The version in go.mod; a contract test compares them. */
export const HELM_VERSION = '4.3.1';

const MODULES = fileURLToPath(new URL('.', import.meta.url));
const VERSION = 'helm.sh/helm/v4/internal/version.version';
const HELM: Program = {
  binary: 'helm',
  version: HELM_VERSION,
  path: 'helm.sh/helm/v4/cmd/helm',
  modules: MODULES,
  stamps: { [VERSION]: `v${HELM_VERSION}` },
};

/** The absolute path of the program. Throws when it is not there and cannot be built. */
export async function ensureHelm({ log, env }: AssetOptions): Promise<string> {
  if (env['HELM']) return env['HELM'];
  const cache = cacheDirectory(env);
  const kind: EntryKind<'helm'> = { key: `helm-${HELM_VERSION}-${platform()}`, binaries: ['helm'] };
  const pathOf = async (): Promise<string | undefined> => (await readEntry(cache, kind))?.binaries.helm;
  const cached = await pathOf();
  if (cached !== undefined) return cached;
  const fill = (directory: string): Promise<string> =>
    buildPrograms([HELM], { directory, log, env }).catch((error: Error) => {
      const ways = `install Go ≥ ${GO_VERSION} and let it reach a module proxy, or let HELM name a Helm 4`;
      throw new Error(`no Helm ${HELM_VERSION} (${error.message}); ${ways}`, { cause: error });
    });
  await mkdir(cache, { recursive: true });
  return withCacheLock(cache, log, async () => {
    // Whoever held the lock before may have made it.
    const path = (await pathOf()) ?? (await publishEntry(cache, kind, fill)).binaries.helm;
    if (path === undefined) throw new Error('an entry without helm');
    return path;
  });
}
