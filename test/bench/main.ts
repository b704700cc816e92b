/**
 * `npm run bench [-- <name> …]`: the figures of the project, each with its target where there is one. Machines differ,
 * so throughput is a ratio to the raw API server measured in the same run. Without a name all are run.
 */
import { tmpdir } from 'node:os';

import { benchDrain } from './drain.ts';
import { benchGateway } from './gateway.ts';
import { benchLatency } from './latency.ts';
import { benchMemory } from './memory.ts';
import { benchOutage } from './outage.ts';
import { benchScale } from './scale.ts';
import { benchSpool } from './spool.ts';
import { benchWalk } from './walk.ts';

const BENCHES: Record<string, () => Promise<boolean>> = {
  drain: () => benchDrain({ tasks: number('BENCH_TASKS', 2_000), rawTasks: 700 }),
  // Half of the peak that `drain` shows on two cores (320 writes/s), creations counted as writes.
  latency: () => benchLatency({ tasksPerSecond: number('BENCH_RATE', 40), seconds: number('BENCH_SECONDS', 30) }),
  scale: () => benchScale(number('BENCH_UNFINISHED', 50_000)),
  memory: () => benchMemory(),
  walk: () => benchWalk(),
  outage: () => benchOutage({ seconds: number('BENCH_SECONDS', 60), rate: number('BENCH_RATE', 100) }),
  gateway: () => benchGateway({ tasks: 1_000, clients: 200, seconds: number('BENCH_SECONDS', 30) }),
  // BENCH_DIR: on the disk that is to be measured, not in memory.
  spool: () =>
    benchSpool({
      seconds: number('BENCH_SECONDS', 60),
      rates: [2_000, 5_000],
      directory: process.env['BENCH_DIR'] ?? tmpdir(),
    }),
};

function number(name: string, fallback: number): number {
  return Number(process.env[name] ?? fallback);
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => BENCHES[name] === undefined);
if (unknown.length > 0) {
  console.error(`bench: unknown ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
let sound = true;
for (const [name, run] of Object.entries(BENCHES)) {
  if (asked.length === 0 || asked.includes(name)) sound = (await run()) && sound;
}
process.exit(sound ? 0 : 1);
