/**
 * Kubernetes times as text and back. The core computes in epoch milliseconds and meets text only where status is read
 * or written. It writes whole seconds, as Kubernetes does, and reads what others wrote, fractions too. It never reads a
 * clock.
 */

/** Times are epoch milliseconds. */
export type Millis = number;

/** Whole seconds, rounded down, so that nothing is ever due later than it was asked for. */
export function formatTime(at: Millis): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** Epoch milliseconds, or undefined where the text is absent or no time at all. */
export function parseTime(text: string | undefined): Millis | undefined {
  if (text === undefined) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
