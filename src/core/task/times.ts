/**
 * Kubernetes times as text and back: RFC 3339 in whole seconds. The core computes in epoch milliseconds and meets
 * text only where status is read or written. Refuses fractions and never reads a clock; `fold`, `decide` and the
 * letter rules use it.
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
