/** The entry of the gateway: listens to signals, then loads the process itself (`gateway/main.ts`). */
import { endOnEarlySignals } from './early-signals.ts';

const handOver = endOnEarlySignals();
void import('./gateway/main.ts').then(({ runGateway }) => runGateway(handOver));
