/**
 * The walk of one new task through the house, from its watch event to `Submitted`: which files and functions of `src`
 * are called, how often, and how many turns the loop takes. API and provider are models in memory, so that it shows
 * the operator's own part. `npm run bench -- walk`; with WALK=all it lists every function.
 */
import { Session } from 'node:inspector/promises';
import { aTask } from '../support/builders.ts';
import { startStage } from '../support/task-controller.ts';

interface Called {
  file: string;
  name: string;
  calls: number;
}

export async function benchWalk(): Promise<boolean> {
  const stage = await startStage();
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  await session.post('Profiler.takePreciseCoverage');
  stage.apply(aTask().created(Date.now()));
  await stage.until('submitted', ({ status }) => status?.phase === 'Submitted');
  // What follows from the last write belongs to the walk.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const { result } = await session.post('Profiler.takePreciseCoverage');
  session.disconnect();
  await stage.controller.stop({ drainMs: 0 });
  print(result.flatMap(calledIn));
  return true;
}

function calledIn({ url, functions }: { url: string; functions: Coverage[] }): Called[] {
  const file = /\/src\/(.*)$/.exec(url)?.[1];
  if (file === undefined || file.includes('bench')) return [];
  return functions
    .map(({ functionName: name, ranges: [range] }) => ({ file, name, calls: range?.count ?? 0 }))
    .filter(({ calls, name }) => calls > 0 && name !== '');
}

interface Coverage {
  functionName: string;
  ranges: { count: number }[];
}

function print(called: Called[]): void {
  const files = new Set(called.map(({ file }) => file));
  const calls = called.reduce((sum, one) => sum + one.calls, 0);
  const turns = called.find(({ name }) => name === 'decideTask')?.calls ?? 0;
  console.log(`walk: ${files.size} files, ${called.length} functions, ${calls} calls, ${turns} turns of the loop`);
  for (const file of [...files].sort()) {
    const here = called.filter((one) => one.file === file);
    const names = here.map(({ name, calls: times }) => (times === 1 ? name : `${name}×${times}`));
    console.log(`  ${file}: ${process.env['WALK'] === 'all' ? names.join(' ') : here.length}`);
  }
}
