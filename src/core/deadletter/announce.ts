/**
 * What is worth telling when a letter's status changes: an event on the letter, for `kubectl describe dl`. Computed
 * from the change alone, so that nothing is told twice; sent by the controller. A failed retry is no event: status
 * shows it, and thirty of them would hide what matters.
 */
import type { DeadLetterStatus } from '../../api/deadletter.ts';

export interface LetterEvent {
  type: 'Normal' | 'Warning';
  reason: 'Abandoned' | 'Resolved' | 'Superseded' | 'Redriven';
  action: 'Retry' | 'Redrive';
  /** The condition's own stable words. */
  note: string;
}

export function announceLetter(after: DeadLetterStatus, before: DeadLetterStatus = {}): LetterEvent | undefined {
  if (after.redrives !== before.redrives) {
    return { type: 'Normal', reason: 'Redriven', action: 'Redrive', note: 'Someone asked for a retry.' };
  }
  const { phase, conditions } = after;
  if (phase === before.phase || phase === undefined || phase === 'Pending') return undefined;
  const note = conditions?.[0]?.message ?? '';
  return { type: phase === 'Abandoned' ? 'Warning' : 'Normal', reason: phase, action: 'Retry', note };
}
