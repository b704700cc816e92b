/** A process that logs three lines and ends as its argument says; run by test/rooms/log-process.test.ts. */
import { createLogger } from '../../src/ops/log.ts';

const log = createLogger({ level: 'info', component: 'operator' });

const ENDS: Readonly<Record<string, () => void>> = {
  exit: () => process.exit(3),
  throw: () => {
    throw new Error('a bug');
  },
  killAtTheWarning: () => process.kill(process.pid, 'SIGKILL'),
  manyLines: () => {
    for (let n = 0; n < 5_000; n++) log.info('more', { n, text: 'x '.repeat(50) });
    process.exit(0);
  },
};

log.info('first');
log.warn('second');
log.info('third');
ENDS[process.argv[2] ?? '']?.();
