/**
 * Who may talk to the local control plane, and the kubeconfig files for them. The administrator is for tooling and
 * tests; the operator has the same user name and groups as its ServiceAccount in a cluster, so that RBAC and API
 * priority and fairness treat it as they do there. Tokens are random and live only in the plane's scratch directory.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Identity {
  user: string;
  groups: readonly string[];
}

/** Bypasses RBAC and fairness (`system:masters`): never give it to a process under test. */
export const ADMINISTRATOR: Identity = { user: 'admin', groups: ['system:masters', 'system:authenticated'] };

/** The identity that a pod of this ServiceAccount has. */
export function serviceAccount(namespace: string, name: string): Identity {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return { user: `system:serviceaccount:${namespace}:${name}`, groups };
}

export const OPERATOR: Identity = serviceAccount('captcha-system', 'captcha-operator');
export const GATEWAY: Identity = serviceAccount('captcha-system', 'captcha-gateway');

/** Tokens by user name. */
export type Tokens = ReadonlyMap<string, string>;

/** Writes the `--token-auth-file`, which the API server reads once, at its start. */
export async function writeTokens(file: string, identities: readonly Identity[]): Promise<Tokens> {
  const tokens = new Map<string, string>();
  const lines = identities.map((identity, index) => {
    const token = randomBytes(24).toString('hex');
    tokens.set(identity.user, token);
    return `${token},${identity.user},uid-${index},"${identity.groups.join(',')}"\n`;
  });
  await writeFile(file, lines.join(''), { mode: 0o600 });
  return tokens;
}

export interface Cluster {
  serverURL: string;
  /** PEM file to verify the server with. */
  caFile: string;
}

/** Writes a kubeconfig (as JSON, which is YAML) into `directory` and returns its path. */
export async function writeKubeconfig(
  directory: string,
  cluster: Cluster,
  user: string,
  token: string,
): Promise<string> {
  const ca = (await readFile(cluster.caFile)).toString('base64');
  const file = join(directory, `${user.replaceAll(/[^a-z0-9-]+/gi, '_')}.kubeconfig`);
  const name = 'captcha-operator-local';
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server: cluster.serverURL, 'certificate-authority-data': ca } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name, context: { cluster: name, user } }],
  };
  await writeFile(file, `${JSON.stringify(kubeconfig, null, 2)}\n`, { mode: 0o600 });
  return file;
}
