/**
 * What every benchmark of the whole stands on: a control plane, the installed operator manifests and a simulator in a
 * process of its own, so that what they cost can be told apart from what the operator costs.
 */
import { OPERATOR, type Admin, type ControlPlane } from '../../dev/control-plane/index.ts';
import { startChild, type Child } from '../../dev/child.ts';
import { startFleet, type Fleet } from '../../dev/fleet.ts';
import { startInstallation } from '../../dev/installation.ts';
import { createSimulatorControl, type SimulatorControl } from '../../dev/simulator/control.ts';

export interface BenchWorld {
  controlPlane: ControlPlane;
  admin: Admin;
  simulator: Child;
  control: SimulatorControl;
  /** An operator and a sidecar that watch one namespace, under the shipped identity. */
  startFleet(namespace: string, operatorEnv?: Record<string, string>): Promise<Fleet>;
}

export function say(line: string): void {
  console.error(line);
}

/** Runs `bench` in a fresh world and ends everything afterwards. */
export async function inWorld<T>(solvingMs: number, bench: (world: BenchWorld) => Promise<T>): Promise<T> {
  const installation = await startInstallation({ log: say, env: process.env });
  const { controlPlane, admin } = installation;
  const simulator = startChild({ entry: 'simulator', env: { ANSWER_AFTER_MS: String(solvingMs) } });
  try {
    const line = await simulator.waitForLine('its URL', (each) => each.msg === 'simulator listening');
    const providerURL = String(line['url']);
    const kubeconfig = await controlPlane.kubeconfigFor(OPERATOR);
    return await bench({
      controlPlane,
      admin,
      simulator,
      control: createSimulatorControl(providerURL),
      startFleet: (namespace, operatorEnv) =>
        startFleet({
          kubeconfig,
          providerURL,
          built: true,
          operatorEnv: { WATCH_NAMESPACES: namespace, ...operatorEnv },
        }),
    });
  } finally {
    await simulator.stop();
    await installation.stop();
  }
}

/** One aligned line: figure, value, target. */
export function printRows(
  title: string,
  rows: readonly (readonly [name: string, value: string, target: string])[],
): void {
  console.log(`\n${title}\n`);
  for (const [name, value, target] of rows) console.log(`${name.padEnd(44)} ${value.padStart(10)}  ${target}`);
}
