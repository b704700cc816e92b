/**
 * The crash points of the journal's protocol, all of them: those of `test/cluster/crash-points.test.ts`, the same again
 * for tasks that no callback is sent for, and what takes minutes. Rows run beside each other, on a control plane of
 * their own.
 */
import { randomBytes } from 'node:crypto';
import { OPERATOR } from '../../dev/control-plane/index.ts';
import { startInstallation } from '../../dev/installation.ts';
import { openCell } from './cell.ts';
import { type Ground, type Land, openGround } from './ground.ts';
import { ROWS } from './points/index.ts';
import { LONG } from './points/long.ts';
import type { Row } from './points/point.ts';

export interface CrashReport {
  points: number;
  wrong: string[];
}

interface Run {
  name: string;
  row: Row;
  delivery: 'Callback' | 'Poll';
}

/** Rows about callbacks have no other form. */
const CALLBACKS_ONLY: ReadonlySet<string> = new Set(['sidecar']);

function allRuns(): Run[] {
  const runs: Run[] = [];
  for (const [name, row] of Object.entries({ ...ROWS, ...LONG })) runs.push({ name, row, delivery: 'Callback' });
  for (const [name, row] of Object.entries(ROWS)) {
    if (!CALLBACKS_ONLY.has(name)) runs.push({ name: `polled-${name}`, row, delivery: 'Poll' });
  }
  return runs;
}

/** @param only rows whose name has one of these words; all where there is none */
export async function tortureCrashes(say: (text: string) => void, only: readonly string[]): Promise<CrashReport> {
  const installation = await startInstallation({ log: say, env: process.env });
  const { controlPlane, admin } = installation;
  const { serverURL, caFile } = controlPlane;
  const land = { admin, serverURL, caFile, operatorKubeconfig: await controlPlane.kubeconfigFor(OPERATOR) };
  const shared = await openGround(land);
  const report: CrashReport = { points: 0, wrong: [] };
  const runs = allRuns().filter(({ name }) => only.length === 0 || only.some((word) => name.includes(word)));
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let run = runs[next++]; run !== undefined; run = runs[next++])
      await runRow(run, { land, shared, report, say });
  };
  try {
    await Promise.all(Array.from({ length: 8 }, worker));
  } finally {
    await shared.stop();
    await installation.stop();
  }
  return report;
}

interface Surroundings {
  land: Land;
  shared: Ground;
  report: CrashReport;
  say: (text: string) => void;
}

async function runRow({ name, row, delivery }: Run, { land, shared, report, say }: Surroundings): Promise<void> {
  const isAlone = name.startsWith('sidecar');
  const ground = isAlone ? await openGround(land) : shared;
  const cell = await openCell(ground, `${name}-${randomBytes(3).toString('hex')}`, delivery);
  try {
    for (const point of row) {
      await point.run(cell);
      report.points += 1;
      say(`${name} · ${point.name}`);
    }
    report.wrong.push(...(await cell.judge()).map((text) => `${name}: ${text}`));
  } catch (error) {
    report.wrong.push(`${name}: ${String(error)}`);
  } finally {
    await cell.stop();
    if (isAlone) await ground.stop();
  }
}
