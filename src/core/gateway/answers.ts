/**
 * What a task is to a client of the protocol family: an answer, and its text as JSON or plain. Pure, and total: every
 * task has an answer that the family knows, and none is invented. Shapes: provider-api.md section 3.
 */
import type { CaptchaTask, CaptchaTaskStatus } from '../../api/captchatask.ts';
import type { FailedReason } from '../../api/names.ts';
import { HTTP_413, listedCode } from '../provider-codes.ts';

export const NOT_READY = 'CAPCHA_NOT_READY';
export const WRONG_ID = 'ERROR_WRONG_CAPTCHA_ID';

export type Answer =
  | {
      kind: 'solved';
      value: string;
      userAgent?: string;
      /** A cookie and its agent are one text in a plain answer. */
      isClearance: boolean;
    }
  /** A word in place of a result; `text` is for people. */
  | { kind: 'word'; word: string; text?: string };

/** What the gateway keeps of a task. */
export interface TaskView {
  uid: string;
  /** It counts towards the bound of its namespace. */
  isOpen: boolean;
  answer: Answer;
}

export function viewOf(task: CaptchaTask): TaskView {
  const { phase } = task.status ?? {};
  const isOpen = phase !== 'Solved' && phase !== 'Failed';
  return { uid: task.metadata.uid, isOpen, answer: isOpen ? { kind: 'word', word: NOT_READY } : endOf(task) };
}

function endOf({ spec, status }: CaptchaTask): Answer {
  const { solution, failure } = status ?? {};
  if (status?.phase === 'Failed') return { kind: 'word', word: failureWord(failure, reasonOf(status)) };
  // The gateway asks for no Secret, and has no right to read one.
  if (solution?.value === undefined) return { kind: 'word', word: 'ERROR_INTERNAL_SERVER_ERROR' };
  return {
    kind: 'solved',
    value: solution.value,
    ...(solution.userAgent === undefined ? {} : { userAgent: solution.userAgent }),
    isClearance: spec.captcha.type === 'CloudflareChallenge',
  };
}

function reasonOf(status: CaptchaTask['status']): string | undefined {
  return status?.conditions?.find(({ type }) => type === 'Solved')?.reason;
}

const WORDS_OF_REASONS: Partial<Record<FailedReason, string>> = { InvalidTask: 'ERROR_BAD_PARAMETERS' };

/** The provider's own word where it said one; else the family's word for what became of the task. */
function failureWord(failure: CaptchaTaskStatus['failure'], reason: string | undefined): string {
  const code = failure?.code ?? '';
  if (code === HTTP_413) return 'ERROR_TOO_BIG_CAPTCHA_FILESIZE';
  if (listedCode(code) !== undefined || code.startsWith('ERROR_')) return code;
  return WORDS_OF_REASONS[reason as FailedReason] ?? 'ERROR_CAPTCHA_UNSOLVABLE';
}

/** The text of one answer. */
export function answerText(answer: Answer, json: boolean): string {
  if (answer.kind === 'word') return wordText(answer, json);
  return json ? solvedJSON(answer) : `OK|${plainValue(answer)}`;
}

/** Of several (`ids=`): without the `OK|`, joined by bars. */
export function answersText(answers: readonly Answer[], json: boolean): string {
  const text = answers.map((answer) => (answer.kind === 'solved' ? plainValue(answer) : answer.word)).join('|');
  return json ? JSON.stringify({ status: 1, request: text }) : text;
}

function wordText({ word, text }: { word: string; text?: string }, json: boolean): string {
  if (!json) return word;
  return JSON.stringify({ status: 0, request: word, ...(text === undefined ? {} : { error_text: text }) });
}

/**
 * Where an answer is bound to an agent, the provider's own client looks for it in `result`, those of the family in
 * `request`, and the agent has two spellings: all are there.
 */
function solvedJSON({ value, userAgent, isClearance }: Answer & { kind: 'solved' }): string {
  const agent = userAgent === undefined ? {} : { user_agent: userAgent, useragent: userAgent };
  const result = userAgent === undefined && !isClearance ? {} : { result: value };
  return JSON.stringify({ status: 1, request: value, ...result, ...agent });
}

function plainValue({ value, userAgent, isClearance }: Answer & { kind: 'solved' }): string {
  return isClearance && userAgent !== undefined ? `cf_clearance=${value};user_agent=${userAgent}` : value;
}

/** An id, or a number or word that stands for success. */
export function successText(request: string, json: boolean): string {
  return json ? JSON.stringify({ status: 1, request }) : `OK|${request}`;
}

/** JSON whatever was asked for, as clients expect of `threadsinfo`. */
export function threadsText(threads: number, workingThreads: number): string {
  return JSON.stringify({ status: 1, threads, working_threads: workingThreads });
}
