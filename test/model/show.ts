/** A state in one line, as it ends a trace. */
import type { CaptchaTaskStatus, Submission } from '../../src/api/captchatask.ts';
import { parseEntries } from '../../src/core/journal/entry.ts';
import { phaseOf } from '../../src/core/deadletter/facts.ts';
import { type State, keyOfJob } from './state.ts';

export function shown({ task, jobs, letters, received, operators, journal }: State): string {
  const paid = jobs.map((job) => `${keyOfJob(job)} ${job.answer}${job.acknowledged ? ', answered 200' : ''}`);
  const parts = [
    `task: ${task === undefined ? 'none' : shownTask(task.value)}`,
    `paid: ${paid.join('; ') || 'nothing'}`,
    `letters: ${letters.map(({ value }) => phaseOf(value)).join(', ') || 'none'}`,
    ...(operators[0]?.room === undefined
      ? []
      : [`journal:${journal === undefined ? ' none' : shownJournal(journal.value)}`]),
    `in the spool: ${received.filter(({ spooled }) => spooled).length}`,
    `caches: ${operators.map(({ cache }) => (cache === task ? 'newest' : cache === undefined ? 'none' : 'older')).join(', ')}`,
  ];
  return parts.join(' | ');
}

/** Of the journal: who holds it, and the entries. */
export function shownJournal(object: { data?: Record<string, string> }): string {
  const { data } = object;
  if (data?.['entries'] === undefined) return '';
  const entries = parseEntries(data['entries']).map(({ uid, by, captchaID = '' }) =>
    `${uid} ${by} ${captchaID}`.trim(),
  );
  return ` {${[data['holder'], ...entries].join(', ')}}`;
}

function shownTask({ metadata, status, spec }: NonNullable<State['task']>['value']): string {
  const words = [metadata.uid, ...(status === undefined ? ['without status'] : shownStatus(status))];
  return (spec.suspend ? [...words, 'suspended'] : words).join(', ');
}

/** The part of a status that tells what a write is about. */
export function shownStatus(status: Partial<CaptchaTaskStatus>): string[] {
  const { phase, attempts, unknownSubmissions = 0, submission, deadLetter, solution } = status;
  const words: (string | false | undefined)[] = [
    phase,
    attempts !== undefined && `attempts ${attempts}`,
    unknownSubmissions > 0 && `unknown ${unknownSubmissions}`,
    ...shownSubmission(submission),
    deadLetter && (deadLetter.confirmed === true ? 'mark confirmed' : 'mark'),
    solution && `solution of attempt ${solution.attempt} by ${solution.source}`,
  ];
  return words.filter((word) => typeof word === 'string');
}

function shownSubmission(submission: Submission | undefined): (string | false)[] {
  if (submission === undefined) return [];
  const { attempt, captchaID, endTime } = submission;
  return [`submission ${attempt}`, captchaID !== undefined && `id ${captchaID}`, endTime !== undefined && 'ended'];
}
