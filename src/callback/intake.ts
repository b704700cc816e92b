/**
 * Decides where an authentic callback becomes durable: straight in the task's status while the Kubernetes API answers
 * within the budget, else in the spool. Says which, or `lost` when neither took it. The answer 200 depends on nothing
 * but this result.
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
import type { CallbackHooks, CallbackResult } from './hooks.ts';
import type { Limits } from './limits.ts';
import { createPlaces } from './places.ts';
import type { SpoolWriter } from './spool/types.ts';

/** Runs a callback protocol against the API; an aborted call shows up as a transient reply. */
export type RunCallbackProtocol = (
  protocol: Protocol<CallbackVerdict>,
  signal: AbortSignal,
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
}

export interface IntakeOptions {
  run: RunCallbackProtocol;
  spool: SpoolWriter;
  health: ApiHealth;
  hooks: CallbackHooks;
  limits: Limits;
}

export function createIntake(options: IntakeOptions): Intake {
  const { run, spool, health, hooks, limits } = options;
  const places = createPlaces({ places: limits.directCalls, waiting: limits.directWaiting });

  const tryApi = async (incoming: Incoming): Promise<CallbackVerdict | undefined> => {
    const untilMs = performance.now() + limits.apiBudgetMs;
    if (!(await places.enter(limits.apiBudgetMs))) return undefined;
    try {
      const { claims, callback, receivedTime } = incoming;
      const protocol = receiveCallback(claims, callback, { now: Date.now(), receivedTime });
      const verdict = await run(protocol, AbortSignal.timeout(Math.max(1, Math.ceil(untilMs - performance.now()))));
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

  const spoolIt = async ({ token, callback, receivedTime }: Incoming): Promise<CallbackResult> => {
    const durable = await within(
      spool.append({ kind: 'callback', token, callback, receivedTime }),
      limits.spoolBudgetMs,
    );
    return durable ? 'spooled' : 'lost';
  };

  return {
    async take(incoming) {
      const settled = settledWithoutAsking(incoming);
      if (settled !== undefined) return settled;
      if (!health.isUp()) return spoolIt(incoming);
      const verdict = await tryApi(incoming);
      if (verdict === undefined || verdict.kind === 'retry') return spoolIt(incoming);
      hooks.onVerdict(verdict, incoming.claims);
      return resultOf(verdict);
    },
  };
}

/** The result of a callback that needs no request at all ("not ready"): neither the API nor the disk hears of it. */
function settledWithoutAsking({ claims, callback, receivedTime }: Incoming): CallbackResult | undefined {
  const first = receiveCallback(claims, callback, { now: receivedTime, receivedTime }).next();
  return first.done === true && first.value.kind !== 'retry' ? resultOf(first.value) : undefined;
}

/** Whether `work` succeeded in time. Work that succeeds later is harmless: applying a callback twice has one effect. */
async function within(work: Promise<void>, boundMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, boundMs, false);
  });
  const done = work.then(
    () => true,
    () => false,
  );
  const result = await Promise.race([done, late]);
  clearTimeout(timer);
  return result;
}
