/**
 * A control plane of its own with the operator's manifests installed: what the demo, the benchmarks, the torture and
 * most cluster tests begin with. The processes themselves are the business of `fleet.ts`.
 */
import {
  ADMINISTRATOR,
  createAdmin,
  ensureAssets,
  installOperator,
  startControlPlane,
  type Admin,
  type ControlPlane,
} from './control-plane/index.ts';

export interface InstallationOptions {
  /** As for `ensureAssets`. */
  env: NodeJS.ProcessEnv;
  log?: (line: string) => void;
  /** As for `startControlPlane`. */
  audit?: boolean;
}

export interface Installation {
  controlPlane: ControlPlane;
  /** Speaks as ADMINISTRATOR, past RBAC: for tooling and tests only. */
  admin: Admin;
  /** Path of kubectl, where the binaries came with one. */
  kubectl: string | undefined;
  /** Ends the servers and removes what they stored. */
  stop(): Promise<void>;
}

/** Throws, leaving nothing behind, when the binaries cannot be had or a part does not come up. */
export async function startInstallation(options: InstallationOptions): Promise<Installation> {
  const { env, log = () => undefined, audit = false } = options;
  const assets = await ensureAssets({ log, env });
  const controlPlane = await startControlPlane({ assets, log, audit });
  const { serverURL, caFile } = controlPlane;
  const admin = createAdmin({ serverURL, caFile, token: controlPlane.tokenOf(ADMINISTRATOR) });
  const stop = async (): Promise<void> => {
    await admin.close();
    await controlPlane.stop();
  };
  try {
    await installOperator(admin);
  } catch (error) {
    await stop();
    throw error;
  }
  return { controlPlane, admin, kubectl: assets.kubectl, stop };
}
