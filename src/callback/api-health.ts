/**
 * Whether the Kubernetes API is worth asking. Up until several calls in a row failed; up again with the first success
 * of anyone. While it is down, callbacks go straight to the spool and only the drainer asks; when the spool refuses them,
 * one callback a second does.
 */
import type { CallbackVerdict } from '../core/callback/callback.ts';

export interface ApiHealth {
  isUp(): boolean;
  /** The API answered for itself, whatever it thinks of the task: a refusal (403, 409, …) shows as well that it is there. */
  succeeded(): void;
  failed(): void;
  /** Called at every success of anyone. */
  onSuccess(listener: () => void): void;
}

/** One or two failures may be one task's own trouble; more in a row, with no success between, are the API's. */
const FAILURES_UNTIL_DOWN = 3;

export function createApiHealth(): ApiHealth {
  let failures = 0;
  const listeners: (() => void)[] = [];
  return {
    isUp: () => failures < FAILURES_UNTIL_DOWN,
    succeeded() {
      failures = 0;
      for (const listener of listeners) listener();
    },
    failed() {
      failures++;
    },
    onSuccess: (listener) => void listeners.push(listener),
  };
}

/** Whether a callback is to be tried again because of the API, not because of trouble with its own task. */
export function isUnavailable(verdict: Extract<CallbackVerdict, { kind: 'retry' }>): boolean {
  return verdict.error.class === 'Unavailable';
}
