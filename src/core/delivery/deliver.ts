/**
 * Brings one received result to its task: into the solution Secret where one is asked for, then into status, or into a
 * DeadLetter when it cannot be applied. Results of callbacks, polls and letter retries all come through here
 * (contract, sections 3, 4 and 6).
 *
 * Safe to abandon at any yield and to run again: the first result wins, an equal repeat changes nothing, and the
 * verdict `retry` is the only one after which the caller still has to keep the result (`failed` comes only to callers
 * that asked for it, because they keep the result anyway). Decides nothing about error words, hints or new attempts:
 * `core/callback` and `core/task` do.
 */
import type { CaptchaTask, CaptchaTaskStatus, Solution } from '../../api/captchatask.ts';
import type { LetterError } from '../../api/deadletter.ts';
import type { Protocol } from '../protocol.ts';
import type { Judgement } from './judge.ts';
import type { Step, TaskCopy, Written } from './task-status.ts';
import type { Delivery, DeliveryOptions, Failure, ReceivedResult } from './types.ts';
import { MAX_SOLUTION_BYTES } from '../../api/names.ts';
import { lifeOf } from './freshness.ts';
import { judge } from './judge.ts';
import { keepAsLetter } from './letter.ts';
import { keepInSecret, valueInSecret } from './solution-secret.ts';
import { readTask, writeTaskStatus } from './task-status.ts';
import { formatTime, parseTime } from '../task/times.ts';
import { pollDue, solved } from '../task/transitions.ts';

/** Delivers one result. Costs one write on the happy path, and one cached read unless `known` is given. */
export function* deliverResult(result: ReceivedResult, options: DeliveryOptions): Protocol<Delivery> {
  const judged = yield* judgeFirst(result, options);
  if (judged.kind === 'unavailable') return { kind: 'retry', error: judged.error };
  const { copy, judgement } = judged;
  if (judgement.kind !== 'open') return yield* endUnapplied(judgement, result, options.now);

  const { task: open } = judgement;
  const kept = yield* keepContent(open, result);
  if (kept.kind === 'unavailable') return { kind: 'retry', error: kept.error };
  if (kept.kind === 'failed') return yield* fail({ ...copy, task: open }, result, kept.failure, options);
  const written = yield* writeSolution(copy, result, kept.solution, options);
  if (written.kind === 'refused') {
    const task = written.copy.task ?? open;
    return yield* fail({ ...written.copy, task }, result, { stage: stageOf(result), error: written.error }, options);
  }
  if (written.kind === 'stopped') return yield* endUnapplied(written.verdict, result, options.now);
  if (written.kind === 'unavailable') return { kind: 'retry', error: written.error };
  const { before, task } = written;
  return { kind: kept.value === result.value ? 'applied' : 'conflict', before, task };
}

type FirstJudged =
  | { kind: 'judged'; copy: TaskCopy; judgement: Judgement }
  | { kind: 'unavailable'; error: LetterError };

/**
 * The first copy that may be acted on, and what the result means for it. A copy that proves nothing is read again; so
 * is one that a Secret is about to be created from, because creating has no test of the task: a Secret for a finished
 * or recreated task would be in the way.
 */
function* judgeFirst(result: ReceivedResult, { known }: DeliveryOptions): Protocol<FirstJudged> {
  let copy: TaskCopy = { task: known, quorum: false };
  if (known === undefined) {
    const read = yield* readTask(result.task, 'cached');
    if (read.kind === 'unavailable') return read;
    copy = read.copy;
  }
  const judgement = judge(copy, result);
  const beforeSecret = judgement.kind === 'open' && judgement.task.spec.solutionSecretName !== undefined;
  if (judgement.kind !== 'unproven' && !beforeSecret) return { kind: 'judged', copy, judgement };
  const fresh = yield* readTask(result.task, 'quorum');
  if (fresh.kind === 'unavailable') return fresh;
  return { kind: 'judged', copy: fresh.copy, judgement: judge(fresh.copy, result) };
}

type ContentKept =
  | { kind: 'kept'; solution: Solution; value: string }
  | { kind: 'failed'; failure: Failure }
  | { kind: 'unavailable'; error: LetterError };

/** What status shall say, after the content is where it belongs: in status itself, or in the Secret. */
function* keepContent(task: CaptchaTask, result: ReceivedResult): Protocol<ContentKept> {
  const secretName = task.spec.solutionSecretName;
  if (secretName !== undefined) return yield* keepInSecret(task, secretName, result);
  if (new TextEncoder().encode(result.value).length > MAX_SOLUTION_BYTES) {
    const error = { class: 'TooLarge', message: 'The result is larger than status may hold.' } as const;
    return { kind: 'failed', failure: { stage: stageOf(result), error } };
  }
  const { value, userAgent, source, attempt, captchaID, receivedTime } = result;
  const solution: Solution = {
    value,
    ...(userAgent === undefined ? {} : { userAgent }),
    source,
    attempt,
    captchaID,
    receivedTime: formatTime(receivedTime),
    ...lifeOf(task, result),
  };
  return { kind: 'kept', solution, value };
}

/** Writes the solution to this copy, or to a fresher one that is judged the same. */
function writeSolution(
  copy: TaskCopy,
  result: ReceivedResult,
  solution: Solution,
  { now, write }: DeliveryOptions,
): Protocol<Written<Judgement>> {
  const decide = (seen: TaskCopy): Step<Judgement> => {
    const judgement = judge(seen, result);
    if (judgement.kind === 'unproven') return { kind: 'reread' };
    if (judgement.kind !== 'open') return { kind: 'stop', verdict: judgement };
    return { kind: 'write', status: solvedBy(judgement.task, solution, now) };
  };
  return writeTaskStatus(result.task, copy, decide, write);
}

/** A result proves its attempt, also to a status that does not know of it (restored from a backup, say). */
function solvedBy(task: CaptchaTask, solution: Solution, now: number): CaptchaTaskStatus {
  const status = solved(task, solution, now);
  return { ...status, attempts: Math.max(status.attempts ?? 0, solution.attempt) };
}

function* fail(
  copy: TaskCopy & { task: CaptchaTask },
  result: ReceivedResult,
  failure: Failure,
  options: DeliveryOptions,
): Protocol<Delivery> {
  if (options.onFailure === 'report') return { kind: 'failed', ...failure };
  const kept = yield* keepAsLetter(copy, result, failure, options.now);
  return kept.kind === 'delivery' ? kept.delivery : yield* endUnapplied(kept.judgement, result, options.now);
}

/** The verdict on a task that does not wait for this result. */
function* endUnapplied(judgement: Judgement, result: ReceivedResult, now: number): Protocol<Delivery> {
  switch (judgement.kind) {
    case 'gone':
      return { kind: 'late', why: 'gone' };
    case 'recreated':
      return { kind: 'late', why: 'recreated' };
    case 'finished':
      return yield* compare(judgement.task, result);
    case 'otherId':
      return yield* askProvider(judgement.task, result, now);
    case 'open':
    case 'unproven':
      break;
  }
  return { kind: 'retry', error: { class: 'Unavailable', message: 'The task changed during the delivery.' } };
}

function* compare(task: CaptchaTask, result: ReceivedResult): Protocol<Delivery> {
  const solution = task.status?.solution;
  if (solution === undefined) return { kind: 'late', why: 'finished', task };
  const value = solution.value ?? (yield* heldValue(solution, result));
  if (value === result.value) return { kind: 'duplicate', task };
  return solution.attempt === result.attempt ? { kind: 'conflict', task } : { kind: 'late', why: 'finished', task };
}

/** Content in a Secret: read it to compare; where it cannot be read, the same attempt and id mean the same result. */
function* heldValue(solution: Solution, result: ReceivedResult): Protocol<string | undefined> {
  if (solution.secretRef === undefined || solution.attempt !== result.attempt) return undefined;
  const value = yield* valueInSecret(result.task, solution.secretRef.name);
  return value ?? (solution.captchaID === result.captchaID ? result.value : undefined);
}

/** Another id than the current attempt's: one of the two is not ours, and only a poll can tell. */
function* askProvider(task: CaptchaTask, result: ReceivedResult, now: number): Protocol<Delivery> {
  const written = yield* writeTaskStatus<Judgement>(result.task, { task, quorum: false }, (seen) => {
    const judgement = judge(seen, result);
    if (judgement.kind === 'unproven') return { kind: 'reread' };
    if (judgement.kind !== 'otherId' || isPollDue(judgement.task, now)) return { kind: 'stop', verdict: judgement };
    return { kind: 'write', status: pollDue(judgement.task, now) };
  });
  if (written.kind === 'unavailable') return { kind: 'retry', error: written.error };
  if (written.kind === 'written') return { kind: 'conflict', before: written.before, task: written.task };
  if (written.kind === 'refused') return { kind: 'conflict', task };
  const { verdict } = written;
  return verdict.kind === 'otherId'
    ? { kind: 'conflict', task: verdict.task }
    : yield* endUnapplied(verdict, result, now);
}

function isPollDue(task: CaptchaTask, now: number): boolean {
  const due = parseTime(task.status?.submission?.pollAfterTime);
  return task.status?.submission?.endTime !== undefined || (due !== undefined && due <= now);
}

function stageOf(result: ReceivedResult): Failure['stage'] {
  return result.source === 'Poll' ? 'ApplyPoll' : 'ApplyCallback';
}
