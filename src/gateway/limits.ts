/**
 * Every number that the gateway holds to, in one place. Its callers are programs of the cluster and have keys, but a
 * program that runs wild must not take the others with it. Tests override single ones through the options of the server.
 */

export const LIMITS = {
  /** Whole submissions come as queries, too: an image in base64 does not fit into a request line anywhere else either. */
  requestLineBytes: 96 * 1024,
  headerBytes: 32 * 1024,
  /** A form of nine tiles, or of the largest image that a task holds, with every `+` and `/` escaped. */
  bodyBytes: 640 * 1024,
  /** Characters of base64 in the field of a task. */
  imageCharacters: 200_000,
  /** Fields of one call; a task of type Custom holds 64. */
  fields: 80,
  /** Of all bodies that are being read: what is above is refused as if all threads were busy. One address has half. */
  bodiesBytes: 48 * 1024 * 1024,
  slowClientMs: 15_000,
  /** Shorter than any client of the family waits between two polls, longer than a batch of them takes. */
  keepAliveMs: 4_000,
  connections: 2_048,
  connectionsOfAddress: 1_024,
  requestsInFlight: 2_048,
  /** One namespace's beyond these are answered at once, whatever they would wait for. */
  requestsOfNamespace: 512,
  /** How long an answer of `in.php` is held back until there is room, or an API server. */
  submitHoldMs: 20_000,
  /** The longest `wait=`. */
  pollHoldMs: 60_000,
  /** One try of a create, and one quorum read. */
  callMs: 8_000,
  lookUpMs: 4_000,
  /** Quorum reads of one namespace; whoever asks for more is told "not ready". */
  lookUpsPerSecond: 20,
  /** Ids in one `ids=`. */
  ids: 100,
  /** How long a task that nobody asked for is looked for, and how long after its create it may still turn up. */
  withdrawMs: 600_000,
  lateCreateMs: 70_000,
  /** How long requests under way have to end when the process stops. */
  stopGraceMs: 10_000,
} as const;

export type Limits = { readonly [Name in keyof typeof LIMITS]: number };
