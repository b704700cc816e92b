/**
 * What is known of the provider's callbacks for one API key: whether it takes submissions that name a callback URL at
 * all, and whether callbacks come. Pure values and the rules for both; `controllers/task/callbacks` keeps one for each
 * key in doubt and feeds it.
 *
 * Refused. `in.php` refuses the URL itself, by a word of that class or by the same unlisted word twice. Nothing was
 * accepted, so the same attempt is tried once without it. Only when that is accepted was it the URL: for an hour the
 * key's submissions carry none, then one at a time does again, until the provider takes it.
 *
 * Silent. Whether callbacks come is told by the tasks, at no cost: a result that a poll found, while `pollAfterTime`
 * still stands where the submission put it, saw no callback (a hint moves it); a task that a callback finished says so
 * in `solution.source`, but it leaves the operator's watch without its end. While results go unheard, and only then,
 * such a task is read once, one at a time for each key; any reader who deletes it first costs that one sign and no more.
 * Words that end an attempt count neither way: status does not tell who brought them.
 */
import type { CaptchaTask, Solution, Submission } from '../../api/captchatask.ts';
import type { RefusalClass, SubmitOutcome } from '../outcome.ts';
import { INTENT_FRESH_MS, SUBMIT_TIMEOUT_MS, URL_REFUSED_MS } from './policy.ts';
import { parseTime } from './times.ts';

export interface CallbackMode {
  /** Results in a row that a poll found although their submission carried a URL, and that saw no callback. */
  readonly unheard: number;
  /** Submissions carry no URL until then, and after that one at a time. */
  readonly refused?: { readonly untilMono: number; readonly probeUntilMono: number };
}

/** As decisions see it. */
export interface CallbackView {
  silent: boolean;
  refused: boolean;
}

/** Nothing speaks against callbacks. */
export const CALLBACKS_TRUSTED: CallbackMode = { unheard: 0 };

export const SILENT_MESSAGE = 'Of late no callbacks came for this API key; asking the provider for the result.';
export const REFUSED_MESSAGE =
  'The provider refuses the callback URL and accepted the task without it; asking it for the result.';

/** What refusals of one task say of the callback URL. */
export interface URLDoubt {
  /** The word that the provider answered to a submission with a URL. */
  code: string;
  /** It is about the URL, as far as one can tell: the next try carries none. */
  refused: boolean;
}

/** The doubt after the call of a submission that carried a URL, or did not. */
export function doubtAfter(
  doubt: URLDoubt | undefined,
  carried: boolean,
  outcome: { kind: string; class?: RefusalClass; code?: string },
): URLDoubt | undefined {
  if (outcome.kind === 'accepted') return undefined;
  const { class: refusalClass, code } = outcome;
  if (!carried || code === undefined) return doubt;
  if (refusalClass === 'callbackRefused') return { code, refused: true };
  return refusalClass === 'unlisted' ? { code, refused: doubt?.code === code } : doubt;
}

/** A probe counts as under way for so long: its call is over by then, or will never be made. */
const PROBE_MS = INTENT_FRESH_MS + SUBMIT_TIMEOUT_MS + 10_000;

/** Whether the next submission of a task may carry a URL. */
export function mayCarryURL({ refused }: CallbackMode, doubt: URLDoubt | undefined, mono: number): boolean {
  if (doubt?.refused === true) return false;
  return refused === undefined || (refused.untilMono <= mono && refused.probeUntilMono <= mono);
}

/** A submission with a URL is about to be made: while the key is refused it is the probe. */
export function urlSent(mode: CallbackMode, mono: number): CallbackMode {
  const { refused } = mode;
  return refused === undefined ? mode : { ...mode, refused: { ...refused, probeUntilMono: mono + PROBE_MS } };
}

export interface Call {
  carried: boolean;
  outcome: SubmitOutcome;
  /** Of its task, before this call. */
  doubt?: URLDoubt | undefined;
}

/** The mode after a call of `in.php`. */
export function urlAnswered(mode: CallbackMode, call: Call, mono: number): CallbackMode {
  const { outcome, carried, doubt } = call;
  if (outcome.kind === 'accepted') {
    if (carried) return { unheard: mode.unheard };
    return doubt?.refused === true ? refusedAnew(mode, mono) : mode;
  }
  const { refused } = mode;
  if (refused === undefined || !carried || refused.untilMono > mono) return mode;
  // A probe. Any word that may be about the URL is, for a key whose URL was refused before.
  const isRefusal = doubtAfter(undefined, carried, outcome) !== undefined;
  return isRefusal ? refusedAnew(mode, mono) : { ...mode, refused: { ...refused, probeUntilMono: -Infinity } };
}

function refusedAnew(mode: CallbackMode, mono: number): CallbackMode {
  return { ...mode, refused: { untilMono: mono + URL_REFUSED_MS, probeUntilMono: -Infinity } };
}

/** What a finished task says of callbacks. */
export function signOf(task: CaptchaTask): 'heard' | 'unheard' | undefined {
  const { solution, submission } = task.status ?? {};
  if (solution?.source === 'Callback') return 'heard';
  if (submission?.pingback !== true || submission.captchaID === undefined) return undefined;
  if (wasMadeDue(task, submission)) return 'heard';
  return isPolled(solution, submission) ? 'unheard' : undefined;
}

function isPolled(solution: Solution | undefined, { attempt }: Submission): boolean {
  return solution?.source === 'Poll' && solution.attempt === attempt;
}

/** Nobody but a callback moves it from where the submission put it, dropped marks of dead letters aside. */
function wasMadeDue({ spec }: CaptchaTask, { submittedTime, pollAfterTime }: Submission): boolean {
  const plannedAt = (parseTime(submittedTime) ?? NaN) + spec.callbackTimeoutSeconds * 1_000;
  return parseTime(pollAfterTime) !== plannedAt;
}

export function signSeen(mode: CallbackMode, sign: 'heard' | 'unheard'): CallbackMode {
  return { ...mode, unheard: sign === 'heard' ? 0 : mode.unheard + 1 };
}

/** @param limit 0: never */
export function isSilent({ unheard }: CallbackMode, limit: number): boolean {
  return limit > 0 && unheard >= limit;
}
