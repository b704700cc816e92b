/**
 * Makes the task of a refused callback due for a poll: its token is authentic, so there may be a result that only
 * asking can bring now. At most once per task and poll interval, a few at a time, behind the answer; what the
 * Kubernetes API does not take is spooled. Damaged spool records whose token is readable come here too.
 */
import { makePollDue } from '../core/callback/callback.ts';
import type { TokenClaims } from '../core/token.ts';
import type { RunCallbackProtocol } from './intake.ts';
import type { SpoolWriter } from './spool/types.ts';

export interface PollRequests {
  /** Returns at once. */
  request(token: string, claims: TokenClaims): void;
  /** Resolves when nothing is under way any more. */
  idle(): Promise<void>;
}

export interface PollRequestOptions {
  run: RunCallbackProtocol;
  spool: SpoolWriter;
  intervalMs: number;
  /** Epoch milliseconds. */
  now(): number;
  /** For the interval: a clock that is set back must not keep tasks from being asked for. */
  monotonicMs(): number;
}

const MAX_REMEMBERED = 10_000;
const MAX_AT_ONCE = 4;
const CALL_TIMEOUT_MS = 2_000;

export function createPollRequests(options: PollRequestOptions): PollRequests {
  const { run, spool, intervalMs, now, monotonicMs } = options;
  /** When each task was last asked for, monotonic; oldest first, bounded. */
  const askedAt = new Map<string, number>();
  const underWay = new Set<Promise<void>>();

  const makeDue = async (token: string, claims: TokenClaims): Promise<void> => {
    const verdict =
      underWay.size >= MAX_AT_ONCE
        ? { kind: 'retry' as const }
        : await run(makePollDue(claims, now()), { withinMs: CALL_TIMEOUT_MS });
    // A full or broken spool reports itself; the poll fallback still finds this task, only later.
    if (verdict.kind === 'retry')
      await spool.append({ kind: 'due', token, receivedTime: now() }).catch(() => undefined);
  };

  return {
    request(token, claims) {
      const last = askedAt.get(claims.uid);
      if (last !== undefined && monotonicMs() - last < intervalMs) return;
      askedAt.delete(claims.uid);
      askedAt.set(claims.uid, monotonicMs());
      if (askedAt.size > MAX_REMEMBERED) askedAt.delete(askedAt.keys().next().value!);
      const work = makeDue(token, claims).finally(() => underWay.delete(work));
      underWay.add(work);
    },
    async idle() {
      await Promise.all(underWay);
    },
  };
}
