/**
 * The MicroTime of Kubernetes: RFC 3339 with exactly six fractional digits; Leases and Events refuse anything else.
 * Pure. Called by `lease.ts` and `events.ts`. Source: `metav1.RFC3339Micro`.
 */

/** @param epochMs milliseconds since 1970; the digits below a millisecond are zero */
export function microTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('Z', '000Z');
}
