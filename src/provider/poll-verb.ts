/**
 * By which verb polls go. By POST, so that no URL holds a key, until it is proved that this provider takes none: three
 * polls in a row refused as a method, or for a key whose submissions it accepts all the same. Then by GET, for as long as
 * the process lives (docs/decisions/0003-polls-by-post.md). Pure; `provider/client` keeps the state and makes the calls.
 */

/** How a poll was answered: refused as a call of this verb, refused for its key, answered, or not reached. */
export type PollAnswer = 'method' | 'key' | 'answered' | 'nothing';

export interface PollVerb {
  readonly verb: 'POST' | 'GET';
  /** In a row, of whichever key. */
  readonly refusals: number;
  /** Keys for which a poll was refused since one was answered. */
  readonly refusedKeys: ReadonlySet<string>;
  /** A submission with one of them was accepted since: it is not the key. */
  readonly keysWork: boolean;
}

export const BY_POST: PollVerb = { verb: 'POST', refusals: 0, refusedKeys: new Set(), keysWork: false };
const BY_GET: PollVerb = { ...BY_POST, verb: 'GET' };

const REFUSALS = 3;

/** A submission with this key was accepted. */
export function accepted(state: PollVerb, apiKey: string): PollVerb {
  return state.refusedKeys.has(apiKey) ? { ...state, keysWork: true } : state;
}

/** A poll with this key came back. */
export function polled(state: PollVerb, apiKey: string, answer: PollAnswer): PollVerb {
  if (state.verb === 'GET' || answer === 'nothing') return state;
  if (answer === 'answered') return BY_POST;
  const refusals = state.refusals + 1;
  const refusedKeys = answer === 'key' ? new Set([...state.refusedKeys, apiKey]) : state.refusedKeys;
  const isProved = refusedKeys.size === 0 || state.keysWork;
  if (isProved && refusals >= REFUSALS) return BY_GET;
  return { ...state, refusals, refusedKeys };
}
