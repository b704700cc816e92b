/**
 * The end-to-end run: a list of steps in the cluster of one kubeconfig, in order, and a table of what each has seen. The
 * steps share the cluster, so one that fails may take later ones with it: read the table from the top.
 */
import { HAND, startHand } from './hand.ts';
import { startProvider } from './provider.ts';
import { LeftOut, PROVIDER, SYSTEM, TASKS, openStage, until, type Stage, type StageOptions } from './stage.ts';
import { deleteLeader, drain, killBoth, restartRollout } from './steps/disturbances.ts';
import {
  deleteNamespace,
  enforcePodSecurity,
  installByChart,
  installByOverlay,
  uninstallChart,
  uninstallOverlay,
} from './steps/install.ts';
import { askDoctor, solveInPod } from './steps/consumer.ts';
import { keepThroughDeletion, leaveDurable } from './steps/durable.ts';
import { throughGateway } from './steps/gateway.ts';
import { everyPath, exampleJob } from './steps/paths.ts';
import { enforcePolicy } from './steps/policy.ts';
import { followReadme } from './steps/readme.ts';
import { checkUpgraded, restorePrevious } from './steps/upgrade.ts';
import { DEMO_NAMESPACE } from '../demo/seed.ts';
import { applyManifests } from '../control-plane/index.ts';

interface Step {
  name: string;
  run(stage: Stage): Promise<string>;
}

export const STEPS: readonly Step[] = [
  { name: 'README', run: followReadme },
  { name: 'chart', run: installByChart },
  { name: 'chart removed', run: uninstallChart },
  { name: 'previous release', run: restorePrevious },
  { name: 'overlay', run: installByOverlay },
  { name: 'upgrade', run: checkUpgraded },
  { name: 'doctor', run: askDoctor },
  { name: 'program in a pod', run: solveInPod },
  { name: 'pod security', run: enforcePodSecurity },
  { name: 'network policy', run: enforcePolicy },
  { name: 'every path', run: everyPath },
  { name: 'examples/job.yaml', run: exampleJob },
  { name: 'gateway', run: throughGateway },
  { name: 'leader deleted', run: deleteLeader },
  { name: 'containers killed', run: killBoth },
  { name: 'rollout restart', run: restartRollout },
  { name: 'drain', run: drain },
  { name: 'namespace deleted', run: (stage) => deleteNamespace(stage, DEMO_NAMESPACE) },
  { name: 'overlay removed', run: uninstallOverlay },
];

/** Only when asked for: they need volumes, and take the rights of the operator away for a while. Before the teardown. */
export const DURABLE: readonly Step[] = [
  { name: 'durable-spool', run: keepThroughDeletion },
  { name: 'durable-spool removed', run: leaveDurable },
];
const TEARDOWN = 'namespace deleted';

/** All of them, in order. */
export function stepsOf(durable: boolean): Step[] {
  const at = STEPS.findIndex(({ name }) => name === TEARDOWN);
  return durable ? [...STEPS.slice(0, at), ...DURABLE, ...STEPS.slice(at)] : [...STEPS];
}

export interface Row {
  step: string;
  end: 'done' | 'left out' | 'FAILED';
  seen: string;
  seconds: number;
}

export interface RunOptions {
  /** A step to begin with, in a cluster where an earlier run has done what is before it. */
  from: string | undefined;
  durable: boolean;
  /** Each row is added when its step ends, so that whoever breaks off can say how far it came. */
  rows: Row[];
}

/** Never throws for a step: its row says that it failed, and why. */
export async function runSteps(options: StageOptions, { from, durable, rows }: RunOptions): Promise<void> {
  const { stage, close } = await openStage(options);
  const steps = stepsOf(durable);
  const first = from === undefined ? 0 : steps.findIndex(({ name }) => name === from);
  if (first === -1) throw new Error(`no step ${from}; there are ${steps.map(({ name }) => name).join(', ')}`);
  try {
    if (from === undefined) rows.push(await rowOf({ name: 'simulator', run: prepare }, stage));
    if (rows[0]?.end === 'FAILED') return;
    for (const step of steps.slice(first)) rows.push(await rowOf(step, stage));
    // Where something failed, somebody will want to look.
    if (!rows.some(({ end }) => end === 'FAILED')) rows.push(await rowOf({ name: 'left as found', run: clean }, stage));
  } finally {
    await close();
  }
}

async function rowOf({ name, run }: Step, stage: Stage): Promise<Row> {
  const startedMs = performance.now();
  const took = (): number => Math.round((performance.now() - startedMs) / 100) / 10;
  stage.log(`${name} …`);
  try {
    const seen = await run(stage);
    stage.log(`${name}: ${seen} (${took()} s)`);
    return { step: name, end: 'done', seen, seconds: took() };
  } catch (error) {
    const end = error instanceof LeftOut ? 'left out' : 'FAILED';
    const seen = (error as Error).message;
    stage.log(`${name}: ${end}: ${seen} (${took()} s)`);
    return { step: name, end, seen, seconds: took() };
  }
}

async function prepare(stage: Stage): Promise<string> {
  const namespaces = [SYSTEM, TASKS, PROVIDER.namespace, HAND, DEMO_NAMESPACE];
  for (const name of namespaces) {
    const { status } = await stage.admin.get(`/api/v1/namespaces/${name}`);
    if (status !== 404) throw new Error(`the namespace ${name} is there already: this cluster is in use`);
  }
  await startProvider(stage);
  await startHand(stage);
  await stage.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: TASKS } }]);
  await applyManifests(stage.admin, ['deploy/tenant/rbac.yaml'], TASKS);
  await until('the simulator to answer', async () => (await stage.control.totals()) !== undefined);
  return 'answers as a pod';
}

async function clean({ kubectl }: Stage): Promise<string> {
  const namespaces = [TASKS, PROVIDER.namespace, HAND];
  await kubectl('delete', 'namespace', ...namespaces, '--timeout=120s');
  return 'the namespaces of the run are gone';
}

/** Lines for a terminal. */
export function tableOf(rows: readonly Row[]): string[] {
  const cells = rows.map(({ step, end, seen, seconds }) => [step, end, `${seconds.toFixed(1)} s`, seen]);
  const all = [['STEP', 'END', 'TIME', 'SEEN'], ...cells];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  return all.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
