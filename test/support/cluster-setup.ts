/**
 * Once for the whole cluster tier: one real control plane with the CRDs and the shipped RBAC. The tests reach it through
 * `cluster.ts`. A test that stops or restarts the API server starts a control plane of its own.
 */
import type { TestProject } from 'vitest/node';

import { ADMINISTRATOR, GATEWAY, OPERATOR, installGateway } from '../../dev/control-plane/index.ts';
import { startInstallation, type Installation } from '../../dev/installation.ts';

/** What the tests are told about the control plane. */
export interface ClusterAccess {
  serverURL: string;
  caFile: string;
  adminToken: string;
  /** kubeconfig paths */
  adminKubeconfig: string;
  operatorKubeconfig: string;
  gatewayKubeconfig: string;
  pids: { etcd: number; kubeApiserver: number };
  /** Path of the kubectl that belongs to the control plane; empty where its source had none. */
  kubectl: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    cluster: ClusterAccess;
  }
}

let installation: Installation | undefined;

function log(line: string): void {
  console.error(`[control plane] ${line}`);
}

export async function setup(project: TestProject): Promise<void> {
  installation = await startInstallation({ log, env: process.env });
  const { controlPlane, kubectl = '' } = installation;
  const { serverURL, caFile, adminKubeconfig } = controlPlane;
  const adminToken = controlPlane.tokenOf(ADMINISTRATOR);
  const operatorKubeconfig = await controlPlane.kubeconfigFor(OPERATOR);
  const gatewayKubeconfig = await controlPlane.kubeconfigFor(GATEWAY);
  await installGateway(installation.admin);
  const kubeconfigs = { adminKubeconfig, operatorKubeconfig, gatewayKubeconfig };
  project.provide('cluster', {
    serverURL,
    caFile,
    adminToken,
    ...kubeconfigs,
    pids: controlPlane.pids(),
    kubectl,
  });
}

export async function teardown(): Promise<void> {
  await installation?.stop();
}
