/**
 * Puts a result that could not be applied into a DeadLetter, in the one order that loses nothing: mark the task, create
 * the letter, confirm the mark; only then may the caller forget the result. Killed anywhere in between, the same call
 * made again completes it, because the letter's name is deterministic.
 *
 * The mark. Unconfirmed: someone is about to create the letter. Confirmed: the named letter was there. The newest
 * letter takes the mark over, so that an older letter's end cannot fail a task whose newest result was kept; any
 * confirmed mark holds the task. Where the mark itself is refused for good, the letter is still created, to be seen,
 * but the caller keeps the result.
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { DeadLetter, DeadLetterSpec, LetterError } from '../../api/deadletter.ts';
import type { Protocol } from '../protocol.ts';
import type { TaskCopy } from './task-status.ts';
import type { Delivery, Failure, ReceivedResult } from './types.ts';
import type { Judgement } from './judge.ts';
import { API_VERSION, DEAD_LETTER, GROUP, MAX_LETTER_CODE_LENGTH } from '../../api/names.ts';
import { letterName } from '../deadletter/names.ts';
import { formatTime } from '../task/times.ts';
import { adopted, marked } from '../task/transitions.ts';
import { lifeOf } from './freshness.ts';
import { judge } from './judge.ts';
import { heldStatus } from './mark.ts';
import { writeTaskStatus } from './task-status.ts';
import { troubleOf } from './trouble.ts';

const MAX_ROUNDS = 3;

export const ERROR_CLASS_LABEL = `${GROUP}/error-class`;

/** How it ended; `overtaken`: the task turned out finished, gone or of another id, and the caller judges that. */
export type LetterKept = { kind: 'delivery'; delivery: Delivery } | { kind: 'overtaken'; judgement: Judgement };

export function* keepAsLetter(
  copy: TaskCopy & { task: CaptchaTask },
  result: ReceivedResult,
  failure: Failure,
  now: number,
): Protocol<LetterKept> {
  if (result.value.length > MAX_LETTER_CODE_LENGTH) return keep({ class: 'TooLarge', message: TOO_LARGE });
  const letter = letterFor(copy.task, result, failure);
  const { name } = letter.metadata;
  const mark = yield* writeWhileOpen(copy, result, (task) =>
    task.status?.deadLetter?.name === name ? undefined : markedWithId(task, result, name, now),
  );
  if (mark.kind === 'unavailable') return keep(mark.error);
  if (mark.kind === 'overtaken') return mark;
  const written = yield* createLetter(letter);
  if (mark.kind === 'refused') return keep(mark.error);
  if (written.kind === 'unavailable') return keep(written.error);

  const created = written.kind === 'created';
  const held = yield* writeWhileOpen({ task: mark.task, quorum: false }, result, (task) =>
    heldStatus(task, name, { afresh: created, now }),
  );
  if (held.kind === 'overtaken') return held;
  if (held.kind !== 'open') return keep(held.error);
  const before = mark.before ?? held.before;
  const changed = before === undefined ? {} : { before };
  return {
    kind: 'delivery',
    delivery: { kind: 'deadLettered', letter: name, ...failure, ...changed, task: held.task },
  };
}

type WrittenWhileOpen =
  /** `before`: what was written over, if anything was. */
  | { kind: 'open'; before?: CaptchaTask; task: CaptchaTask }
  | { kind: 'overtaken'; judgement: Judgement }
  | { kind: 'refused'; error: LetterError }
  | { kind: 'unavailable'; error: LetterError };

/** Writes while the task waits for this result (`undefined`: nothing to write); otherwise says what it is instead. */
function* writeWhileOpen(
  start: TaskCopy,
  result: ReceivedResult,
  statusOf: (task: CaptchaTask) => CaptchaTaskStatus | undefined,
): Protocol<WrittenWhileOpen> {
  const written = yield* writeTaskStatus<Judgement>(result.task, start, (copy) => {
    const judgement = judge(copy, result);
    if (judgement.kind === 'unproven') return { kind: 'reread' };
    const status = judgement.kind === 'open' ? statusOf(judgement.task) : undefined;
    return status === undefined ? { kind: 'stop', verdict: judgement } : { kind: 'write', status };
  });
  if (written.kind === 'written') return { kind: 'open', before: written.before, task: written.task };
  if (written.kind !== 'stopped') return { kind: written.kind, error: written.error };
  const { verdict } = written;
  return verdict.kind === 'open' ? verdict : { kind: 'overtaken', judgement: verdict };
}

const TOO_LARGE = 'The result is larger than a dead letter may hold.';

function keep(error: LetterError): LetterKept {
  return { kind: 'delivery', delivery: { kind: 'retry', error } };
}

/** The mark; an id that the provider told us before our submission was recorded is kept with it. */
function markedWithId(task: CaptchaTask, result: ReceivedResult, name: string, now: number): CaptchaTaskStatus {
  const submission = task.status?.submission;
  const current = result.attempt === task.status?.attempts;
  const adopts = current && submission?.captchaID === undefined && submission?.endTime === undefined;
  const known = adopts ? { ...task, status: adopted(task, result.captchaID, now) } : task;
  return marked(known, name, now);
}

type LetterWritten = { kind: 'created' } | { kind: 'exists' } | { kind: 'unavailable'; error: LetterError };

/** Creates the letter, or finds the same one alive. One that has ended, or holds something else, keeps nothing. */
function* createLetter(letter: NewLetter): Protocol<LetterWritten> {
  const { name, namespace } = letter.metadata;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const created = yield { verb: 'create', resource: DEAD_LETTER, namespace, object: letter };
    if (created.ok) return { kind: 'created' };
    if (created.status !== 409) {
      return { kind: 'unavailable', error: troubleOf(created, 'creating the dead letter').error };
    }
    const found = yield { verb: 'get', resource: DEAD_LETTER, namespace, name, read: 'quorum' };
    if (found.ok) return holds(found.object as DeadLetter, letter.spec);
    if (found.status !== 404) {
      return { kind: 'unavailable', error: troubleOf(found, 'reading the dead letter').error };
    }
  }
  return { kind: 'unavailable', error: { class: 'Unavailable', message: 'The dead letter comes and goes.' } };
}

/** `Abandoned` is alive: it stays, and a person can redrive it. */
function holds(found: DeadLetter, spec: DeadLetterSpec): LetterWritten {
  const { taskRef, payload } = found.spec;
  const same = taskRef.uid === spec.taskRef.uid && payload.code === spec.payload.code;
  const phase = found.status?.phase ?? 'Pending';
  if (same && (phase === 'Pending' || phase === 'Abandoned')) return { kind: 'exists' };
  const message = 'A dead letter of this name is there already and does not hold this result.';
  return { kind: 'unavailable', error: { class: 'Conflict', message } };
}

type NewLetter = Omit<DeadLetter, 'metadata' | 'status'> & {
  metadata: { name: string; namespace: string; labels: Record<string, string> };
};

function letterFor(task: CaptchaTask, result: ReceivedResult, failure: Failure): NewLetter {
  const { name, uid, namespace } = result.task;
  const { attempt, captchaID, value: code, userAgent, receivedTime } = result;
  const { stage, error } = failure;
  const { expiresTime } = lifeOf(task, result);
  const identity = { task: { name, uid }, attempt, stage, code, userAgent };
  return {
    apiVersion: API_VERSION,
    kind: DEAD_LETTER.kind,
    metadata: {
      name: letterName(identity),
      namespace,
      labels: { 'app.kubernetes.io/managed-by': 'captcha-operator', [ERROR_CLASS_LABEL]: error.class },
    },
    spec: {
      taskRef: { name, uid },
      attempt,
      captchaID,
      stage,
      source: result.source === 'Poll' ? 'Poll' : 'Callback',
      payload: { code, ...(userAgent === undefined ? {} : { userAgent }) },
      error,
      receivedTime: formatTime(receivedTime),
      ...(expiresTime === undefined ? {} : { contentExpiresTime: expiresTime }),
    },
  };
}
