/**
 * Applies one spooled record and says whether it is settled. It leaves the spool only here, after its verdict.
 * Its token was verified before it was written, so it counts although its key may have left the key file since: a
 * rotation must not cost an acknowledged result. Called by the drainer.
 */
import { makePollDue, receiveCallback } from '../core/callback/callback.ts';
import type { CallbackVerdict } from '../core/callback/callback.ts';
import type { Protocol } from '../core/protocol.ts';
import { parseToken } from '../core/token.ts';
import type { TokenClaims } from '../core/token.ts';
import { isUnavailable } from './api-health.ts';
import { nameOfError, resultOf } from './hooks.ts';
import type { CallbackHooks } from './hooks.ts';
import type { RunCallbackProtocol } from './intake.ts';
import type { SpoolRecord } from './spool/record.ts';
import type { Spool, SpoolEntry } from './spool/types.ts';

export interface ApplyOptions {
  spool: Pick<Spool, 'read' | 'release'>;
  run: RunCallbackProtocol;
  hooks: Pick<CallbackHooks, 'onResult' | 'onVerdict' | 'onDeferred' | 'onSpoolFault' | 'onCrash'>;
}

const CALL_TIMEOUT_MS = 10_000;

/**
 * `settled` by the API, or `discarded` because nobody can read it: released. Otherwise the record stays, for a later try:
 * `unavailable` when the API did not answer as it should, `refused` when it did and the trouble is this record's own,
 * `failed` when the API was not asked.
 */
export type Application = 'settled' | 'discarded' | 'refused' | 'failed' | 'unavailable';

/** Whether the record needs no further try. */
export function isDone(application: Application): boolean {
  return application === 'settled' || application === 'discarded';
}

/** Never rejects. */
export async function applyEntry(options: ApplyOptions, entry: SpoolEntry, stopped: AbortSignal): Promise<Application> {
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

async function applyRecord(options: ApplyOptions, record: SpoolRecord, stopped: AbortSignal): Promise<Application> {
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
