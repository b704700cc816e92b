/**
 * Finds the cluster as kubectl and pods do, and opens a client of it. Reads credentials, makes no call, and reads no
 * environment but the one it is given.
 */
import { loadAccess } from '../kube/access.ts';
import { createKubeClient, type KubeClient } from '../kube/client.ts';
import type { TaskClientOptions } from './types.ts';

export interface Cluster {
  kube: KubeClient;
  /** Of the pod or of the kubeconfig's context, where it names one. */
  namespace: string | undefined;
  server: string;
}

/** @throws Error that says where it looked, when no cluster is configured */
export async function openCluster(options: TaskClientOptions): Promise<Cluster> {
  const { userAgent, environment = {}, ...places } = options;
  const access = await loadAccess({
    ...places,
    kubeconfigPath: options.kubeconfigPath ?? environment['KUBECONFIG'],
    serviceHost: environment['KUBERNETES_SERVICE_HOST'],
    servicePort: environment['KUBERNETES_SERVICE_PORT'],
    homeDirectory: environment['HOME'],
    environment,
  });
  return { kube: createKubeClient({ access, userAgent }), namespace: access.namespace, server: access.server };
}
