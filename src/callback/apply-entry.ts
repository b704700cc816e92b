/**
 * Applies one spooled record and says whether it is settled. It leaves the spool only here, after its verdict.
 * Its token was verified before it was written, so it counts although its key may have left the key file since: a
 * rotation must not cost an acknowledged result. Called by the drainer.
 */
import { makePollDue, receiveCallback } from '../core/callback.ts';
import type { CallbackVerdict } from '../core/callback.ts';
import type { Protocol } from '../core/protocol.ts';
import { parseToken } from '../core/token.ts';
import type { TokenClaims } from '../core/token.ts';
import type { ApiHealth } from './api-health.ts';
import { nameOfError, resultOf } from './hooks.ts';
import type { CallbackHooks } from './hooks.ts';
import type { RunCallbackProtocol } from './intake.ts';
import type { SpoolRecord } from './spool/record.ts';
import type { Spool, SpoolEntry } from './spool/types.ts';

export interface ApplyOptions {
  spool: Pick<Spool, 'read' | 'release'>;
  run: RunCallbackProtocol;
  health: ApiHealth;
  hooks: Pick<CallbackHooks, 'onResult' | 'onVerdict' | 'onSpoolFault' | 'onCrash'>;
}

const CALL_TIMEOUT_MS = 10_000;

/** True: the record is settled and released. False: it stays, try again later. Never rejects. */
export async function applyEntry(options: ApplyOptions, entry: SpoolEntry, stopped: AbortSignal): Promise<boolean> {
  try {
    const record = await options.spool.read(entry);
    const settled = record === undefined || (await applyRecord(options, record, stopped));
    if (settled) options.spool.release(entry);
    return settled;
  } catch (error) {
    if (error instanceof Error && 'code' in error) options.hooks.onSpoolFault('ioError', String(error.code));
    else options.hooks.onCrash('drain', nameOfError(error));
    return false;
  }
}

async function applyRecord(options: ApplyOptions, record: SpoolRecord, stopped: AbortSignal): Promise<boolean> {
  const { run, health, hooks } = options;
  const claims = parseToken(record.token)?.claims;
  if (claims === undefined) {
    hooks.onSpoolFault('damaged', 'token');
    return true;
  }
  const verdict = await run(
    protocolFor(record, claims),
    AbortSignal.any([stopped, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
  );
  if (verdict.kind === 'retry') {
    if (!stopped.aborted) health.failed();
    return false;
  }
  health.succeeded();
  hooks.onVerdict(verdict, claims);
  if (record.kind === 'callback') hooks.onResult(resultOf(verdict));
  return true;
}

function protocolFor(record: SpoolRecord, claims: TokenClaims): Protocol<CallbackVerdict> {
  const now = Date.now();
  if (record.kind === 'due') return makePollDue(claims, now);
  return receiveCallback(claims, record.callback, { now, receivedTime: record.receivedTime });
}
