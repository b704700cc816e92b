/**
 * When `Submitted` of a first submission is written (contract, section 5). Its id is durable in the journal as well, so
 * that write may wait; and where the result comes first, it need not be made at all. At low load it is made at once, as
 * people expect; while requests queue it comes last in line, the oldest first. Pure: what is late is kept, and called up,
 * by the shell.
 */

export interface Pressure {
  /** Requests to the API server wait for a place, or for an answer longer than an idle server takes. */
  queueing: boolean;
  /** How many intents and ids the last write of the journal brought, where the next one follows it at once. */
  gathered: number;
  /** `Submitted` of how many first submissions of the namespace is being written. */
  recording: number;
  /** How much is used of what the namespace of the task may have of the journal, as `journal.fullness` has it. */
  fullness: number;
}

/** From here on things come faster than writes are answered. */
const GATHERED = 4;
/** So many at once, where they come all at once. */
const RECORDING = 4;
/** So many of the late ones at once, while nothing else waits. */
const LATE_RECORDING = 2;
/** Nobody looks at a task that says less than is known for longer than this, if it can be helped. */
export const LATE_MS = 10_000;
/** Above this the journal takes no more ids, so that intents find room. */
const NEARLY_FULL = 0.75;

/** Whether `Submitted` yields to other requests, and its id goes into the journal meanwhile. */
export function yields({ queueing, gathered, recording, fullness }: Pressure): boolean {
  if (fullness > NEARLY_FULL) return false;
  return queueing || gathered >= GATHERED || recording >= RECORDING;
}

/** How many of the late ones may be written now, where the one that asks has waited for so long. */
export function vacancies(pressure: Pressure, waitedMs: number): number {
  const { recording, fullness } = pressure;
  const isPressing = fullness > NEARLY_FULL || waitedMs >= LATE_MS;
  const most = isPressing ? RECORDING : yields(pressure) ? 0 : LATE_RECORDING;
  return Math.max(0, most - recording);
}
