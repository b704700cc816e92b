/** A process that holds a spool directory until it is killed. Started by the spool's tests. */
import { createSpool } from '../../src/callback/spool/spool.ts';

const spool = createSpool({
  directory: process.argv[2] ?? '',
  maxBytes: 1_000_000,
  maxRecords: 100_000,
  maxRecordsPerTask: 8,
  segmentBytes: 100_000,
  onEntry: () => undefined,
  onFault: (fault, code) => process.stderr.write(`${fault} ${code}\n`),
  onTokenCandidates: () => undefined,
});
await spool.open();
process.send?.('open');
setInterval(() => undefined, 60_000);
