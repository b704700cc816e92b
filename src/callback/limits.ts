/**
 * Every number the listener and the spool hold to, in one place. The protocol's limits are those of the contract
 * (section 6); the others keep a pod of a few hundred MiB safe from whoever can reach the port.
 * Tests override single ones through the options of the server.
 */

export const LIMITS = {
  /** Request line: method, target and version. Longer ones are answered 414. */
  requestLineBytes: 48 * 1024,
  /** All header fields together; more is answered 431. */
  headerBytes: 64 * 1024,
  bodyBytes: 64 * 1024,
  /** A client that has not sent its whole request by then is cut. */
  slowClientMs: 5_000,
  /** An idle kept-alive connection is closed after this time. */
  keepAliveMs: 5_000,
  /**
   * Connections at once; for one more, the one that has been idle longest is closed. Each may hold a head and a body of
   * the sizes above, 150 KiB as measured: a thousand of them leave the spool its share of the container's memory.
   */
  connections: 1_024,
  /** Requests at once, also of clients that have left; one more is answered 503, before its token is looked at. */
  requestsInFlight: 2_048,
  /** Longest time that a started process is not ready because API or disk are slow to be tried out. */
  warmUpMs: 2_000,
  /** How long one callback may try the Kubernetes API before it is spooled. */
  apiBudgetMs: 700,
  /** The answer leaves by then, within the second of the contract: what the API left of it is the disk's. */
  answerBudgetMs: 950,
  /** Callbacks at the API at once, and how many may wait for a place before the next is spooled at once. */
  directCalls: 32,
  directWaiting: 256,
  /** A task is made due for a poll by refused callbacks at most this often: the operator's poll interval. */
  pollRequestIntervalMs: 10_000,
  /** Bytes on disk; beyond, callbacks that cannot be applied are answered 503 and polling takes over. */
  spoolBytes: 256 * 1024 * 1024,
  /** Records in it, which cost memory however small they are: the bytes above, full of results of a token's size. */
  spoolRecords: 400_000,
  /** Undrained records of one task. A task has one result; more is somebody who learned its callback URL. */
  spoolRecordsPerTask: 8,
  segmentBytes: 8 * 1024 * 1024,
  drainConcurrency: 16,
  /** How long a stopping process goes on draining. */
  drainOnStopMs: 15_000,
} as const;

export type Limits = { readonly [Name in keyof typeof LIMITS]: number };
