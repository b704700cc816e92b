/**
 * Applies what waits in the spool, oldest first, a bounded number at a time. A record leaves the spool only when its
 * verdict says that its result is in status or in a dead letter, or provably need not be.
 *
 *   draining  while the Kubernetes API is up. A record that fails while others succeed waits by itself and holds nobody
 *             up (`backlog.ts`).
 *   probing   while it is down: one record at a time is tried, every few seconds, another each time. These probes are
 *             how the sidecar learns that the API is back. A success of anybody, a fresh callback's included, ends it:
 *             one record that failed because of the API is tried at once, and two more for each that then succeeds.
 *   stopping  goes on as before for a bounded time, with no record waiting for its delay.
 *   stopped   for good: tries under way are broken off, and what is offered now stays on the disk.
 */
import { exponentialBackoff } from '../waiting/backoff.ts';
import { createPacer } from '../waiting/pace.ts';
import { makePollDue, receiveCallback } from '../core/callback/callback.ts';
import type { CallbackVerdict } from '../core/callback/callback.ts';
import type { Protocol } from '../core/protocol.ts';
import { parseToken } from '../core/token.ts';
import type { TokenClaims } from '../core/token.ts';
import { within } from '../kube/pause.ts';
import { isUnavailable } from './api-health.ts';
import type { ApiHealth } from './api-health.ts';
import { createBacklog } from './backlog.ts';
import type { Backlog, Waiting } from './backlog.ts';
import { nameOfError } from '../ops/redact.ts';
import { resultOf } from './hooks.ts';
import type { CallbackHooks } from './hooks.ts';
import type { RunCallbackProtocol } from './intake.ts';
import type { SpoolRecord } from './spool/record.ts';
import type { Spool, SpoolEntry } from './spool/types.ts';

export interface Drainer {
  /** A record that is to be applied. */
  offer(entry: SpoolEntry): void;
  /** Drains on until nothing is left or `boundMs` is over, then stops for good. */
  stop(boundMs: number): Promise<void>;
}

export interface DrainerOptions {
  spool: Pick<Spool, 'read' | 'release'>;
  run: RunCallbackProtocol;
  hooks: Pick<CallbackHooks, 'onResult' | 'onVerdict' | 'onDeferred' | 'onSpoolFault' | 'onCrash'>;
  health: ApiHealth;
  concurrency: number;
}

const CALL_TIMEOUT_MS = 10_000;

/** So that draining begins within seconds of the API's return. */
const probeDelay = exponentialBackoff({ baseMs: 500, maxMs: 2_500, random: Math.random });
const WAKES_PER_SECOND = 1;

export function createDrainer(options: DrainerOptions): Drainer {
  const { health, concurrency } = options;
  const stopped = new AbortController();
  const probe = createProbe();
  const wakes = createPacer(WAKES_PER_SECOND, 1);
  let running = 0;
  let onIdle: (() => void) | undefined;
  const startNext = (): void => {
    const waiting = backlog.take();
    if (waiting === undefined) return;
    running++;
    void applyEntry(options, waiting.entry, stopped.signal).then((application) => settle(waiting, application));
  };
  const settle = (waiting: Waiting, application: Application): void => {
    conclude({ backlog, health, stopped: stopped.signal }, waiting, application);
    running--;
    pump();
  };
  const pump = (): void => {
    if (health.isUp()) {
      probe.cancel();
      for (let free = Math.min(concurrency - running, backlog.ready()); free > 0; free--) startNext();
    } else if (running === 0 && backlog.ready() > 0) {
      probe.soon(startNext);
    }
    if (running === 0 && backlog.size() === 0) onIdle?.();
  };
  const backlog = createBacklog(pump);
  health.onSuccess(() => {
    if (wakes.take(performance.now())) backlog.wake(1);
    pump();
  });
  return {
    offer(entry) {
      if (!stopped.signal.aborted) backlog.put({ entry, failures: 0 });
      pump();
    },
    async stop(boundMs) {
      const { promise: idle, resolve } = Promise.withResolvers<void>();
      onIdle = resolve;
      backlog.hurry();
      pump();
      await within(idle, boundMs);
      stopped.abort();
      backlog.clear();
      probe.cancel();
      if (running > 0) await idle;
    },
  };
}

/**
 * `settled` by the API, or `discarded` because nobody can read it: released. Otherwise the record stays, for a later try:
 * `unavailable` when the API did not answer as it should, `refused` when it did and the trouble is this record's own,
 * `failed` when the API was not asked.
 */
type Application = 'settled' | 'discarded' | 'refused' | 'failed' | 'unavailable';

/** Whether the record needs no further try. */
function isDone(application: Application): boolean {
  return application === 'settled' || application === 'discarded';
}

interface Parts {
  backlog: Backlog;
  health: ApiHealth;
  stopped: AbortSignal;
}

/** What a try says of the API, and when the record is tried again, if it stays. */
function conclude({ backlog, health, stopped }: Parts, waiting: Waiting, application: Application): void {
  if (application === 'settled' && waiting.failures > 0) backlog.wake(2);
  if (application === 'settled' || application === 'refused') health.succeeded();
  // A record that failed before may have a trouble of its own; it is no witness against the API.
  if (application === 'unavailable' && waiting.failures === 0) health.failed();
  if (isDone(application) || stopped.aborted) return;
  if (health.isUp()) backlog.delay(waiting, application === 'unavailable');
  else backlog.put(waiting);
}

/** One timer for the next probe of an API that is down; each probe in a row waits longer. */
function createProbe() {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    soon(probe: () => void): void {
      timer ??= setTimeout(() => {
        timer = undefined;
        probe();
      }, probeDelay(++count));
    },
    cancel(): void {
      clearTimeout(timer);
      timer = undefined;
      count = 0;
    },
  };
}

/** Tries to apply a record, and lets go of one that needs no further try: nowhere else. Never rejects. */
async function applyEntry(options: DrainerOptions, entry: SpoolEntry, stopped: AbortSignal): Promise<Application> {
  try {
    const record = await options.spool.read(entry);
    const application = record === undefined ? 'discarded' : await applyRecord(options, record, stopped);
    if (isDone(application)) options.spool.release(entry);
    return application;
  } catch (error) {
    if (error instanceof Error && 'code' in error) options.hooks.onSpoolFault('ioError', String(error.code));
    else options.hooks.onCrash('drain', nameOfError(error));
    return 'failed';
  }
}

/**
 * Its token was verified before it was written, so it counts although its key may have left the key file since: a
 * rotation must not cost an acknowledged result.
 */
async function applyRecord(options: DrainerOptions, record: SpoolRecord, stopped: AbortSignal): Promise<Application> {
  const { run, hooks } = options;
  const claims = parseToken(record.token)?.claims;
  if (claims === undefined) {
    hooks.onSpoolFault('damaged', 'token');
    return 'discarded';
  }
  const verdict = await run(protocolFor(record, claims), { signal: stopped, withinMs: CALL_TIMEOUT_MS });
  if (verdict.kind === 'retry') {
    hooks.onDeferred(verdict.error.class);
    return isUnavailable(verdict) ? 'unavailable' : 'refused';
  }
  hooks.onVerdict(verdict, claims);
  if (record.kind === 'callback') hooks.onResult(resultOf(verdict));
  return 'settled';
}

function protocolFor(record: SpoolRecord, claims: TokenClaims): Protocol<CallbackVerdict> {
  const now = Date.now();
  if (record.kind === 'due') return makePollDue(claims, now);
  const { callback, receivedTime } = record;
  return receiveCallback(claims, callback, { now, receivedTime, write: 'put', onFailure: 'letter' });
}
