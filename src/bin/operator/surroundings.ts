/** What the machine knows where the environment is silent: the pod's namespace and the host's name. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

import type { Surroundings } from '../../ops/config.ts';

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

export async function readSurroundings(): Promise<Surroundings> {
  const namespace = await readFile(NAMESPACE_FILE, 'utf8').catch(() => '');
  return { serviceAccountNamespace: namespace.trim() || undefined, hostname: hostname() };
}
