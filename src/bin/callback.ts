/** The entry of the callback sidecar: listens to signals, then loads the process itself (`callback/main.ts`). */
import { endOnEarlySignals } from './early-signals.ts';

const handOver = endOnEarlySignals();
void import('./callback/main.ts').then(({ runCallback }) => runCallback(handOver));
