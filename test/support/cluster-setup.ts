/**
 * The control planes of the cluster tier: one for each place at which a test file may run beside others, with the CRDs and
 * the shipped RBAC, started when the first file at that place asks. So files never meet, and share Leases, journals and
 * whatever is not namespaced with those before them only. A test that stops or restarts the API server starts its own.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';

import { ADMINISTRATOR, GATEWAY, OPERATOR, ensureAssets, installGateway } from '../../dev/control-plane/index.ts';
import { startInstallation, type Installation } from '../../dev/installation.ts';

/** What the tests are told about their control plane. */
export interface ClusterAccess {
  serverURL: string;
  caFile: string;
  adminToken: string;
  /** kubeconfig paths */
  adminKubeconfig: string;
  operatorKubeconfig: string;
  gatewayKubeconfig: string;
  /** Path of the kubectl that belongs to the control plane; empty where its source had none. */
  kubectl: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Answers `GET /<place>` with the `ClusterAccess` of that place; 500 with the reason where there can be none. */
    controlPlanes: string;
  }
}

const installations = new Map<string, Promise<Installation>>();
let server: Server | undefined;

function log(line: string): void {
  console.error(`[control plane] ${line}`);
}

function installationFor(place: string): Promise<Installation> {
  const found = installations.get(place) ?? startInstallation({ log, env: process.env });
  installations.set(place, found);
  return found;
}

async function accessTo(place: string): Promise<ClusterAccess> {
  const { controlPlane, admin, kubectl = '' } = await installationFor(place);
  const { serverURL, caFile, adminKubeconfig } = controlPlane;
  await installGateway(admin);
  return {
    serverURL,
    caFile,
    adminToken: controlPlane.tokenOf(ADMINISTRATOR),
    adminKubeconfig,
    operatorKubeconfig: await controlPlane.kubeconfigFor(OPERATOR),
    gatewayKubeconfig: await controlPlane.kubeconfigFor(GATEWAY),
    kubectl,
  };
}

export async function setup(project: TestProject): Promise<void> {
  // Here, because it may take minutes once, and nobody who asks for a place should wait for that.
  await ensureAssets({ log, env: process.env });
  server = createServer((request, response) => {
    accessTo(request.url ?? '').then(
      (access) => response.end(JSON.stringify(access)),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  project.provide('controlPlanes', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

export async function teardown(): Promise<void> {
  server?.close();
  await Promise.all(
    [...installations.values()].map((one) =>
      one.then(
        ({ stop }) => stop(),
        () => undefined,
      ),
    ),
  );
}
