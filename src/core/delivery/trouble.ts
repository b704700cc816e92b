/**
 * What a refusal of the API server means for a result: try again soon, a person has to act, or hopeless. Permanent must
 * be proved from the table below; everything else is transient. Messages are our own words: an API error may quote the
 * object it refuses, and with it the solution, so only parts of known shape are taken over (who may not do what, which
 * quota, which field).
 */
import type { LetterError } from '../../api/deadletter.ts';
import type { LetterErrorClass } from '../../api/names.ts';
import type { ApiReply } from '../protocol.ts';

export type Refused = Extract<ApiReply, { ok: false }>;

export interface Trouble {
  /** `soon`: transient, nobody has to act. `person`: retried slowly until someone does. `hopeless`: never retried. */
  cure: 'soon' | 'person' | 'hopeless';
  error: LetterError;
}

/** What was being done, as the middle of a sentence: "…refuses creating the solution Secret". */
export type Action =
  | 'reading the task'
  | "writing the task's status"
  | 'creating the solution Secret'
  | 'reading the solution Secret'
  | 'creating the dead letter'
  | "writing the dead letter's status"
  | 'reading the dead letter';

/** How a failed call is to be read. A 404, 409 or 422 that only says "look again" is the caller's to look at first. */
export function troubleOf(reply: Refused, action: Action): Trouble {
  const found = reply.transient ? 'Unavailable' : classOf(reply);
  const error = { class: found, message: messageOf(found, reply, action) };
  return { cure: cureOf(found), error };
}

/** What helps against an error of this class, wherever it came from (a Secret of someone else is a `Conflict`). */
export function cureOf(errorClass: LetterErrorClass): Trouble['cure'] {
  if (errorClass === 'Unavailable') return 'soon';
  return errorClass === 'TooLarge' ? 'hopeless' : 'person';
}

function classOf(reply: Refused): LetterErrorClass {
  switch (reply.status) {
    case 403:
      return /exceeded quota/i.test(reply.message) ? 'Quota' : 'Forbidden';
    case 413:
      return 'TooLarge';
    case 400:
    case 422:
      return 'Invalid';
    default:
      return 'Unavailable';
  }
}

function messageOf(found: LetterErrorClass, reply: Refused, action: Action): string {
  switch (found) {
    case 'Forbidden':
      return sentence(`The API server forbids ${action}`, whoMayNot(reply.message));
    case 'Quota':
      return sentence(`A resource quota does not allow ${action}`, quotaOf(reply.message));
    case 'TooLarge':
      return `The result is too large for ${action}.`;
    case 'Invalid':
      return sentence(`The API server refuses ${action} as invalid`, fieldOf(reply.message));
    case 'Conflict':
    case 'Unavailable':
      break;
  }
  return sentence(`The API server did not manage ${action}`, answerOf(reply));
}

function sentence(start: string, detail: string | undefined): string {
  return detail === undefined ? `${start}.` : `${start}: ${detail}.`;
}

/** RBAC says: `User "system:serviceaccount:…" cannot create resource "secrets" in API group "" in the namespace "…"`. */
function whoMayNot(message: string): string | undefined {
  return /User "[\w:@.-]{1,200}" cannot [a-z]{1,20} resource "[\w./-]{1,100}"/.exec(message)?.[0];
}

function quotaOf(message: string): string | undefined {
  return /exceeded quota: [a-z0-9.-]{1,100}/.exec(message)?.[0];
}

/** Only the path of the first field: what follows it quotes the value. */
function fieldOf(message: string): string | undefined {
  return /is invalid: \[?((?:status|spec|data|metadata)[A-Za-z.]{0,100})(?:\[\d{1,4}\])?: /.exec(message)?.[1];
}

function answerOf(reply: Refused): string {
  return reply.status === 0 ? 'no answer' : `status ${reply.status}`;
}
