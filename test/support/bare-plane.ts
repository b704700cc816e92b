/**
 * A control plane of a test's own with nothing of ours in it, and kubectl for it: for tests that install, forbid or remove
 * what others would miss.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ADMINISTRATOR,
  createAdmin,
  ensureAssets,
  startControlPlane,
  type Admin,
  type ControlPlane,
} from '../../dev/control-plane/index.ts';
import { kubectlFor, outputOf, type Kubectl } from './kubectl.ts';

const log = (): void => {};

export interface BarePlane {
  controlPlane: ControlPlane;
  admin: Admin;
  kubectl: Kubectl;
  /** The path of kubectl. */
  program: string;
  /** A folder of the test's own. */
  scratch: string;
  /** Applies by `kubectl apply` and waits until every new kind is served. */
  define(...what: string[]): Promise<void>;
  stop(): Promise<void>;
}

export async function startBarePlane(options: { audit?: boolean } = {}): Promise<BarePlane> {
  const assets = await ensureAssets({ log, env: process.env });
  const controlPlane = await startControlPlane({ assets, log, ...options });
  const scratch = await mkdtemp(join(tmpdir(), 'bare-plane-'));
  const program = assets.kubectl ?? '';
  const admin = createAdmin({ ...controlPlane, token: controlPlane.tokenOf(ADMINISTRATOR) });
  const kubectl = kubectlFor(program, controlPlane.adminKubeconfig, scratch);
  return {
    controlPlane,
    admin,
    kubectl,
    program,
    scratch,
    async define(...what) {
      await outputOf(kubectl(['apply', ...what]));
      await outputOf(kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']));
    },
    async stop() {
      await admin.close();
      await controlPlane.stop();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}
