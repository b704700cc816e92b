/**
 * Once for the whole cluster tier: one real control plane with the CRDs and the shipped RBAC. The tests reach it through
 * `cluster.ts`. A test that stops or restarts the API server starts a control plane of its own.
 */
import type { TestProject } from 'vitest/node';

import {
  ADMINISTRATOR,
  OPERATOR,
  createAdmin,
  ensureAssets,
  installOperator,
  startControlPlane,
  type ControlPlane,
} from '../../src/dev/control-plane/index.ts';

/** What the tests are told about the control plane. */
export interface ClusterAccess {
  serverURL: string;
  caFile: string;
  adminToken: string;
  /** kubeconfig paths */
  adminKubeconfig: string;
  operatorKubeconfig: string;
  pids: { etcd: number; kubeApiserver: number };
  /** Path of the kubectl that belongs to the control plane; empty where its source had none. */
  kubectl: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    cluster: ClusterAccess;
  }
}

let controlPlane: ControlPlane | undefined;

function log(line: string): void {
  console.error(`[control plane] ${line}`);
}

export async function setup(project: TestProject): Promise<void> {
  const assets = await ensureAssets({ log, env: process.env });
  controlPlane = await startControlPlane({ assets, log });
  const { serverURL, caFile, adminKubeconfig } = controlPlane;
  const adminToken = controlPlane.tokenOf(ADMINISTRATOR);
  const admin = createAdmin({ serverURL, caFile, token: adminToken });
  await installOperator(admin);
  await admin.close();
  const operatorKubeconfig = await controlPlane.kubeconfigFor(OPERATOR);
  const pids = controlPlane.pids();
  const kubectl = assets.kubectl ?? '';
  project.provide('cluster', { serverURL, caFile, adminToken, adminKubeconfig, operatorKubeconfig, pids, kubectl });
}

export async function teardown(): Promise<void> {
  await controlPlane?.stop();
}
