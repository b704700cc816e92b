/**
 * `npm run model`: explores every world and every mutant and prints a line for each, with the way to each fault.
 * `npm run model -- letters` takes those whose name has that word. Ends 1 where a world has a fault or a mutant lives.
 */
import { FULL } from './configurations.ts';
import { type Exploration, explore } from './explore.ts';
import { createModel } from './model.ts';
import { JOURNAL_MUTANTS } from './journal-mutants.ts';
import { MUTANTS } from './mutants.ts';
import { PRODUCT } from './product.ts';

const words = process.argv.slice(2);
const isWanted = (name: string): boolean => words.length === 0 || words.some((word) => name.includes(word));

function report(name: string, { states, steps, seconds, complete, faults }: Exploration): void {
  const cut = complete ? '' : ', not all of them';
  console.log(`${name}: ${states} states, ${steps} steps, ${seconds.toFixed(1)} s${cut}`);
  for (const { sentence, trace, end } of faults) {
    const lines = trace.map((line, at) => `    ${String(at + 1).padStart(3)} ${line}`);
    console.log(`  BROKEN: ${sentence}\n${lines.join('\n')}\n        ${end}`);
  }
}

for (const [name, configuration] of Object.entries(FULL)) {
  if (!isWanted(name)) continue;
  const found = explore(createModel(configuration, PRODUCT));
  report(name, found);
  if (found.faults.length > 0) process.exitCode = 1;
}
for (const [name, { world, breaks, product }] of Object.entries({ ...JOURNAL_MUTANTS, ...MUTANTS })) {
  if (!isWanted(name)) continue;
  const found = explore(createModel(world, product), { until: breaks });
  const faults = found.faults.filter(({ sentence }) => sentence === breaks);
  report(`mutant: ${name}`, { ...found, faults });
  if (faults.length > 0) continue;
  console.log(`  NOT CAUGHT as it should be: ${breaks}`);
  process.exitCode = 1;
}
