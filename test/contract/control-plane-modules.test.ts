/** The versions that the local control plane and Helm are named and cached by are those that their Go modules pin. */
import { readFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

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
