/**
 * A process that holds a spool directory until it is killed. Arguments: the directory, and how many records it may hold
 * in memory. Says how many lie there. Started by the spool's tests.
 */
import { createSpool } from '../../src/callback/spool/spool.ts';
import type { SpoolEntry } from '../../src/callback/spool/types.ts';

const [directory = '', maxRecords = '100000'] = process.argv.slice(2);
/** As the drainer keeps them. */
const backlog: { entry: SpoolEntry; failures: number }[] = [];
const spool = createSpool({
  directory,
  maxBytes: 100_000_000,
  maxRecords: Number(maxRecords),
  maxRecordsPerTask: 8,
  segmentBytes: 8 * 1024 * 1024,
  onEntry: (entry) => backlog.push({ entry, failures: 0 }),
  onFault: (fault, code) => process.stderr.write(`${fault} ${code}\n`),
  onTokenCandidates: () => undefined,
});
await spool.open();
process.send?.(spool.stats().records);
setInterval(() => undefined, 60_000);
