/**
 * The state of the spool's directory: closed, being opened, open, or shut for good. A directory that cannot be used is
 * tried again by itself, after a second and then less often, until it is open or the spool shuts: acknowledged records
 * may lie in it, and nothing else would come back for them while the API takes every callback. Used by `spool.ts`.
 */
import { exponentialBackoff } from '../../waiting/backoff.ts';
import { SpoolError } from './directory.ts';
import { codeOf } from './files.ts';
import type { OpenSpool, SpoolOptions } from './types.ts';

export interface Door {
  current(): OpenSpool | undefined;
  /** The open spool; tries to open it, at most once a second. */
  enter(): Promise<OpenSpool>;
  close(): Promise<void>;
}

interface DoorHooks {
  onFault: SpoolOptions['onFault'];
  onOpened(open: OpenSpool): void;
}

const REOPEN_INTERVAL_MS = 1_000;
const reopenDelay = exponentialBackoff({ baseMs: REOPEN_INTERVAL_MS, maxMs: 30_000, random: Math.random });

export function createDoor(openNow: () => Promise<OpenSpool>, hooks: DoorHooks): Door {
  let state: OpenSpool | undefined;
  let opening: Promise<OpenSpool> | undefined;
  let shut = false;
  let failures = 0;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  const tryOpening = async (): Promise<OpenSpool> => {
    clearTimeout(timer);
    triedAtMs = performance.now();
    try {
      state = await openNow();
      hooks.onOpened(state);
      return state;
    } catch (error) {
      hooks.onFault('unavailable', codeOf(error));
      timer = setTimeout(() => void start().catch(() => undefined), reopenDelay(++failures)).unref();
      throw error;
    } finally {
      opening = undefined;
    }
  };
  const start = (): Promise<OpenSpool> => {
    if (shut) return Promise.reject(new SpoolError('unavailable'));
    opening ??= tryOpening();
    return opening;
  };
  return {
    current: () => state,
    async enter() {
      if (state !== undefined) return state;
      const tooSoon = opening === undefined && performance.now() - triedAtMs < REOPEN_INTERVAL_MS;
      if (tooSoon) throw new SpoolError('unavailable');
      return start();
    },
    async close() {
      shut = true;
      await opening?.catch(() => undefined);
      clearTimeout(timer);
      if (state === undefined) return;
      const { journal, segments, removals, unlock } = state;
      await journal.close();
      await Promise.all(removals);
      state = undefined;
      for (const { file } of segments) await file.close().catch(() => undefined);
      unlock();
    },
  };
}
