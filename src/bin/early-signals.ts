/**
 * What a signal means before a process has its real handlers: nothing is open yet, so it ends at once with 0. A process
 * 1, as in a container, has no default action for SIGTERM: without a handler the signal is lost, and a pod that was
 * told to stop while it started would go on, take the Lease and lead until it is killed. So the entries load this file
 * before everything else, and nothing else with it.
 */

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const end = (): never => process.exit(0);

/** Returns the way to end it, for when the real handlers are set. */
export function endOnEarlySignals(): () => void {
  for (const signal of SIGNALS) process.on(signal, end);
  return () => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
}
