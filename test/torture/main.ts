/**
 * `npm run torture [-- spool | mutants | cluster …]`: answered 200 is never lost and never applied twice, however often
 * the sidecar is killed. Prints a table; ends with 1 on a violation, also when a mutant is not caught. Sizes:
 * TORTURE_KILLS and TORTURE_ANSWERED (level 1: 1,000 and 1,000,000), TORTURE_CLUSTER_KILLS and TORTURE_CLUSTER_TASKS
 * (level 2: 200 and 20,000), TORTURE_SEED; TORTURE_MINUTES (60) ends level 1 early, with what it has by then.
 */
import { tortureCluster } from './cluster-level.ts';
import { tortureSpool } from './spool-level.ts';
import type { TortureReport } from './spool-level.ts';

const number = (name: string, fallback: number): number => Number(process.env[name] ?? fallback);
const seed = number('TORTURE_SEED', 1);
const progress = (text: string): void => void process.stderr.write(`  ${text}\n`);
const HEADER = ['run', 'kills', 'outages', 'answered 200', 'lost', 'twice', 'slowest', 'verdict'];

function row(name: string, report: TortureReport, expected: boolean): boolean {
  const cells = [
    name,
    report.kills,
    report.outages,
    report.answered,
    report.lost,
    report.twice,
    `${report.slowestMs.toFixed(0)} ms`,
    expected ? 'as it must be' : 'VIOLATION',
  ];
  console.log(cells.map((cell) => String(cell).padEnd(15)).join(''));
  for (const text of report.wrong) console.log(`    ${text}`);
  if (report.refused !== '') console.log(`    not answered 200: ${report.refused}`);
  return expected;
}

async function spoolRun(): Promise<boolean> {
  const sizes = { kills: number('TORTURE_KILLS', 1_000), answered: number('TORTURE_ANSWERED', 1_000_000) };
  const boundMs = number('TORTURE_MINUTES', 60) * 60_000;
  const report = await tortureSpool({ ...sizes, boundMs, seed, onProgress: progress });
  if (report.answered < sizes.answered) console.log(`    ended early: ${sizes.answered} answers were asked for`);
  return row('spool', report, report.lost === 0 && report.twice === 0 && report.wrong.length === 0);
}

async function mutantRuns(): Promise<boolean> {
  const sizes = { kills: 20, answered: 5_000, seed };
  const early = await tortureSpool({ ...sizes, mutant: 'answer-before-write' });
  const unchecked = await tortureSpool({ ...sizes, mutant: 'check-then-insert' });
  const caughtEarly = row('early answer', early, early.lost > 0);
  return row('no test', unchecked, unchecked.twice > 0) && caughtEarly;
}

async function clusterRun(): Promise<boolean> {
  const sizes = { kills: number('TORTURE_CLUSTER_KILLS', 200), tasks: number('TORTURE_CLUSTER_TASKS', 20_000) };
  const report = await tortureCluster({ ...sizes, seed, onProgress: progress });
  return row('control plane', report, report.lost === 0 && report.twice === 0 && report.wrong.length === 0);
}

const RUNS: Record<string, () => Promise<boolean>> = { spool: spoolRun, mutants: mutantRuns, cluster: clusterRun };
const asked = process.argv.slice(2);
console.log(HEADER.map((cell) => cell.padEnd(15)).join(''));
let sound = true;
for (const [name, run] of Object.entries(RUNS)) {
  if (asked.length === 0 || asked.includes(name)) sound = (await run()) && sound;
}
process.exit(sound ? 0 : 1);
