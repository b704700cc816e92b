/**
 * A task controller on a clock that moves only when the test says so. For tests whose requests take real turns of the
 * event loop.
 */
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, vi } from 'vitest';
import { startStage, type Stage } from './task-controller.ts';

const STEPS = 10;
/** More than a submission asks for, one request after the other. */
const TURNS = 12;

/** Time goes on, and everything happens that is due meanwhile; requests are answered as it goes. */
export async function passTime(ms: number): Promise<void> {
  for (let step = 0; step < STEPS; step += 1) {
    for (let turn = 0; turn < TURNS; turn += 1) await setImmediate();
    await vi.advanceTimersByTimeAsync(Math.ceil(ms / STEPS));
  }
  for (let turn = 0; turn < TURNS; turn += 1) await setImmediate();
}

/** Every test of the file begins at one moment. Returns what starts its stage, which is stopped after the test. */
export function useFakeClock(): (...how: Parameters<typeof startStage>) => Promise<Stage> {
  let stage: Stage | undefined;
  beforeEach(() => void vi.useFakeTimers({ now: Date.parse('2026-01-01T12:00:00Z') }));
  afterEach(async () => {
    const stopped = stage?.controller.stop({ drainMs: 0 });
    await passTime(5_000);
    await stopped;
    vi.useRealTimers();
  });
  return async (...how) => {
    const starting = startStage(...how);
    await passTime(10);
    stage = await starting;
    return stage;
  };
}
