/**
 * Leader election by a `coordination.k8s.io/v1` Lease. It says who may start work; it stops nobody, so whoever acts asks
 * `isLeader()` right before. It ends no process: an API outage makes it step down and campaign again. Needs the
 * verbs get, create and update on leases.
 *
 * - *candidate*: reads the Lease every retry period. Takes it when nobody holds it, or when it has not *changed* for a
 *   lease duration by the local monotonic clock since this process first saw it so. Its timestamps are never compared:
 *   other machines' clocks are wrong.
 * - *leader*: renews every retry period. The monotonic instant before a renewal was sent is what counts; when the last
 *   one is a renew deadline old, it is no leader, and `isLeader()` says so even if no timer could run (paused process).
 *   The deadline is shorter than the lease duration, so nobody else leads before. A suspended machine may stop the
 *   monotonic clock as well: what must not happen twice is fenced by resourceVersions, not by the Lease alone.
 * - *released*: holder emptied, so that another takes over at once; final.
 */
import type { KubeClient } from './client.ts';
import { pause } from './pause.ts';
import { microTime } from './types.ts';
import type { ApiFailure, ApiReply, KubeObject, Resource } from './types.ts';

const LEASE: Resource = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };

interface LeaseDurations {
  /** A Lease that did not change for so long may be taken. */
  leaseDurationMs: number;
  /** A holder that could not renew for so long is no leader any more. */
  renewDeadlineMs: number;
  retryPeriodMs: number;
}

/** 15 s, 10 s, 2 s unless told otherwise. */
export interface LeaseOptions extends Partial<LeaseDurations> {
  client: Pick<KubeClient, 'execute'>;
  namespace: string;
  name: string;
  /** Unique for each process, also after a restart. */
  identity: string;
  monotonicMs?: () => number;
  /** Epoch milliseconds, written into the Lease for people to read. */
  now?: () => number;
  random?: () => number;
  hooks?: {
    /** The first failure in a row to read or write the Lease; `message` is a reason and a status. */
    onTrouble?(message: string): void;
  };
}

export interface Lease {
  /** Whether work may be started at this instant. */
  isLeader(): boolean;
  /** Whether it was taken from a holder that had not handed it back, and that may not know yet. */
  wasTaken(): boolean;
  /** Told after each change, synchronously. Returns the way to unsubscribe. */
  onChange(callback: (leading: boolean) => void): () => void;
  /** Steps down and hands the Lease back (at most a few seconds). Without effect when it is not held. */
  release(): Promise<void>;
  /** Steps down without handing it back. */
  stop(): Promise<void>;
}

interface LeaseSpec {
  holderIdentity?: string | null;
  leaseDurationSeconds?: number | null;
  leaseTransitions?: number | null;
  [field: string]: unknown;
}
type LeaseObject = KubeObject & { spec?: LeaseSpec };

interface State {
  options: Required<Omit<LeaseOptions, 'hooks'>>;
  onTrouble: (message: string) => void;
  listeners: Set<(leading: boolean) => void>;
  leading: boolean;
  taken: boolean;
  /** Monotonic instant before the last successful renewal was sent. */
  renewedMs: number;
  /** The Lease as last read or written, and the monotonic instant at which this version was first seen. */
  seen: { object: LeaseObject; sinceMs: number } | undefined;
  deadline: NodeJS.Timeout | undefined;
  troubled: boolean;
  stopping: AbortController;
}

const DEFAULTS = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2_000,
  monotonicMs: () => performance.now(),
  now: () => Date.now(),
  random: Math.random,
};

/** Four calls at most; whoever stops the process waits six seconds for them. */
const HAND_BACK_TIMEOUT_MS = 1_500;

/**
 * Starts to campaign at once.
 * @throws Error for durations with which there could be two leaders, or a leader could not keep the Lease
 */
export function startLease(options: LeaseOptions): Lease {
  const { hooks, ...rest } = options;
  refuseUnsafe({ ...DEFAULTS, ...rest });
  const state: State = {
    options: { ...DEFAULTS, ...rest },
    onTrouble: (message) => hooks?.onTrouble?.(message),
    listeners: new Set(),
    leading: false,
    taken: false,
    renewedMs: -Infinity,
    seen: undefined,
    deadline: undefined,
    troubled: false,
    stopping: new AbortController(),
  };
  const campaign = runCampaign(state);
  const stop = async () => {
    state.stopping.abort();
    stepDown(state);
    await campaign;
  };
  return {
    isLeader: () => checkDeadline(state),
    wasTaken: () => state.taken,
    onChange(callback) {
      state.listeners.add(callback);
      return () => state.listeners.delete(callback);
    },
    stop,
    async release() {
      await stop();
      await handBack(state);
    },
  };
}

/** client-go's factor: a round may come that much later. */
const RETRY_MARGIN = 1.2;

function refuseUnsafe({ leaseDurationMs, renewDeadlineMs, retryPeriodMs }: LeaseDurations): void {
  if (!(retryPeriodMs > 0)) throw new Error('lease: the retry period must be longer than nothing');
  if (!(renewDeadlineMs > retryPeriodMs * RETRY_MARGIN)) {
    throw new Error('lease: the renew deadline must leave time for a second try');
  }
  if (!(leaseDurationMs > renewDeadlineMs)) {
    throw new Error('lease: the renew deadline must be shorter than the lease duration, or two could lead');
  }
}

async function runCampaign(state: State): Promise<void> {
  while (!state.stopping.signal.aborted) {
    await renewOrAcquire(state);
    await pause(untilNextRound(state), state.stopping.signal);
  }
}

async function renewOrAcquire(state: State): Promise<void> {
  // A leader knows the version that its own last write returned and needs no read.
  if (checkDeadline(state) && state.seen !== undefined) {
    const renewed = await writeHeld(state, state.seen.object);
    if (renewed !== 'conflict') return;
  }
  const { namespace, name } = state.options;
  const reply = await call(state, { verb: 'get', resource: LEASE, namespace, name, read: 'quorum' });
  if (reply.ok) await consider(state, reply.object as LeaseObject);
  else if (reply.status === 404 && !reply.transient) await createHeld(state);
  else trouble(state, reply);
}

async function consider(state: State, object: LeaseObject): Promise<void> {
  look(state, object);
  // Somebody else holds it, whatever our clock says.
  if (object.spec?.holderIdentity !== state.options.identity) stepDown(state);
  if (mayTake(state)) await writeHeld(state, object);
}

/** Notes when this version of the Lease was first seen. */
function look(state: State, object: LeaseObject): void {
  if (state.seen?.object.metadata.resourceVersion === object.metadata.resourceVersion) return;
  state.seen = { object, sinceMs: state.options.monotonicMs() };
}

function mayTake(state: State): boolean {
  if (state.seen === undefined) return false;
  const holder = state.seen.object.spec?.holderIdentity ?? '';
  if (holder === '' || holder === state.options.identity) return true;
  return state.options.monotonicMs() - state.seen.sinceMs >= durationMs(state);
}

/** The longer of the holder's promise and ours. */
function durationMs(state: State): number {
  const promised = state.seen?.object.spec?.leaseDurationSeconds ?? 0;
  return Math.max(state.options.leaseDurationMs, promised * 1000);
}

async function writeHeld(state: State, object: LeaseObject): Promise<'done' | 'conflict'> {
  const { namespace, name, identity, monotonicMs } = state.options;
  const spec = object.spec ?? {};
  const isOurs = spec.holderIdentity === identity;
  const transitions = (spec.leaseTransitions ?? 0) + (isOurs ? 0 : 1);
  const sentMs = monotonicMs();
  const held = withSpec(object, { ...spec, ...heldSpec(state, isOurs), leaseTransitions: transitions });
  const reply = await call(state, { verb: 'replace', resource: LEASE, namespace, name, object: held });
  if (reply.ok) {
    if (!isOurs) state.taken = (spec.holderIdentity ?? '') !== '';
    won(state, reply.object as LeaseObject, sentMs);
  } else if (reply.status === 409 || reply.status === 404) return 'conflict';
  else trouble(state, reply);
  return 'done';
}

async function createHeld(state: State): Promise<void> {
  const { namespace, name, monotonicMs } = state.options;
  const sentMs = monotonicMs();
  const object = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace, name },
    spec: { ...heldSpec(state, false), leaseTransitions: 0 },
  };
  const reply = await call(state, { verb: 'create', resource: LEASE, namespace, object });
  if (reply.ok) won(state, reply.object as LeaseObject, sentMs);
  else if (reply.status === 409) stepDown(state);
  else trouble(state, reply);
}

function heldSpec(state: State, isRenewal: boolean): LeaseSpec {
  const nowText = microTime(state.options.now());
  return {
    holderIdentity: state.options.identity,
    leaseDurationSeconds: Math.max(1, Math.ceil(state.options.leaseDurationMs / 1000)),
    renewTime: nowText,
    ...(isRenewal ? {} : { acquireTime: nowText }),
  };
}

/** Labels and annotations of other people stay; managedFields may be left out. */
function withSpec(object: LeaseObject, spec: LeaseSpec): object {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata, spec };
}

function won(state: State, object: LeaseObject, sentMs: number): void {
  look(state, object);
  state.troubled = false;
  if (state.stopping.signal.aborted) return;
  state.renewedMs = sentMs;
  clearTimeout(state.deadline);
  const restMs = state.options.renewDeadlineMs - (state.options.monotonicMs() - sentMs);
  if (restMs <= 0) return stepDown(state);
  state.deadline = setTimeout(() => checkDeadline(state), restMs + 1);
  return change(state, true);
}

/** Whether it leads; steps down when the last renewal is too old. */
function checkDeadline(state: State): boolean {
  if (!state.leading) return false;
  if (state.options.monotonicMs() - state.renewedMs < state.options.renewDeadlineMs) return true;
  stepDown(state);
  return false;
}

function stepDown(state: State): void {
  clearTimeout(state.deadline);
  change(state, false);
}

function change(state: State, leading: boolean): void {
  if (state.leading === leading) return;
  if (leading && state.stopping.signal.aborted) throw new Error('lease: won after it was stopped');
  state.leading = leading;
  for (const listener of state.listeners) listener(leading);
}

/** Every round is jittered, so that candidates do not ask in step; a candidate also looks right after the expiry. */
function untilNextRound(state: State): number {
  const { retryPeriodMs, random, monotonicMs } = state.options;
  const periodMs = retryPeriodMs * (0.8 + 0.2 * random());
  if (state.leading || state.seen === undefined) return periodMs;
  const restMs = state.seen.sinceMs + durationMs(state) - monotonicMs();
  return restMs > 0 ? Math.min(periodMs, restMs + 10) : periodMs;
}

/** A renewal that was given up may still arrive in between; then once more, with what it left. */
async function handBack(state: State): Promise<void> {
  if ((await emptyHolder(state)) === 'conflict') await emptyHolder(state);
}

async function emptyHolder(state: State): Promise<'done' | 'conflict'> {
  const { client, namespace, name, identity, now } = state.options;
  const place = { resource: LEASE, namespace, name };
  const options = { timeoutMs: HAND_BACK_TIMEOUT_MS, urgent: true };
  const read = await client.execute({ verb: 'get', ...place, read: 'quorum' }, options);
  const object = read.ok ? (read.object as LeaseObject) : undefined;
  if (object?.spec?.holderIdentity !== identity) return 'done';
  const released = withSpec(object, { ...object.spec, holderIdentity: '', renewTime: microTime(now()) });
  const reply = await client.execute({ verb: 'replace', ...place, object: released }, options);
  return !reply.ok && reply.status === 409 ? 'conflict' : 'done';
}

/** A renewal must not wait behind other requests, and must leave time for a second try before the deadline. */
function call(state: State, request: Parameters<KubeClient['execute']>[0]): Promise<ApiReply> {
  const timeoutMs = state.options.renewDeadlineMs / 2;
  return state.options.client.execute(request, { timeoutMs, urgent: true, signal: state.stopping.signal });
}

function trouble(state: State, failure: ApiFailure): void {
  if (state.troubled || state.stopping.signal.aborted) return;
  state.troubled = true;
  state.onTrouble(`${failure.reason} (${failure.status})`);
}
