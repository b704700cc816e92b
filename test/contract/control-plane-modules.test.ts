/** The versions that the local control plane, the node and Helm are named and cached by are those that their Go modules pin. */
import { readFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { FAMILIES } from '../../dev/node/programs.ts';
import { HELM_VERSION } from '../../dev/helm/index.ts';
import { ETCD_VERSION, GO_VERSION, KUBERNETES_VERSION } from '../../dev/control-plane/versions.ts';

const modules = new URL('../../dev/control-plane/modules/', import.meta.url);
const goMod = await readFile(new URL('go.mod', modules), 'utf8');
const goSum = await readFile(new URL('go.sum', modules), 'utf8');

describe('the pinned Go modules', () => {
  test('require the Kubernetes, etcd and Go versions that the code names', () => {
    expect(goMod).toContain(`k8s.io/kubernetes v${KUBERNETES_VERSION}\n`);
    expect(goMod).toMatch(new RegExp(`go\\.etcd\\.io/etcd/server/v3 v${ETCD_VERSION.replaceAll('.', '\\.')} `));
    expect(goMod).toMatch(new RegExp(`^go ${GO_VERSION.replace('.', '\\.')}`, 'm'));
  });

  test("take every part of Kubernetes' own repository at the same version", () => {
    const staging = KUBERNETES_VERSION.replace(/^1/, '0');
    const replaced = [...goMod.matchAll(/^\t(k8s\.io\/\S+) => \1 v(\S+)$/gm)];
    expect(replaced.length).toBeGreaterThan(30);
    expect(replaced.filter(([, , version]) => version !== staging).map(([line]) => line)).toEqual([]);
  });

  test('are covered by checksums, and come from nowhere but their own names', () => {
    expect(goSum).toContain(`k8s.io/kubernetes v${KUBERNETES_VERSION} h1:`);
    expect(goSum).toContain(`go.etcd.io/etcd/server/v3 v${ETCD_VERSION} h1:`);
    expect(goMod).not.toMatch(/=> (?:\.|\/)/);
  });
});

describe("Helm's module", () => {
  test('requires the version that the code names, and is covered by checksums', async () => {
    const [mod, sum] = await Promise.all(
      ['go.mod', 'go.sum'].map((name) => readFile(new URL(`../../dev/helm/${name}`, import.meta.url), 'utf8')),
    );
    expect(mod).toContain(`helm.sh/helm/v4 v${HELM_VERSION}\n`);
    expect(sum).toContain(`helm.sh/helm/v4 v${HELM_VERSION} h1:`);
    expect(mod).not.toMatch(/^replace /m);
  });
});

describe("a family of the node's programs", () => {
  const pinned = FAMILIES.filter(({ modules }) => modules !== 'pause');

  test.each(pinned)('$name is cached under the version that its module pins, with checksums', async (family) => {
    const folder = new URL(`../../dev/node/modules/${family.modules}/`, import.meta.url);
    const read = (name: string): Promise<string> => readFile(new URL(name, folder), 'utf8');
    const [mod, sum] = [await read('go.mod'), await read('go.sum')];
    const [path = ''] = Object.values(family.programs);
    const name = path === '.' ? `github.com/${family.name}/${family.name}` : path.split('/').slice(0, 3).join('/');
    const module = [...mod.matchAll(/^\t?(?:require )?(\S+) v(\S+?)(?: \/\/ indirect)?$/gm)].find(([, found = '']) => {
      return found === name || path.startsWith(`${found}/`) || found.startsWith(`${name}/v`);
    });
    expect(module?.[2]).toBe(family.version);
    expect(sum).toContain(`${module?.[1]} v${family.version} h1:`);
    expect(mod).not.toMatch(/=> (?:\.|\/)/);
  });
});
