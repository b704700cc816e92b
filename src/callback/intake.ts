/**
 * Decides where an authentic callback becomes durable: straight in the task's status while the Kubernetes API answers
 * within the budget, else in the spool. Says which, or `lost` when neither took it. The answer 200 depends on nothing
 * but this result.
 *
 * An attempt that is over the budget is not broken off: the callback is spooled and answered, and the attempt goes on.
 * Broken off, it might have been applied all the same, cost a connection, and be taken for a duplicate of itself later.
 *
 * While the API is known to be down nothing waits for it: the drainer, which always has something to try then, finds
 * out when it is back. Called by `middleware/receive.ts`.
 */
import { receiveCallback } from '../core/callback.ts';
import type { CallbackVerdict } from '../core/callback.ts';
import type { Callback } from '../core/callback/parse.ts';
import type { Protocol } from '../core/protocol.ts';
import type { TokenClaims } from '../core/token.ts';
import { isUnavailable } from './api-health.ts';
import type { ApiHealth } from './api-health.ts';
import { nameOfError, resultOf } from './hooks.ts';
import type { CallbackHooks, CallbackResult, Deferral } from './hooks.ts';
import type { Limits } from './limits.ts';
import { createPlaces } from './places.ts';
import type { SpoolEntry, SpoolWriter } from './spool/types.ts';

/** Runs a callback protocol against the API; a call that was aborted or out of time shows up as a transient reply. */
export type RunCallbackProtocol = (
  protocol: Protocol<CallbackVerdict>,
  options: { withinMs: number; signal?: AbortSignal },
) => Promise<CallbackVerdict>;

export interface Incoming {
  token: string;
  claims: TokenClaims;
  callback: Callback;
  /** Epoch milliseconds. */
  receivedTime: number;
}

export interface Intake {
  take(incoming: Incoming): Promise<CallbackResult>;
  /** Breaks off the attempts that go on; what they leave open is offered to the drainer before this resolves. */
  stop(): Promise<void>;
}

export interface IntakeOptions {
  run: RunCallbackProtocol;
  spool: SpoolWriter;
  /** A spooled record whose attempt came to nothing. */
  offer(entry: SpoolEntry): void;
  health: ApiHealth;
  hooks: CallbackHooks;
  limits: Limits;
}

/** How long an attempt may go on once its callback is safe in the spool. */
const ATTEMPT_TIMEOUT_MS = 10_000;
const LATE = Symbol('late');

export function createIntake(options: IntakeOptions): Intake {
  const { spool, health, hooks, limits } = options;
  const stopping = new AbortController();
  const tryApi = createAttempts(options, stopping.signal);
  const goingOn = createGoingOn(options);

  const spoolIt = (incoming: Incoming, take?: (entry: SpoolEntry) => void): Promise<void> => {
    const { token, callback, receivedTime } = incoming;
    return spool.append({ kind: 'callback', token, callback, receivedTime }, take);
  };
  const defer = async (why: Deferral, sinceMs: number, spooling: Promise<void>): Promise<CallbackResult> => {
    hooks.onDeferred(why);
    const leftMs = sinceMs + limits.answerBudgetMs - performance.now();
    return (await within(spooling.then(isDone, isNotDone), leftMs)) === true ? 'spooled' : 'lost';
  };

  return {
    async take(incoming) {
      const settled = settledWithoutAsking(incoming);
      if (settled !== undefined) return settled;
      const sinceMs = performance.now();
      if (!health.isUp()) return defer('apiDown', sinceMs, spoolIt(incoming));
      const attempt = tryApi(incoming);
      const verdict = await within(attempt, limits.apiBudgetMs);
      if (verdict === LATE) {
        health.failed();
        return defer(
          'apiSlow',
          sinceMs,
          goingOn.spool(incoming, attempt, (take) => spoolIt(incoming, take)),
        );
      }
      if (verdict === undefined) return defer('noPlace', sinceMs, spoolIt(incoming));
      if (verdict.kind === 'retry') return defer(verdict.error.class, sinceMs, spoolIt(incoming));
      hooks.onVerdict(verdict, incoming.claims);
      return resultOf(verdict);
    },
    async stop() {
      stopping.abort();
      await goingOn.ended();
    },
  };
}

type Attempt = Promise<CallbackVerdict | undefined>;

/** One try to apply a callback at once; undefined where no place came free, or a bug stopped it. */
function createAttempts({ run, health, hooks, limits }: IntakeOptions, stopping: AbortSignal) {
  const places = createPlaces({ places: limits.directCalls, waiting: limits.directWaiting });
  return async ({ claims, callback, receivedTime }: Incoming): Attempt => {
    if (!(await places.enter(limits.apiBudgetMs))) return undefined;
    try {
      const protocol = receiveCallback(claims, callback, { now: Date.now(), receivedTime });
      const verdict = await run(protocol, { signal: stopping, withinMs: ATTEMPT_TIMEOUT_MS });
      if (verdict.kind !== 'retry') health.succeeded();
      else if (isUnavailable(verdict)) health.failed();
      return verdict;
    } catch (error) {
      // A bug on the way to the API must not cost the result: it is kept on disk, for a build without the bug.
      hooks.onCrash('intake', nameOfError(error));
      return undefined;
    } finally {
      places.leave();
    }
  };
}

/** Attempts over their budget: their records wait for them, and for the drainer only when they come to nothing. */
function createGoingOn({ spool, offer, hooks }: IntakeOptions) {
  const open = new Set<Promise<void>>();
  const settle = (entry: SpoolEntry | undefined, verdict: Awaited<Attempt>, { claims }: Incoming): void => {
    if (verdict === undefined || verdict.kind === 'retry') {
      if (entry !== undefined) offer(entry);
      return;
    }
    hooks.onVerdict(verdict, claims);
    if (entry === undefined) return;
    hooks.onResult(resultOf(verdict));
    spool.release(entry);
  };
  return {
    spool(incoming: Incoming, attempt: Attempt, append: (take: (entry: SpoolEntry) => void) => Promise<void>) {
      let entry: SpoolEntry | undefined;
      const appended = append((durable) => {
        entry = durable;
      });
      const work = Promise.allSettled([appended, attempt]).then(async () => settle(entry, await attempt, incoming));
      open.add(work);
      void work.finally(() => open.delete(work));
      return appended;
    },
    ended: () => Promise.all(open),
  };
}

/** The result of a callback that needs no request at all ("not ready"): neither the API nor the disk hears of it. */
function settledWithoutAsking({ claims, callback, receivedTime }: Incoming): CallbackResult | undefined {
  const first = receiveCallback(claims, callback, { now: receivedTime, receivedTime }).next();
  return first.done === true && first.value.kind !== 'retry' ? resultOf(first.value) : undefined;
}

/** What `work` comes to, or `LATE`. Work that ends later is harmless: applying a callback twice has one effect. */
async function within<T>(work: Promise<T>, boundMs: number): Promise<T | typeof LATE> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(resolve, boundMs, LATE);
  });
  const result = await Promise.race([work, late]);
  clearTimeout(timer);
  return result;
}

function isDone(): boolean {
  return true;
}

function isNotDone(): boolean {
  return false;
}
