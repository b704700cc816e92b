/** Waits for a state of the world with a reason and a bound, instead of sleeping and hoping. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks `look` every `everyMs` until it returns something other than undefined or false, and returns that. An error that
 * it throws counts as "not yet". After `boundMs` throws "waited … for <reason>", with what was last seen.
 */
export async function waitUntil<T>(
  reason: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { boundMs = 30_000, everyMs = 50 }: { boundMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadlineMs = performance.now() + boundMs;
  let last = 'nothing';
  while (performance.now() < deadlineMs) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      last = String(seen);
    } catch (error) {
      last = String(error);
    }
    await delay(everyMs);
  }
  throw new Error(`waited ${boundMs} ms for ${reason}; last seen: ${last}`);
}
