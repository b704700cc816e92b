/**
 * A world with gateways, for the tests of real clients: operator, sidecar, gateways and simulator on the shared control
 * plane, and what is known of every solve afterwards: what the client was told, its task, and what the provider's books
 * say about it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { objectOf } from '../../dev/control-plane/index.ts';
import type { LedgerSubmission } from '../../dev/simulator/ledger.ts';
import type { SimulatorOptions } from '../../dev/simulator/script.ts';
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { taskNameOf } from '../../src/core/gateway/ids.ts';
import type { Call } from '../clients/calls.ts';
import { pythonWithClients, type Python } from '../clients/python.ts';
import { callClient, idOf, type Answer, type ClientName } from '../clients/run.ts';
import { access, admin, createNamespace, pathOf } from './cluster.ts';
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from './loopback-certificate.ts';
import { startWorld, type World, type WorldOptions } from './processes.ts';

export const GATEWAY_KEY = 'c0ffee00c0ffee00c0ffee00c0ffee00';

const log = (line: string): void => console.error(`[clients] ${line}`);

/** A Python with the clients; on a developer's machine it may be missing, in CI it may not. */
export async function pythonOrReason(): Promise<Python> {
  const python = await pythonWithClients(process.env, log).catch((error: unknown): Python => ({
    missing: `the Python clients cannot be installed: ${String(error)}`,
  }));
  if ('missing' in python && process.env['CI'] === 'true') throw new Error(python.missing);
  return python;
}

export interface Solve {
  call: Call;
  client: ClientName;
  answer: Answer;
  /** Undefined where the client was told no id. */
  task?: CaptchaTask;
  /** Every submission of that task that the provider accepted. */
  paid: LedgerSubmission[];
}

export interface GatewayWorld extends World {
  readonly url: string;
  /** Sends a client's calls to the gateways and says what came of each. */
  solve(client: ClientName, how?: { calls?: readonly Call[]; again?: number; pace?: number }): Promise<Solve[]>;
  /** All tasks of the namespace. */
  tasks(): Promise<CaptchaTask[]>;
}

export async function startGatewayWorld(options: {
  simulator: SimulatorOptions;
  gateways?: number;
  world?: WorldOptions;
}): Promise<GatewayWorld> {
  const namespace = await createNamespace({ prefix: 'gateway', tenant: true });
  const python = await pythonOrReason();
  const world = await startWorld({
    namespace,
    simulator: options.simulator,
    gateways: {
      count: options.gateways ?? 2,
      kubeconfig: access.gatewayKubeconfig,
      keys: { [namespace]: GATEWAY_KEY },
      tls: { cert: LOOPBACK_CERTIFICATE, key: LOOPBACK_KEY },
    },
    ...options.world,
  });
  const tasks = async (): Promise<CaptchaTask[]> =>
    objectOf<{ items: CaptchaTask[] }>(await admin.get(pathOf('captchatasks', namespace))).items;
  const { gatewayURL: url, gatewayTlsURL: tlsURL } = world.fleet;
  return {
    ...world,
    url,
    tasks,
    async solve(client, how = {}) {
      const place = await mkdtemp(join(tmpdir(), 'captcha-gateway-'));
      try {
        const path = 'path' in python ? python.path : '';
        const target = { url, tlsURL, key: GATEWAY_KEY, python: path, place, pace: 0.1, ...how };
        const { calls, answers } = await callClient(client, target);
        return await booked({ client, calls, answers }, await tasks(), world);
      } finally {
        await rm(place, { recursive: true, force: true });
      }
    },
  };
}

interface Called {
  client: ClientName;
  calls: readonly Call[];
  answers: readonly Answer[];
}

async function booked({ client, calls, answers }: Called, tasks: CaptchaTask[], world: World): Promise<Solve[]> {
  const { submissions } = await world.simulator.control.ledger();
  return calls.map((call) => {
    const answer = answers.find(({ name }) => name === call.name) ?? { name: call.name, error: 'said nothing' };
    const name = taskNameOf(answer.result === undefined ? '' : idOf(client, answer.result));
    const task = tasks.find(({ metadata }) => metadata.name === name);
    const uid = task?.metadata.uid ?? 'none';
    // The pingback URL names the task: what was paid is known also where its id was lost on the way.
    const paid = submissions.filter((line) => line.paid && line.pingback.includes(uid));
    return { call, client, answer, paid, ...(task === undefined ? {} : { task }) };
  });
}
