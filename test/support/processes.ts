/**
 * A world for one cluster test file: a namespace of its own on the shared control plane, a provider simulator, and
 * real operator and sidecar processes under the shipped identity that watch only that namespace. Tests assert on
 * objects and on the provider's books, not on calls.
 */
import type { CaptchaTask, CaptchaTaskSpec } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { API_VERSION } from '../../src/api/names.ts';
import { objectOf } from '../../dev/control-plane/index.ts';
import { startFleet, type Fleet, type FleetOptions } from '../../dev/fleet.ts';
import { startSimulator, type Simulator } from '../../dev/simulator/index.ts';
import type { LedgerSubmission } from '../../dev/simulator/ledger.ts';
import type { Script, SimulatorOptions } from '../../dev/simulator/script.ts';
import { access, admin, corePathOf, createNamespace, pathOf } from './cluster.ts';
import { waitUntil } from './wait-until.ts';

export interface WorldOptions extends Partial<FleetOptions> {
  /** Whether the operator may read and create Secrets in the namespace. Default: yes. */
  tenant?: boolean;
  /** Default: one of its own. */
  namespace?: string;
  simulator?: SimulatorOptions;
}

export interface World {
  readonly namespace: string;
  readonly simulator: Simulator;
  readonly fleet: Fleet;
  /** Creates a Turnstile task unless `spec` says otherwise; the script is for this task alone. */
  apply(name: string, options?: { spec?: Partial<CaptchaTaskSpec>; script?: Script }): Promise<CaptchaTask>;
  task(name: string): Promise<CaptchaTask>;
  /** Resolves with the task once `matches`; the error shows the last state and the processes' last lines. */
  until(name: string, reason: string, matches: (task: CaptchaTask) => boolean, boundMs?: number): Promise<CaptchaTask>;
  untilPhase(name: string, phase: string, boundMs?: number): Promise<CaptchaTask>;
  letters(): Promise<DeadLetter[]>;
  /** Every call of in.php for this task, as the provider saw it. */
  submissions(name: string): Promise<LedgerSubmission[]>;
  /** How many of them were accepted, and so paid. */
  paid(name: string): Promise<number>;
  createSecret(name: string, data: Record<string, string>): Promise<void>;
  deleteSecret(name: string): Promise<void>;
  deleteTask(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** The page that names a task to the provider, so that scripts and books can be told apart. */
export function pageOf(namespace: string, name: string): string {
  return `https://shop.example/${namespace}/${name}`;
}

export function reasonOf(task: CaptchaTask): string | undefined {
  return task.status?.conditions?.find((condition) => condition.type === 'Solved')?.reason;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { tenant = true, namespace: given, simulator: simulatorOptions, ...fleetOptions } = options;
  const namespace = given ?? (await createNamespace({ prefix: 'world', tenant }));
  const simulator = await startSimulator({ answerAfterMs: 300, ...simulatorOptions });
  const fleet = await startFleet({
    kubeconfig: access.operatorKubeconfig,
    providerURL: simulator.url,
    ...fleetOptions,
    operatorEnv: { WATCH_NAMESPACES: namespace, ...fleetOptions.operatorEnv },
    sidecarEnv: { WATCH_NAMESPACES: namespace, ...fleetOptions.sidecarEnv },
  }).catch(async (error: unknown) => {
    await simulator.stop();
    throw error;
  });
  return createWorld(namespace, simulator, fleet);
}

function createWorld(namespace: string, simulator: Simulator, fleet: Fleet): World {
  const task = async (name: string): Promise<CaptchaTask> =>
    objectOf<CaptchaTask>(await admin.get(pathOf('captchatasks', namespace, name)));
  const submissions = async (name: string): Promise<LedgerSubmission[]> => {
    const ledger = await simulator.control.ledger({ field: 'pageurl', equals: pageOf(namespace, name) });
    return ledger.submissions;
  };
  const until: World['until'] = async (name, reason, matches, boundMs = 60_000) => {
    let last: CaptchaTask | undefined;
    try {
      await waitUntil(
        `captchatask/${name} ${reason}`,
        async () => {
          last = await task(name);
          return matches(last);
        },
        { boundMs },
      );
    } catch (error) {
      throw new Error(`${String(error)}\nstatus: ${JSON.stringify(last?.status)}\n${tailOf(fleet)}`, { cause: error });
    }
    return last as CaptchaTask;
  };
  return {
    namespace,
    simulator,
    fleet,
    task,
    until,
    submissions,
    untilPhase: (name, phase, boundMs) => until(name, `is ${phase}`, (found) => found.status?.phase === phase, boundMs),
    apply: async (name, { spec, script } = {}) => {
      const page = pageOf(namespace, name);
      if (script !== undefined) await simulator.control.script(script, { field: 'pageurl', equals: page });
      const captcha = { type: 'Turnstile', turnstile: { siteKey: '0x4AAAAAAADnPIDROrmt1Wwj', pageURL: page } };
      const manifest = { apiVersion: API_VERSION, kind: 'CaptchaTask', metadata: { name }, spec: { captcha, ...spec } };
      return objectOf<CaptchaTask>(await admin.create(pathOf('captchatasks', namespace), manifest));
    },
    letters: async () => objectOf<{ items: DeadLetter[] }>(await admin.get(pathOf('deadletters', namespace))).items,
    paid: async (name) => (await submissions(name)).filter((submission) => submission.paid).length,
    createSecret: async (name, data) => {
      const manifest = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: data };
      objectOf(await admin.create(corePathOf('secrets', namespace), manifest));
    },
    deleteSecret: async (name) => void objectOf(await admin.delete(corePathOf('secrets', namespace, name))),
    deleteTask: async (name) => void objectOf(await admin.delete(pathOf('captchatasks', namespace, name))),
    stop: async () => {
      await fleet.stop();
      await simulator.stop();
    },
  };
}

function tailOf(fleet: Fleet): string {
  return fleet.logText().split('\n').slice(-25).join('\n');
}
