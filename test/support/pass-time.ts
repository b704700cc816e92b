/** Time of a fake clock, for tests of a controller whose requests take real turns of the event loop. */
import { setImmediate } from 'node:timers/promises';
import { vi } from 'vitest';

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
