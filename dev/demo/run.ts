/**
 * The demo: a real control plane, the provider simulator, operator and sidecar as child processes, and one sample task
 * for each path. Shows a live table and compares the end with what was expected, the provider's books included.
 * Called by `bin/demo.ts`, which owns the arguments and the exit code.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { CaptchaTask } from '../../src/api/captchatask.ts';
import type { DeadLetter } from '../../src/api/deadletter.ts';
import { CAPTCHA_TASK, DEAD_LETTER, GATEWAY_LABEL } from '../../src/api/names.ts';
import {
  applyManifests,
  GATEWAY,
  installGateway,
  objectOf,
  OPERATOR,
  type Admin,
  type ControlPlane,
} from '../control-plane/index.ts';
import { startFleet, type Fleet } from '../fleet.ts';
import { startInstallation } from '../installation.ts';
import { startSimulator, type Simulator } from '../simulator/index.ts';
import { findClient } from './client.ts';
import {
  DEMO_NAMESPACE,
  FOREIGN_SECRET,
  GATEWAY_SAMPLE,
  GATEWAY_WISH,
  LATE_KEY_SECRET,
  manifestOf,
  matchOf,
  OTHER_ACCOUNT_SECRET,
  PROXY_SECRET,
  SAMPLES,
  type Sample,
} from './seed.ts';
import { createLiveTable, letterLine, rowOf, type LiveTable, type Row, type TableOutput } from './table.ts';

export interface DemoOptions {
  output: TableOutput;
  /** Called once the world stands, before the first task is applied. */
  onWorld?(world: DemoWorld): Promise<void>;
  /** Ends the demo early. */
  signal: AbortSignal;
  /** How long the tasks may take, in milliseconds. */
  boundMs?: number;
}

/** What runs; `stop` ends it in reverse order and may be called twice. */
export interface DemoWorld {
  controlPlane: ControlPlane;
  admin: Admin;
  simulator: Simulator;
  fleet: Fleet;
  gatewayURL: string;
  kubectl: string | undefined;
  stop(): Promise<void>;
}

/** What of it the samples need: also a cluster that somebody else started. */
export interface SampleWorld {
  admin: Admin;
  simulator: Pick<Simulator, 'control'>;
  /** Without one nothing is sent through a gateway. */
  gatewayURL?: string;
}

/** The sentences that say what did not come out as expected; none when all did. */
export type Disappointments = readonly string[];

const REFRESH_MS = 250;
const DEFAULT_BOUND_MS = 90_000;
const LATE_KEY_AFTER_MS = 3_000;

/** Starts everything; throws with the reason when a part does not come up, after ending the others. */
export async function startDemoWorld(output: TableOutput, env: NodeJS.ProcessEnv): Promise<DemoWorld> {
  const log = (line: string): void => output.write(`${line}\n`);
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (let release = stops.pop(); release !== undefined; release = stops.pop()) await release();
  };
  try {
    const installation = await startInstallation({ log, env });
    stops.push(() => installation.stop());
    const { controlPlane, admin, kubectl } = installation;
    log('installed the CRDs and the operator’s ServiceAccount with its shipped RBAC');
    const simulator = await startSimulator({ answerAfterMs: 1_500 });
    stops.push(() => simulator.stop());
    log(`provider simulator at ${simulator.url}`);
    await installGateway(admin);
    const fleet = await startFleet({
      kubeconfig: await controlPlane.kubeconfigFor(OPERATOR),
      providerURL: simulator.url,
      gateways: {
        count: 1,
        kubeconfig: await controlPlane.kubeconfigFor(GATEWAY),
        keys: { [DEMO_NAMESPACE]: GATEWAY_WISH.key },
      },
    });
    stops.push(() => fleet.stop());
    const [operator, sidecar, gateway] = [fleet.operators, fleet.sidecars, fleet.gateways].map(
      ([member]) => member?.child().pid,
    );
    log(`operator (pid ${operator}), callback sidecar (pid ${sidecar}) and gateway (pid ${gateway}) run`);
    return { controlPlane, admin, simulator, fleet, gatewayURL: fleet.gatewayURL, kubectl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Applies the samples and watches them to their ends. */
export async function runSamples(world: SampleWorld, options: DemoOptions): Promise<Disappointments> {
  const { output, signal } = options;
  await prepareNamespace(world);
  for (const sample of SAMPLES) {
    if (sample.script !== undefined) await world.simulator.control.script(sample.script, matchOf(sample));
  }
  output.write(`applying ${SAMPLES.length} sample tasks in namespace ${DEMO_NAMESPACE}\n`);
  for (const sample of SAMPLES) objectOf(await world.admin.create(pathOf(CAPTCHA_TASK.plural), manifestOf(sample)));
  const table = createLiveTable(output);
  const people = playPeople(world, signal);
  const program = playProgram(world, output);
  const tasks = await watchToTheEnd(world, table, options);
  await people;
  table.finish();
  return [
    ...samplesOf(world).flatMap((sample) => disappointmentsOf(sample, tasks)),
    ...(await program(taskOf(GATEWAY_SAMPLE, tasks)?.status?.solution?.value)),
    ...(await wronglyPaid(world)),
  ];
}

function samplesOf({ gatewayURL }: SampleWorld): readonly Sample[] {
  return gatewayURL === undefined ? SAMPLES : [...SAMPLES, GATEWAY_SAMPLE];
}

/** Sends its captcha at once; what comes back says whether it was told the solution that the task has. */
function playProgram(
  { gatewayURL: url }: SampleWorld,
  output: TableOutput,
): (solution: string | undefined) => Promise<Disappointments> {
  if (url === undefined) return () => Promise.resolve([]);
  const client = findClient();
  output.write(`sending one more through the gateway at ${url}, by ${client.name}\n\n`);
  const told = client.solve({ url, ...GATEWAY_WISH }).catch((error: unknown) => error as Error);
  return async (solution) => {
    const answer = await told;
    if (answer instanceof Error) return [`the client of the gateway: ${answer.message}`];
    return answer === solution ? [] : ['the client of the gateway was told another solution than its task has'];
  };
}

async function prepareNamespace({ admin }: SampleWorld): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: DEMO_NAMESPACE } };
  objectOf(await admin.create('/api/v1/namespaces', namespace));
  await applyManifests(admin, ['deploy/tenant/rbac.yaml'], DEMO_NAMESPACE);
  for (const secret of [PROXY_SECRET, FOREIGN_SECRET, OTHER_ACCOUNT_SECRET]) await createSecret(admin, secret);
}

async function createSecret(admin: Admin, secret: { name: string; data: Record<string, string> }): Promise<void> {
  const manifest = { apiVersion: 'v1', kind: 'Secret', metadata: { name: secret.name }, stringData: secret.data };
  objectOf(await admin.create(secretsPath(), manifest));
}

function secretsPath(): string {
  return `/api/v1/namespaces/${DEMO_NAMESPACE}/secrets`;
}

function pathOf(plural: string): string {
  return `/apis/${CAPTCHA_TASK.group}/${CAPTCHA_TASK.version}/namespaces/${DEMO_NAMESPACE}/${plural}`;
}

/** What a person does meanwhile: brings the missing key, and removes the Secret that blocks a result. */
async function playPeople(world: SampleWorld, signal: AbortSignal): Promise<void> {
  await delay(LATE_KEY_AFTER_MS, undefined, { signal }).catch(() => undefined);
  await createSecret(world.admin, LATE_KEY_SECRET);
  while (!signal.aborted && (await lettersOf(world)).length === 0) {
    await delay(REFRESH_MS, undefined, { signal }).catch(() => undefined);
  }
  if (!signal.aborted) await world.admin.delete(`${secretsPath()}/${FOREIGN_SECRET.name}`);
}

async function lettersOf(world: SampleWorld): Promise<DeadLetter[]> {
  return objectOf<{ items: DeadLetter[] }>(await world.admin.get(pathOf(DEAD_LETTER.plural))).items;
}

async function tasksOf(world: SampleWorld): Promise<ReadonlyMap<string, CaptchaTask>> {
  const { items } = objectOf<{ items: CaptchaTask[] }>(await world.admin.get(pathOf(CAPTCHA_TASK.plural)));
  return new Map(items.map((task) => [task.metadata.name, task]));
}

/** The gateway names its tasks itself. */
function taskOf({ name }: Sample, tasks: ReadonlyMap<string, CaptchaTask>): CaptchaTask | undefined {
  if (name !== GATEWAY_SAMPLE.name) return tasks.get(name);
  return [...tasks.values()].find(({ metadata }) => metadata.labels?.[GATEWAY_LABEL] !== undefined);
}

function rowFor(sample: Sample, tasks: ReadonlyMap<string, CaptchaTask>): Row {
  const task = taskOf(sample, tasks);
  return rowOf(task, task?.metadata.name ?? sample.name, sample.shows);
}

async function watchToTheEnd(
  world: SampleWorld,
  table: LiveTable,
  { signal, boundMs = DEFAULT_BOUND_MS }: DemoOptions,
): Promise<ReadonlyMap<string, CaptchaTask>> {
  const deadlineMs = performance.now() + boundMs;
  for (;;) {
    const tasks = await tasksOf(world);
    const letters = await lettersOf(world);
    table.update(
      samplesOf(world).map((sample) => rowFor(sample, tasks)),
      letters.map(letterLine),
    );
    const open = samplesOf(world).some((sample) => taskOf(sample, tasks)?.status?.completionTime === undefined);
    const waiting = letters.some((letter) => letter.status?.completionTime === undefined);
    if ((!open && !waiting) || signal.aborted || performance.now() > deadlineMs) return tasks;
    await delay(REFRESH_MS, undefined, { signal }).catch(() => undefined);
  }
}

function disappointmentsOf(sample: Sample, tasks: ReadonlyMap<string, CaptchaTask>): string[] {
  const row = rowFor(sample, tasks);
  const { phase, source = '', attempts, reason } = sample.expect;
  const wrong = (field: string, expected: string, found: string): string[] =>
    expected === found ? [] : [`captchatask/${row.name}: ${field} is "${found}", expected "${expected}"`];
  return [
    ...wrong('phase', phase, row.phase),
    ...wrong('source', source, row.source),
    ...wrong('attempts', String(attempts), row.attempts),
    ...wrong('reason', reason, row.reason),
  ];
}

/** The provider's books are the only witness that nothing was paid twice. */
async function wronglyPaid(world: SampleWorld): Promise<string[]> {
  const { submissions } = await world.simulator.control.ledger();
  return samplesOf(world).flatMap((sample) => {
    const paid = submissions.filter((each) => each.paid && each.pageurl === matchOf(sample).equals).length;
    if (paid === sample.paid) return [];
    return [`captchatask/${sample.name}: the provider was paid for ${paid} submissions, expected ${sample.paid}`];
  });
}
