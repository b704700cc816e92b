/**
 * Unpacks tasks for the turns of a pass. A pass looks at the same copy several times, so the last few are kept; the
 * cache itself stays packed. What comes from here is shared and must not be changed.
 */
import type { CaptchaTask } from '../../api/captchatask.ts';
import { type PackedTask, unpackTask } from '../../core/task/packed.ts';

/** Twice as many as there are workers. */
const KEPT = 32;

export type Unpack = (packed: PackedTask) => CaptchaTask;

export function createUnpacking(): Unpack {
  const recent = new Map<PackedTask, CaptchaTask>();
  return (packed) => {
    const known = recent.get(packed);
    if (known !== undefined) return known;
    const task = unpackTask(packed);
    recent.set(packed, task);
    if (recent.size > KEPT) recent.delete(recent.keys().next().value!);
    return task;
  };
}
