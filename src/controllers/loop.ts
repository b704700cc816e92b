/**
 * THE main loop, for any kind of object: gather facts, decide, perform, and look again until there is nothing to do
 * now. It is level-driven: what woke it does not matter, and every turn starts from facts gathered anew. It knows no
 * captcha and does no I/O of its own. A controller builds one pass from its rooms and gives it to its work queue.
 *
 * A pass takes several turns on purpose: an intent that was written is used at once, not after everything else that
 * waits in the queue. The number of turns is bounded, so that a rule that never settles costs its turn, not a worker.
 */

import type { Decision } from '../core/decision.ts';

/** `changed`: look again at once. `failed`: something transient; again later, with backoff. */
export type Performed = 'changed' | 'failed';

export type PassResult = 'success' | 'requeue' | 'requeue_after';

export interface LoopParts<Facts, Effect> {
  /** Undefined: there is nothing to look at (any more). */
  gather(key: string): Facts | undefined;
  decide(facts: Facts): Decision<Effect>;
  /** Told every decision before anything is done about it. */
  onDecision?: ((key: string, decision: Decision<Effect>) => void) | undefined;
  perform(order: { key: string; facts: Facts; effect: Effect; signal: AbortSignal }): Promise<Performed>;
  /** The clock of the queue. */
  now(): number;
  /** Later, with backoff. */
  retry(key: string): void;
  /** The object is gone. */
  forget(key: string): void;
  onPass?(result: PassResult): void;
}

const MAX_TURNS = 16;

/** One pass over one key, as a work queue runs it. Throws only for bugs. */
export function createPass<Facts, Effect>(
  parts: LoopParts<Facts, Effect>,
): (key: string, signal: AbortSignal) => Promise<{ retryAtMs?: number }> {
  const ended = (result: PassResult, retryAtMs?: number): { retryAtMs?: number } => {
    parts.onPass?.(result);
    return retryAtMs === undefined ? {} : { retryAtMs };
  };

  return async (key, signal) => {
    for (let turn = 0; turn < MAX_TURNS; turn += 1) {
      const facts = parts.gather(key);
      if (facts === undefined) {
        parts.forget(key);
        return ended('success');
      }
      const decision = parts.decide(facts);
      parts.onDecision?.(key, decision);
      const { effect, wakeInMs } = decision;
      if (effect === undefined) {
        if (wakeInMs === undefined) return ended('success');
        return ended('requeue_after', parts.now() + wakeInMs);
      }
      if ((await parts.perform({ key, facts, effect, signal })) === 'changed') continue;
      parts.retry(key);
      return ended('requeue');
    }
    return ended('requeue_after', parts.now() + 1);
  };
}
