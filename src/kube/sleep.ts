/** Waits, unless there is nothing to wait for any more. For the Lease, the reflector and sweeps. */

/** Resolves after the delay, or at once when the signal aborts. */
export function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, delayMs);
    return signal.addEventListener('abort', finish, { once: true });
  });
}
