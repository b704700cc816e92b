/**
 * Waiting with a timer: for a time to pass, for work that has no deadline of its own, for a place at a gate. Every wait
 * is bounded, ends at once when its signal aborts, and leaves no timer and no listener behind. It lives here and not in
 * `waiting/`, because that room is pure and knows no timers.
 */
import type { Gate } from '../waiting/gate.ts';

/** Told false when somebody begins to wait for a turn, true when it has come or was given up. */
export type OnTurn = (isOurs: boolean) => void;

/** True after the delay; false at once when the signal aborts before that. Without a delay it answers at once. */
export async function pause(delayMs: number, signal: AbortSignal | undefined): Promise<boolean> {
  if (signal?.aborted) return false;
  if (delayMs === 0) return true;
  return new Promise((resolve) => void alarm(delayMs, signal, resolve));
}

/** What `work` gives; undefined where the time was over, or the signal aborted, before that. The work itself goes on. */
export async function within<T>(work: Promise<T>, timeoutMs: number, signal?: AbortSignal): Promise<T | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const cancel = alarm(timeoutMs, signal, () => resolve(undefined));
  try {
    return await Promise.race([work, over]);
  } finally {
    cancel();
  }
}

/** True once a place is held, at once where one is free; false where the time is over, or the signal aborts, before. */
export function enterWithin(gate: Gate, giveUpMs: number, signal?: AbortSignal): Promise<boolean> | true {
  if (gate.enter()) return true;
  return new Promise((resolve) => {
    const giveUp = gate.wait(() => {
      cancel();
      resolve(true);
    });
    if (giveUp === undefined) return resolve(false);
    const cancel = alarm(giveUpMs, signal, () => {
      giveUp();
      resolve(false);
    });
    return undefined;
  });
}

/** Rings once, by time (true) or by the signal (false), unless it is cancelled. */
function alarm(delayMs: number, signal: AbortSignal | undefined, ring: (isTime: boolean) => void): () => void {
  const end = (isTime: boolean): void => {
    cancel();
    ring(isTime);
  };
  const onAbort = (): void => end(false);
  // A time that is over already, because the event loop was held up, is no number for a timer.
  const timer = setTimeout(end, Math.max(0, delayMs), true);
  const cancel = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  return cancel;
}
