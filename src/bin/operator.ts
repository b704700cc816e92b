/** The entry of the operator: listens to signals, then loads the process itself (`operator/main.ts`). */
import { endOnEarlySignals } from './early-signals.ts';

const handOver = endOnEarlySignals();
void import('./operator/main.ts').then(({ runOperator }) => runOperator(handOver));
