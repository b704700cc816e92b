/**
 * What is worth telling when a letter's status changes: an event on the letter, for `kubectl describe dl`. Computed
 * from the change alone, so that nothing is told twice. A failed retry is no event: status
 * shows it, and thirty of them would hide what matters.
 */
import type { DeadLetter, DeadLetterStatus } from '../../api/deadletter.ts';
import type { LetterStage } from '../../api/names.ts';
import type { Letter } from './facts.ts';
import { DEAD_LETTER } from '../../api/names.ts';
import { REASON_MESSAGES } from '../task/conditions.ts';

export interface HoldEvent {
  type: 'Warning';
  reason: 'DeadLettered';
  action: 'Hold';
  note: string;
}

export interface LetterEvent {
  type: 'Normal' | 'Warning';
  reason: 'Abandoned' | 'Resolved' | 'Superseded' | 'Redriven';
  action: 'Retry' | 'Redrive';
  /** The condition's own stable words. */
  note: string;
}

/** The stage of the letter that a request created; asked when it was answered, whatever becomes of the delivery. */
export function stageOfCreated(request: {
  verb: string;
  resource: { plural: string };
  object?: object;
}): LetterStage | undefined {
  if (request.verb !== 'create' || request.resource.plural !== DEAD_LETTER.plural) return undefined;
  return (request.object as DeadLetter).spec.stage;
}

/**
 * An event on the task, once: the sidecar holds tasks too, but cannot write events, so the first status of its letters
 * tells for it. The task controller tells for the letters of polls.
 */
export function announceHold(after: DeadLetterStatus, letter: Letter): HoldEvent | undefined {
  const isFirst = letter.status?.phase === undefined && after.phase === 'Pending';
  if (!isFirst || letter.spec.source !== 'Callback') return undefined;
  return { type: 'Warning', reason: 'DeadLettered', action: 'Hold', note: REASON_MESSAGES.DeadLettered };
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
