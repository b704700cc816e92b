/** The entry of the operator: listens to signals, then loads the process itself (`operator/main.ts`). */
import { endOnEarlySignals } from './early-signals.ts';

const handOver = endOnEarlySignals();
const { runOperator } = await import('./operator/main.ts');
await runOperator(handOver);
