/**
 * What must hold in every state, and of every step: the contract as sentences. Each function answers with the sentence
 * that was broken. `isEnd` is what must stay reachable.
 */
import type { CaptchaTask } from '../../src/api/captchatask.ts';
import { parseEntries } from '../../src/core/journal/entry.ts';
import { isShown } from '../../src/core/journal/overlay.ts';
import { phaseOf } from '../../src/core/deadletter/facts.ts';
import { isFinished } from '../../src/core/task/transitions.ts';
import type { Configuration } from './configurations.ts';
import { idOf, valueOf } from './provider.ts';
import { type Job, type State, keyOfJob } from './state.ts';

type Judge = (now: Unfinal) => string | undefined;

interface Unfinal {
  configuration: Configuration;
  before: State;
  after: State;
  /** As stored after the step; this object existed before it, too, where `old` is there. */
  task: CaptchaTask;
  old: CaptchaTask | undefined;
  /** Paid for this very object. */
  jobs: readonly Job[];
}

export function broken(configuration: Configuration, before: State, after: State): string[] {
  const isSame = before.task === after.task && before.jobs === after.jobs && before.journal === after.journal;
  if (isSame && same(before, after)) return [];
  const task = after.task?.value;
  if (task === undefined) return [];
  const { uid } = task.metadata;
  const old = before.task?.value.metadata.uid === uid ? before.task.value : undefined;
  const jobs = after.jobs.filter((job) => job.uid === uid);
  const now: Unfinal = { configuration, before, after, task, old, jobs };
  return JUDGES.map((judge) => judge(now)).filter((sentence) => sentence !== undefined);
}

function same(before: State, after: State): boolean {
  return before.received === after.received && before.letters === after.letters && before.secret === after.secret;
}

const JUDGES: readonly Judge[] = [
  countsPayments,
  knowsEveryAttempt,
  keepsTheEnd,
  keepsAttempts,
  solvesByItsOwnResult,
  endsByItsOwnWord,
  keepsWhatWasAcknowledged,
  holdsForLetters,
  keepsTheSecret,
  knowsWhatItCanKnow,
  keepsIDs,
];

function countsPayments({ jobs, task }: Unfinal): string | undefined {
  const failures = jobs.filter(({ answer }) => answer === 'unsolvable').length;
  const allowed = 1 + Math.min(failures, task.spec.backoffLimit) + (task.status?.unknownSubmissions ?? 0);
  if (jobs.length <= allowed) return undefined;
  return 'the provider accepted more than the first submission, the allowed retries and the counted unknowns';
}

/** What a person takes out of the journal is the person's. */
function knowsEveryAttempt({ jobs, task, after, configuration }: Unfinal): string | undefined {
  if (configuration.journal === 'deleted' && after.deeds > 0) return undefined;
  const top = Math.max(0, ...jobs.map(({ attempt }) => attempt));
  const entered = entriesOf(after).some(({ uid }) => uid === task.metadata.uid) ? 1 : 0;
  return top > Math.max(task.status?.attempts ?? 0, entered)
    ? 'status knows of fewer attempts than the provider accepted'
    : undefined;
}

function keepsTheEnd({ old, task }: Unfinal): string | undefined {
  if (old === undefined || !isFinished(old)) return undefined;
  const kept = JSON.stringify(old.status?.solution) === JSON.stringify(task.status?.solution);
  return kept && old.status?.phase === task.status?.phase ? undefined : 'a finished task changed';
}

function keepsAttempts({ old, task }: Unfinal): string | undefined {
  return (old?.status?.attempts ?? 0) > (task.status?.attempts ?? 0) ? 'attempts decreased' : undefined;
}

function solvesByItsOwnResult({ task, jobs, after }: Unfinal): string | undefined {
  const solution = task.status?.solution;
  if (solution === undefined) return undefined;
  const job = jobs.find(({ attempt }) => attempt === solution.attempt);
  const fits = job?.answer === 'value' && solution.captchaID === idOf(job);
  if (!fits) return 'a task was solved by what is no result of its attempt';
  const value = solution.value ?? secretValue(after);
  return value === valueOf(job) ? undefined : 'a task was solved by the value of another attempt';
}

function secretValue({ secret }: State): string | undefined {
  const { data: { value: data } = {} }: { data?: Record<string, string> } = secret?.value ?? {};
  return data === undefined ? undefined : Buffer.from(data, 'base64').toString();
}

function endsByItsOwnWord({ task, jobs }: Unfinal): string | undefined {
  const submission = task.status?.submission;
  if (submission?.endTime === undefined) return undefined;
  const job = jobs.find(({ attempt }) => attempt === submission.attempt);
  const isWord = job?.answer === 'unsolvable' || job?.answer === 'hopeless';
  return isWord ? undefined : 'an attempt was ended by what was not said about it';
}

function keepsWhatWasAcknowledged(now: Unfinal): string | undefined {
  if (isFinished(now.task)) return undefined;
  for (const job of now.jobs) {
    if (!job.acknowledged || now.after.received.some((it) => it.spooled && it.job === keyOfJob(job))) continue;
    if (job.answer === 'value' ? !isInLetter(now, job) : !isKnown(now, job)) {
      return `a ${job.answer === 'value' ? 'result' : 'word'} that was answered 200 is nowhere`;
    }
  }
  return undefined;
}

/** What a person deletes is the person's. */
function isInLetter({ after, configuration }: Unfinal, job: Job): boolean {
  const holds = after.letters.some(
    ({ value }) => value.spec.payload.code === valueOf(job) && ['Pending', 'Abandoned'].includes(phaseOf(value)),
  );
  return holds || (configuration.lettersDeleted === true && after.deeds > 0);
}

/** The attempt has ended or is over; under a mark the id is enough, because a poll under it finds the word again. */
function isKnown({ task, configuration }: Unfinal, { attempt }: Job): boolean {
  const { attempts = 0, submission } = task.status ?? {};
  if (attempts > attempt) return true;
  if (submission?.endTime !== undefined) return true;
  return configuration.secret === 'foreign' && submission?.captchaID !== undefined;
}

function holdsForLetters({ old, task, before }: Unfinal): string | undefined {
  if (task.status?.phase !== 'Failed' || old === undefined || isFinished(old)) return undefined;
  const { uid } = task.metadata;
  const held = before.letters.some(
    ({ value }) => value.spec.taskRef.uid === uid && ['Pending', 'Abandoned'].includes(phaseOf(value)),
  );
  return held ? 'a task failed while a letter holds its result' : undefined;
}

function keepsTheSecret({ before, after }: Unfinal): string | undefined {
  const overwritten = before.secret !== undefined && after.secret !== undefined && before.secret !== after.secret;
  return overwritten ? 'a Secret was overwritten' : undefined;
}

function knowsWhatItCanKnow({ configuration, task }: Unfinal): string | undefined {
  if (configuration.timely !== true || (task.status?.unknownSubmissions ?? 0) === 0) return undefined;
  return 'a submission is called unknown although its reply was still to come';
}

/** What a person takes out of the journal is the person's. */
function keepsIDs({ configuration, before, after, task, old }: Unfinal): string | undefined {
  if (old === undefined || (configuration.journal === 'deleted' && after.deeds > 0)) return undefined;
  const { uid } = task.metadata;
  const entry = entriesOf(before).find((one) => one.uid === uid && one.captchaID !== undefined);
  if (entry === undefined || isShown(task, entry)) return undefined;
  const isKept = entriesOf(after).some(({ by, captchaID }) => by === entry.by && captchaID === entry.captchaID);
  return isKept ? undefined : 'an id that the journal held is nowhere';
}

function entriesOf({ journal }: State): ReturnType<typeof parseEntries> {
  return parseEntries(journal?.value.data?.['entries'] ?? '');
}

/** Nothing is left to do; or only a person can help, because a letter that holds the task was abandoned. */
export function isEnd(state: State): boolean {
  const { task, received, letters } = state;
  if (entriesOf(state).length > 0) return false;
  const isHeld = task?.value.status?.deadLetter?.confirmed === true && letters.some(isAbandoned);
  if (task !== undefined && !isFinished(task.value) && !isHeld) return false;
  return received.length === 0 && letters.every(({ value }) => phaseOf(value) !== 'Pending');
}

function isAbandoned({ value }: State['letters'][number]): boolean {
  return phaseOf(value) === 'Abandoned';
}
