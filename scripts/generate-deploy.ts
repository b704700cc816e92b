/**
 * Copies manifests to where kustomize and Helm can read them: neither reads a file outside its own folder, and symbolic
 * links break in archives and on Windows. `npm run generate:deploy`; test/contract/deploy.test.ts compares.
 */
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CHART = 'deploy/helm/captcha-operator/files';
const BASE = ['serviceaccount', 'rbac', 'admission-policy', 'service', 'networkpolicy', 'poddisruptionbudget'];
const GATEWAY = ['serviceaccount', 'rbac', 'deployment', 'service', 'networkpolicy', 'poddisruptionbudget'];
const MONITORING = ['podmonitor.yaml', 'prometheusrule.yaml', 'dashboard.json'];

/** Source and copy, relative to the repository. */
export function copies(): [from: string, to: string][] {
  const crds = readdirSync(join(ROOT, 'crds'));
  return [
    ...crds.map((name): [string, string] => [`crds/${name}`, `deploy/crds/${name}`]),
    ...crds.map((name): [string, string] => [`crds/${name}`, `${CHART}/crds/${name}`]),
    ...BASE.map((name): [string, string] => [`deploy/base/${name}.yaml`, `${CHART}/base/${name}.yaml`]),
    ['deploy/roles/people.yaml', `${CHART}/roles/people.yaml`],
    ['deploy/tenant/rbac.yaml', `${CHART}/single-namespace/tenant.yaml`],
    ['deploy/overlays/single-namespace/rolebinding.yaml', `${CHART}/single-namespace/rolebinding.yaml`],
    ...GATEWAY.map((name): [string, string] => [
      `deploy/components/gateway/${name}.yaml`,
      `${CHART}/gateway/${name}.yaml`,
    ]),
    ...MONITORING.map((name): [string, string] => [`deploy/monitoring/${name}`, `${CHART}/monitoring/${name}`]),
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(join(ROOT, CHART), { recursive: true, force: true });
  for (const [from, to] of copies()) {
    mkdirSync(dirname(join(ROOT, to)), { recursive: true });
    cpSync(join(ROOT, from), join(ROOT, to));
  }
}
