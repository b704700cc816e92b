/**
 * Decides where an authentic callback becomes durable: straight in the task's status while the Kubernetes API answers
 * within the budget, else in the spool. Says which, or `lost` when neither took it. The answer 200 depends on nothing
 * but this result.
 *
 * An attempt that is over the budget is not broken off: the callback is spooled and answered, and the attempt goes on.
 * Broken off, it might have been applied all the same, cost a connection, and be taken for a duplicate of itself later.
 * Whichever is done first answers; what is done too late for the answer is still reported for what came of it.
 *
 * A result that the API refuses for good has to become a dead letter, and before that it goes to the spool: the drainer
 * makes the letter, and a sidecar that dies on the way goes on with it in its next life. Where the spool refuses, the
 * letter is made at once: better without that safety than not kept at all.
 *
 * While the API is known to be down nothing waits for it: the drainer, which has something to try then, finds out when
 * it is back. It has nothing when the spool refuses; then one callback a second asks.
 */
import { createGate } from '../waiting/gate.ts';
import { createPacer } from '../waiting/pace.ts';
import { isNotReady, receiveCallback } from '../core/callback/callback.ts';
import type { CallbackVerdict } from '../core/callback/callback.ts';
import type { Callback } from '../core/callback/parse.ts';
import type { Protocol } from '../core/protocol.ts';
import type { TokenClaims } from '../core/token.ts';
import { enterWithin, within } from '../kube/pause.ts';
import { isUnavailable } from './api-health.ts';
import type { ApiHealth } from './api-health.ts';
import { nameOfError } from '../ops/redact.ts';
import { resultOf } from './hooks.ts';
import type { CallbackHooks, CallbackResult } from './hooks.ts';
import type { Limits } from './limits.ts';
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
  /** `later`: nothing is durable in time for the answer, but work goes on; its result is reported when it is known. */
  take(incoming: Incoming): Promise<CallbackResult | 'later'>;
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
const PROBES_PER_SECOND = 1;
const GONE_REMEMBERED = 10_000;

export function createIntake(options: IntakeOptions): Intake {
  const { health, hooks, limits } = options;
  const stopping = new AbortController();
  const gone = createGoneTasks(GONE_REMEMBERED);
  const tryApi = createAttempts(options, gone, stopping.signal);
  const keeping = createKeeping(options);
  const answerFrom = createAnswers(options);
  const probes = createPacer(PROBES_PER_SECOND, 1);
  const mayProbe = (): boolean => probes.take(performance.now());

  /** Into the spool; where that refuses, and the API may take it all the same, once more to the API, letter included. */
  const spoolOrTry = (incoming: Incoming, mayTry: () => boolean): Promise<CallbackResult> => {
    const spooled = keeping.spool(incoming);
    const whenRefused = async (): Attempt =>
      (await spooled) === undefined && mayTry() ? tryApi(incoming, 'letter') : 'untried';
    return firstOf([spooled, takenBy(whenRefused())]);
  };

  return {
    async take(incoming) {
      const known = resultWithoutAsking(incoming, gone);
      if (known !== undefined) return known;
      const sinceMs = performance.now();
      if (!health.isUp()) {
        hooks.onDeferred('apiDown');
        return answerFrom(spoolOrTry(incoming, mayProbe), sinceMs);
      }
      const attempt = tryApi(incoming, 'report');
      const verdict = await within(attempt, limits.apiBudgetMs);
      if (verdict === undefined) {
        health.failed();
        hooks.onDeferred('apiSlow');
        return answerFrom(keeping.spoolBeside(incoming, attempt), sinceMs);
      }
      if (isSettled(verdict)) return resultOf(verdict);
      hooks.onDeferred(verdict === 'untried' ? 'noPlace' : verdict.error.class);
      // Permanent trouble becomes a letter, from the spool so that a death in between is made good; else without it.
      const isPermanent = (): boolean => verdict !== 'untried' && !isUnavailable(verdict);
      return answerFrom(spoolOrTry(incoming, isPermanent), sinceMs);
    },
    async stop() {
      stopping.abort();
      await keeping.ended();
    },
  };
}

/** The result of a callback when it is known in time for its answer. */
function createAnswers({ hooks, limits }: IntakeOptions) {
  const reportLate = async (outcome: Promise<CallbackResult>): Promise<void> => {
    const result = await outcome;
    hooks.onResult(result);
    if (result !== 'lost') hooks.onLateAnswer();
  };
  return async (outcome: Promise<CallbackResult>, sinceMs: number): Promise<CallbackResult | 'later'> => {
    // The time may be over already, because the event loop was held up: no number for a timer.
    const leftMs = Math.max(0, sinceMs + limits.answerBudgetMs - performance.now());
    const result = await within(outcome, leftMs);
    if (result !== undefined) return result;
    void reportLate(outcome);
    return 'later';
  };
}

/** `untried` where no place came free, or a bug stopped it. Never rejects. */
type Attempt = Promise<CallbackVerdict | 'untried'>;
type Settled = Exclude<CallbackVerdict, { kind: 'retry' }>;
/** What one way of making a callback durable came to; undefined when it did not. */
type Taken = CallbackResult | undefined;

function isSettled(verdict: Awaited<Attempt>): verdict is Settled {
  return verdict !== 'untried' && verdict.kind !== 'retry';
}

async function takenBy(attempt: Attempt): Promise<Taken> {
  const verdict = await attempt;
  return isSettled(verdict) ? resultOf(verdict) : undefined;
}

/** The first way that comes to something; `lost` when none does. */
async function firstOf(ways: readonly Promise<Taken>[]): Promise<CallbackResult> {
  const { promise, resolve } = Promise.withResolvers<CallbackResult>();
  const ended = ways.map(async (way) => {
    const taken = await way;
    if (taken !== undefined) resolve(taken);
  });
  void Promise.all(ended).then(() => resolve('lost'));
  return promise;
}

/** One try to apply a callback at once. */
function createAttempts({ run, health, hooks, limits }: IntakeOptions, gone: GoneTasks, stopping: AbortSignal) {
  const gate = createGate(limits.directCalls, limits.directWaiting);
  return async ({ claims, callback, receivedTime }: Incoming, onFailure: 'report' | 'letter'): Attempt => {
    if (!(await enterWithin(gate, limits.apiBudgetMs))) return 'untried';
    try {
      const protocol = receiveCallback(claims, callback, { now: Date.now(), receivedTime, onFailure });
      const verdict = await run(protocol, { signal: stopping, withinMs: ATTEMPT_TIMEOUT_MS });
      if (verdict.kind === 'retry' && isUnavailable(verdict)) health.failed();
      else health.succeeded();
      gone.note(claims.uid, verdict);
      if (isSettled(verdict)) hooks.onVerdict(verdict, claims);
      return verdict;
    } catch (error) {
      // A bug on the way to the API must not cost the result: it is kept on disk, for a build without the bug.
      hooks.onCrash('intake', nameOfError(error));
      return 'untried';
    } finally {
      gate.leave();
    }
  };
}

/** Callbacks into the spool, alone or beside an attempt that goes on. */
function createKeeping({ spool, offer, hooks }: IntakeOptions) {
  const open = new Set<Promise<void>>();
  const append = ({ token, callback, receivedTime }: Incoming, take?: (entry: SpoolEntry) => void): Promise<Taken> =>
    spool.append({ kind: 'callback', token, callback, receivedTime }, take).then(
      (appended) => (appended === 'written' ? 'spooled' : 'duplicate'),
      () => undefined,
    );
  return {
    spool: (incoming: Incoming) => append(incoming),
    /** The record waits for the attempt, and for the drainer only when that comes to nothing. */
    spoolBeside(incoming: Incoming, attempt: Attempt): Promise<CallbackResult> {
      let entry: SpoolEntry | undefined;
      const appended = append(incoming, (durable) => {
        entry = durable;
      });
      const first = firstOf([appended, takenBy(attempt)]);
      const settle = async (): Promise<void> => {
        const [result, verdict] = await Promise.all([first, attempt, appended]);
        if (isSettled(verdict) && result === 'spooled') hooks.onResult(resultOf(verdict));
        if (entry !== undefined) (isSettled(verdict) ? spool.release : offer)(entry);
      };
      const work = settle();
      open.add(work);
      void work.finally(() => open.delete(work));
      return first;
    },
    ended: () => Promise.all(open),
  };
}

/** The result of a callback that needs no request at all: nothing is ready yet, or its task is known to be gone. */
function resultWithoutAsking({ claims, callback }: Incoming, gone: GoneTasks): CallbackResult | undefined {
  const late = gone.verdictFor(claims.uid);
  if (late !== undefined) return resultOf(late);
  return isNotReady(callback) ? 'ignored' : undefined;
}

type Late = Extract<CallbackVerdict, { kind: 'late' }>;

interface GoneTasks {
  note(uid: string, verdict: CallbackVerdict): void;
  /** What a callback for this task comes to, where that is known without asking. */
  verdictFor(uid: string): Late | undefined;
}

/**
 * Tasks that are proved to be gone, by uid. Tokens never expire, so whoever kept a callback URL could make the sidecar
 * ask the Kubernetes API for ever about a task that is not there any more; a uid never comes back. Bounded: the ones
 * that nobody asks for leave first.
 */
export function createGoneTasks(maxTasks: number): GoneTasks {
  const gone = new Map<string, Late>();
  const put = (uid: string, verdict: Late): void => {
    gone.delete(uid);
    gone.set(uid, verdict);
    if (gone.size > maxTasks) gone.delete(gone.keys().next().value!);
  };
  return {
    note(uid, verdict) {
      // Of a finished task a repeat is a duplicate and another code a conflict; only reading it can tell.
      if (verdict.kind === 'late' && (verdict.why === 'gone' || verdict.why === 'recreated')) put(uid, verdict);
    },
    verdictFor(uid) {
      const verdict = gone.get(uid);
      if (verdict !== undefined) put(uid, verdict);
      return verdict;
    },
  };
}
