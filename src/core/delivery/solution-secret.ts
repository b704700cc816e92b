/**
 * The Secret that holds a solution for a task with `solutionSecretName`. It is written before status and only ever
 * created, so that a crash in between leaves one truth: when a Secret owned by this task's uid is there already, its
 * content is the result. A Secret that someone else owns is never touched; that is a failure for a person to look at.
 * Annotations say which attempt the content came from. A task that is about to fail at its deadline is looked up here
 * once more.
 */
import type { CaptchaTask, Solution } from '../../api/captchatask.ts';
import type { ObjectRef, OwnerReference } from '../../api/conditions.ts';
import type { LetterError } from '../../api/deadletter.ts';
import type { ResultSource } from '../../api/names.ts';
import type { Protocol } from '../protocol.ts';
import type { Failure, ReceivedResult } from './types.ts';
import type { Action, Refused } from './trouble.ts';
import {
  API_VERSION,
  CAPTCHA_TASK,
  GROUP,
  RESULT_SOURCES,
  SECRET,
  SOLUTION_SECRET_TYPE,
  SOLUTION_SECRET_USER_AGENT,
  SOLUTION_SECRET_VALUE,
} from '../../api/names.ts';
import { formatTime, parseTime } from '../task/times.ts';
import { lifeOf } from './freshness.ts';
import { troubleOf } from './trouble.ts';

/** Where the content came from: `attempt`, `captcha-id`, `source`, `received-time`. */
const ATTEMPT = `${GROUP}/attempt`;
const CAPTCHA_ID = `${GROUP}/captcha-id`;
const SOURCE = `${GROUP}/source`;
const RECEIVED_TIME = `${GROUP}/received-time`;
/** For its readers, who need not know the task: the times of `status.solution`. */
const FRESH_UNTIL = `${GROUP}/fresh-until`;
const EXPIRES = `${GROUP}/expires`;

/** A Secret that vanishes each time it is looked at is somebody else's doing. */
const MAX_ROUNDS = 3;
const VANISHES =
  'The solution Secret was there when it was to be created and gone when it was read, several times in a row. ' +
  'See what deletes it.';

interface Secret {
  metadata: { annotations?: Record<string, string>; ownerReferences?: OwnerReference[] };
  data?: Record<string, string>;
}

/** What the Secret holds, as `solution` in status shall show it, and the value itself for comparing. */
interface SecretContent {
  solution: Solution;
  value: string;
}

export type SecretKept =
  | ({ kind: 'kept' } & SecretContent)
  | { kind: 'failed'; failure: Failure }
  | { kind: 'unavailable'; error: LetterError };

/** Creates the Secret for this result, or takes what the task's own Secret holds already. */
export function* keepInSecret(task: CaptchaTask, name: string, result: ReceivedResult): Protocol<SecretKept> {
  const { namespace } = task.metadata;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const created = yield { verb: 'create', resource: SECRET, namespace, object: secretFor(task, name, result) };
    if (created.ok) return { kind: 'kept', ...contentOf(task, name, created.object as Secret) };
    if (created.status !== 409) return trouble(created, 'creating the solution Secret');
    const found = yield { verb: 'get', resource: SECRET, namespace, name, read: 'quorum' };
    if (found.ok) return judgeFound(task, name, found.object as Secret, result);
    if (found.status !== 404 || found.transient) return trouble(found, 'reading the solution Secret');
  }
  return { kind: 'unavailable', error: { class: 'Unavailable', message: VANISHES } };
}

/**
 * What the task's own Secret holds, if it has one (quorum read), as it was received: before `DeadlineExceeded` the task
 * controller asks, because a result that a crash left there wins. None: also someone else's, or not readable for good.
 */
export function* findInSecret(
  task: CaptchaTask,
): Protocol<
  { kind: 'found'; result: ReceivedResult } | { kind: 'none' } | { kind: 'unavailable'; error: LetterError }
> {
  const secretName = task.spec.solutionSecretName;
  if (secretName === undefined) return { kind: 'none' };
  const { namespace } = task.metadata;
  const found = yield { verb: 'get', resource: SECRET, namespace, name: secretName, read: 'quorum' };
  if (!found.ok && found.transient) {
    return { kind: 'unavailable', error: troubleOf(found, 'reading the solution Secret').error };
  }
  const result = found.ok ? resultIn(task, found.object as Secret) : undefined;
  return result === undefined ? { kind: 'none' } : { kind: 'found', result };
}

/** A Secret's content as the result it was, if the Secret is the task's own. */
function resultIn(task: CaptchaTask, secret: Secret): ReceivedResult | undefined {
  const { namespace, name, uid } = task.metadata;
  const value = decoded(secret.data?.[SOLUTION_SECRET_VALUE]);
  if (value === undefined || !owned(secret, uid)) return undefined;
  const userAgent = decoded(secret.data?.[SOLUTION_SECRET_USER_AGENT]);
  const { captchaID = '', ...origin } = originOf(task, secret);
  const agent = userAgent === undefined ? {} : { userAgent };
  return { task: { namespace, name, uid }, captchaID, value, ...agent, ...origin };
}

/** The value that a finished task's Secret holds, where it can be read; only to tell a repeat from a conflict. */
export function* valueInSecret(ref: ObjectRef, name: string): Protocol<string | undefined> {
  const found = yield { verb: 'get', resource: SECRET, namespace: ref.namespace, name, read: 'cached' };
  if (!found.ok || !owned(found.object as Secret, ref.uid)) return undefined;
  return decoded((found.object as Secret).data?.[SOLUTION_SECRET_VALUE]);
}

function judgeFound(task: CaptchaTask, name: string, secret: Secret, result: ReceivedResult): SecretKept {
  if (!owned(secret, task.metadata.uid)) {
    return conflict('The solution Secret exists already and is not owned by this task.');
  }
  const value = decoded(secret.data?.[SOLUTION_SECRET_VALUE]);
  if (value === undefined) return conflict("The task's solution Secret exists already but holds no value.");
  const { solution } = contentOf(task, name, secret);
  // Where the Secret holds what the letter holds, the letter counts as its source, whoever created the Secret.
  const byLetter = value === result.value && result.source === 'DeadLetter';
  return { kind: 'kept', value, solution: byLetter ? { ...solution, source: result.source } : solution };
}

function conflict(message: string): SecretKept {
  return { kind: 'failed', failure: { stage: 'WriteSecret', error: { class: 'Conflict', message } } };
}

function trouble(reply: Refused, action: Action): SecretKept {
  const { cure, error } = troubleOf(reply, action);
  if (cure === 'soon') return { kind: 'unavailable', error };
  return { kind: 'failed', failure: { stage: 'WriteSecret', error } };
}

function owned(secret: Secret, uid: string): boolean {
  return secret.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
}

/** `solution` as status shall show it. */
function contentOf(task: CaptchaTask, name: string, secret: Secret): SecretContent {
  const origin = originOf(task, secret);
  const { source, attempt, captchaID, receivedTime } = origin;
  return {
    value: decoded(secret.data?.[SOLUTION_SECRET_VALUE]) ?? '',
    solution: {
      secretRef: { name },
      source,
      attempt,
      ...(captchaID === undefined ? {} : { captchaID }),
      receivedTime: formatTime(receivedTime),
      ...lifeOf(task, origin),
      ...freshnessIn(secret),
    },
  };
}

/** As the Secret tells it, whose creator may have known of later polls than the task does. */
function freshnessIn({ metadata }: Secret): Pick<Solution, 'freshUntilTime'> {
  const noted = parseTime(metadata.annotations?.[FRESH_UNTIL]);
  return noted === undefined ? {} : { freshUntilTime: formatTime(noted) };
}

/** As the Secret's annotations tell it; what they do not tell (somebody took them away) as the task does. */
function originOf(task: CaptchaTask, secret: Secret): Origin {
  return { ...originByTask(task), ...originByNotes(secret.metadata.annotations ?? {}) };
}

interface Origin {
  source: ResultSource;
  attempt: number;
  captchaID?: string;
  receivedTime: number;
}

function originByTask(task: CaptchaTask): Origin {
  const submission = task.status?.submission;
  const receivedTime = parseTime(submission?.intentTime) ?? parseTime(task.metadata.creationTimestamp) ?? 0;
  const id = submission?.captchaID === undefined ? {} : { captchaID: submission.captchaID };
  return { source: 'Callback', attempt: task.status?.attempts ?? 1, receivedTime, ...id };
}

function originByNotes(notes: Record<string, string>): Partial<Origin> {
  const source = RESULT_SOURCES.find((known) => known === notes[SOURCE]);
  const attempt = Number(notes[ATTEMPT]);
  const receivedTime = parseTime(notes[RECEIVED_TIME]);
  return {
    ...(source === undefined ? {} : { source }),
    ...(attempt >= 1 ? { attempt } : {}),
    ...(notes[CAPTCHA_ID] === undefined ? {} : { captchaID: notes[CAPTCHA_ID] }),
    ...(receivedTime === undefined ? {} : { receivedTime }),
  };
}

function secretFor(task: CaptchaTask, name: string, result: ReceivedResult): object {
  const { namespace, uid } = task.metadata;
  const agent = result.userAgent === undefined ? {} : { [SOLUTION_SECRET_USER_AGENT]: encoded(result.userAgent) };
  const { freshUntilTime, expiresTime } = lifeOf(task, result);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: SOLUTION_SECRET_TYPE,
    metadata: {
      name,
      namespace,
      labels: { 'app.kubernetes.io/managed-by': 'captcha-operator' },
      annotations: {
        [ATTEMPT]: String(result.attempt),
        [CAPTCHA_ID]: result.captchaID,
        [SOURCE]: result.source,
        [RECEIVED_TIME]: formatTime(result.receivedTime),
        ...(freshUntilTime === undefined ? {} : { [FRESH_UNTIL]: freshUntilTime }),
        ...(expiresTime === undefined ? {} : { [EXPIRES]: expiresTime }),
      },
      ownerReferences: [
        { apiVersion: API_VERSION, kind: CAPTCHA_TASK.kind, name: task.metadata.name, uid, controller: true },
      ],
    },
    data: { [SOLUTION_SECRET_VALUE]: encoded(result.value), ...agent },
  };
}

/** Base64 of the text's UTF-8 bytes, as the API carries Secret data. */
function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

function decoded(base64: string | undefined): string | undefined {
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString();
}
