/**
 * What the cells of one run stand on: the API server, a provider, and a sidecar behind a checkpoint of its own. Every
 * cell has its operators itself.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Admin } from '../../dev/control-plane/index.ts';
import { startFleet } from '../../dev/fleet.ts';
import { type Simulator, startSimulator } from '../../dev/simulator/index.ts';
import { type Checkpoint, startCheckpoint } from './checkpoint.ts';

/** How the API server is reached. */
export interface Land {
  admin: Admin;
  serverURL: string;
  caFile: string;
  operatorKubeconfig: string;
}

export interface Ground extends Land {
  simulator: Simulator;
  callbackURL: string;
  callbackKeysFile: string;
  sidecar: {
    readonly api: Checkpoint;
    /** Kills it hard and starts it again. */
    restart(): Promise<void>;
  };
  stop(): Promise<void>;
}

export async function openGround(land: Land): Promise<Ground> {
  const home = await mkdtemp(join(tmpdir(), 'crash-ground-'));
  const simulator = await startSimulator({ answerAfterMs: 50 });
  const { api, kubeconfig } = await behindCheckpoint(land, join(home, 'kubeconfig'));
  const fleet = await startFleet({ kubeconfig, providerURL: simulator.url, operators: 0 });
  const { callbackURL, callbackKeysFile } = fleet;
  return {
    ...land,
    simulator,
    callbackURL,
    callbackKeysFile,
    sidecar: { api, restart: async () => fleet.sidecars[0]?.restart() },
    async stop() {
      await fleet.stop();
      await api.close();
      await simulator.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** The operator's kubeconfig once more, with a checkpoint as its server. */
export async function behindCheckpoint(
  { serverURL, caFile, operatorKubeconfig }: Land,
  kubeconfig: string,
): Promise<{ api: Checkpoint; kubeconfig: string }> {
  const api = await startCheckpoint(serverURL, await readFile(caFile, 'utf8'));
  const original = await readFile(operatorKubeconfig, 'utf8');
  await writeFile(kubeconfig, original.replaceAll(serverURL, api.url), { mode: 0o600 });
  return { api, kubeconfig };
}
