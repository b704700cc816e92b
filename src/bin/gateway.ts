/** The entry of the gateway: listens to signals, then loads the process itself (`gateway/main.ts`). */
import { endOnEarlySignals } from './early-signals.ts';

const handOver = endOnEarlySignals();
const { runGateway } = await import('./gateway/main.ts');
await runGateway(handOver);
