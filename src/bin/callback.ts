/** The entry of the callback sidecar: listens to signals, then loads the process itself (`callback/main.ts`). */
import { endOnEarlySignals } from './early-signals.ts';

const handOver = endOnEarlySignals();
const { runCallback } = await import('./callback/main.ts');
await runCallback(handOver);
