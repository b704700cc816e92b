/**
 * Runs the real Helm as a user would, with a configuration and a cache of its own. Whether it ends with 0 is for the
 * caller to judge, or `rendered` throws.
 */
import { spawn } from 'node:child_process';
import { parseAllDocuments } from 'yaml';
import { endOf, type Ended } from './child.ts';
import { ROOT } from './kubectl.ts';

export const CHART = 'deploy/helm/captcha-operator';

export type Helm = (args: readonly string[], values?: object) => Promise<Ended>;

/** `values` go to stdin as one values file; `home` is where Helm keeps what it remembers. */
export function helmFor(program: string, home: string, kubeconfig = ''): Helm {
  const env = { HOME: home, KUBECONFIG: kubeconfig };
  return (args, values) => {
    const given = values === undefined ? [] : ['--values', '-'];
    const input = values === undefined ? '' : JSON.stringify(values);
    return endOf(spawn(program, [...args, ...given], { cwd: ROOT, env }), input);
  };
}

export interface Rendered {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  [field: string]: unknown;
}

/** Documents as Go's YAML reads them: `0440` is an octal number. */
export function parseManifests(text: string): Rendered[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS({ maxAliasCount: 0 }) as Rendered | null)
    .filter((object) => object !== null);
}

/** The objects that the chart makes of these values in the namespace `captcha-system`. */
export async function renderChart(helm: Helm, values: object = {}, namespace = 'captcha-system'): Promise<Rendered[]> {
  const { code, stdout, stderr } = await helm(
    ['template', 'captcha-operator', CHART, '--namespace', namespace],
    values,
  );
  if (code !== 0) throw new Error(`helm template ended with ${code}: ${stderr}`);
  return parseManifests(stdout);
}
