/**
 * `in.php` and `solve.php`: checks a submission the way the provider does, accepts it (or not, as scripted), starts
 * its timeline, and answers. From acceptance the task is paid for, whatever the script lets happen to the reply.
 */
import type { ServerResponse } from 'node:http';
import { acceptedText, answersInResult, defaultResult, failureText, resultText, type Style } from './answers.ts';
import { imageOf, refuseSubmission } from './checks.ts';
import { sendFault, sendPage, sendReply, sendText } from './faults.ts';
import { field, sentAs, type Fields } from './form.ts';
import { recordSubmission, type LedgerSubmission } from './ledger.ts';
import { deliverPingback, schedulePingbacks } from './pingback.ts';
import type { SubmitStep, TaskScript } from './script.ts';
import { later, nextId, nowMs, nth, pause, ruleFor, styleOf, type Rule, type State, type Task } from './state.ts';
import { releaseThread, takeThread } from './threads.ts';

/** Answers a call of `in.php`. */
export async function handleSubmit(state: State, fields: Fields, response: ServerResponse): Promise<void> {
  const line = recordSubmission(state.ledger, fields, sentAs(response.req));
  if (isTooLargeForGateway(state, fields)) {
    line.code = 'http413';
    return sendPage(response, 413);
  }
  const refused = refuseSubmission(state, fields);
  if (refused !== undefined) return refuse(state, { line, fields, response }, refused);
  const rule = ruleFor(state, fields);
  rule.calls += 1;
  const step: SubmitStep = nth(rule.script.submit, rule.calls) ?? { accept: true };
  if ('fault' in step) line.code = step.fault;
  if ('accept' in step && step.accept) return acceptAndAnswer(state, { line, fields, response, rule }, step);
  if (step.delayMs !== undefined) await pause(state, step.delayMs);
  if ('code' in step) return refuse(state, { line, fields, response }, step.code);
  line.answer = 'fault';
  sendFault(response, step, failureText(styleOf(state, fields), 'ERROR_SERVER_ERROR'));
}

const GATEWAY_BYTES = 102_400;

function isTooLargeForGateway({ switches }: State, fields: Fields): boolean {
  return switches.imageBytes === 'http413' && ((imageOf(fields) ?? '').length * 3) / 4 > GATEWAY_BYTES;
}

interface Call {
  line: LedgerSubmission;
  fields: Fields;
  response: ServerResponse;
}

async function acceptAndAnswer(state: State, call: Call & { rule: Rule }, step: SubmitStep): Promise<void> {
  const { fields, response, rule, line } = call;
  const style = styleOf(state, fields);
  const task = accept(state, fields, rule, line);
  await deliverEarly(state, task);
  // The reply waits, not the acceptance: whoever is killed meanwhile has a paid task and no id.
  if (step.delayMs !== undefined) await pause(state, step.delayMs);
  const text = acceptedText(style, task.id);
  if ('fault' in step) sendFault(response, step, text);
  else sendReply(response, text, style.json);
  replied(state, task);
}

/** Answers a call of `solve.php`, the one-shot form: the reply is the result. */
export async function handleSolve(state: State, fields: Fields, response: ServerResponse): Promise<void> {
  const line = recordSubmission(state.ledger, fields, sentAs(response.req));
  const refused = refuseSubmission(state, fields);
  if (refused !== undefined) return refuse(state, { line, fields, response }, refused);
  const task = accept(state, fields, ruleFor(state, fields), line);
  const solved = new Promise<void>((resolve) => task.waiters.push(resolve));
  replied(state, task);
  await solved;
  sendText(response, outcomeText(task, styleOf(state, fields)));
}

/** What the task has come to, as a reply of `res.php`. */
export function outcomeText({ outcome, fields }: Task, style: Style): string {
  if (outcome === undefined) return failureText(style, 'CAPCHA_NOT_READY');
  if ('code' in outcome) return failureText(style, outcome.code);
  return resultText(style, outcome, answersInResult(fields));
}

function refuse(state: State, { line, fields, response }: Call, code: string): void {
  line.code = code;
  state.ledger.totals.refused += 1;
  sendText(response, failureText(styleOf(state, fields), code));
}

function accept(state: State, fields: Fields, rule: Rule, line: LedgerSubmission): Task {
  rule.accepted += 1;
  const id = nextId(state);
  const key = field(fields, 'key');
  const script: TaskScript = nth(rule.script.tasks, rule.accepted) ?? {};
  const task: Task = {
    id,
    key,
    fields,
    script,
    pollSteps: [...(script.polls ?? [])],
    holdsThread: false,
    replied: false,
    reads: 0,
    line,
    waiters: [],
  };
  takeThread(state, task, () => startWhenReplied(state, task));
  state.tasks.set(id, task);
  line.answer = 'accepted';
  line.id = id;
  line.paid = true;
  state.ledger.totals.paid += 1;
  return task;
}

async function deliverEarly(state: State, task: Task): Promise<void> {
  const early = task.script.pingbacks?.filter((step) => step.beforeReply === true) ?? [];
  if (early.length === 0) return;
  task.outcome = outcomeOf(state, task);
  for (const step of early) await deliverPingback(state, task, step);
}

function replied(state: State, task: Task): void {
  task.replied = true;
  if (task.holdsThread) startTimeline(state, task);
}

/** A task that had to wait for its thread. */
function startWhenReplied(state: State, task: Task): void {
  if (task.replied) startTimeline(state, task);
}

/** From the reply on, and with a thread: solved after a while, then polls and pingbacks tell. */
function startTimeline(state: State, task: Task): void {
  const afterMs = task.script.solveAfterMs ?? state.options.answerAfterMs;
  if (task.script.result === 'never' || afterMs === 'asked') return;
  later(state, afterMs, () => solve(state, task));
}

/** Solves what is solved when it is asked for. */
export function solveAsked(state: State, task: Task): void {
  const { script, replied: hasReplied, holdsThread, solvedMs } = task;
  if (script.solveAfterMs !== 'asked' || script.result === 'never' || !hasReplied || !holdsThread) return;
  if (solvedMs === undefined) solve(state, task);
}

function solve(state: State, task: Task): void {
  task.outcome ??= outcomeOf(state, task);
  task.solvedMs = nowMs(state);
  task.line.solvedTimeMs = Date.now();
  releaseThread(state, task);
  for (const wake of task.waiters) wake();
  schedulePingbacks(state, task);
}

function outcomeOf(state: State, task: Task): NonNullable<Task['outcome']> {
  const { result } = task.script;
  if (result !== undefined && result !== 'never' && 'code' in result) return result;
  const usual = defaultResult(task.fields, task.id, state);
  if (result === undefined || result === 'never') return usual;
  const userAgent = result.userAgent ?? usual.userAgent;
  const answer = result.request === undefined ? usual : { request: result.request };
  return { ...answer, ...(userAgent === undefined ? {} : { userAgent }) };
}
