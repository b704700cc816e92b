/**
 * `in.php` and `solve.php`: checks a submission the way the provider does, accepts it (or not, as scripted), starts
 * its timeline, and answers. From acceptance the task is paid for, whatever the script lets happen to the reply.
 */
import type { ServerResponse } from 'node:http';
import { defaultResult, failureText, successText } from './answers.ts';
import { refuseSubmission } from './checks.ts';
import { sendFault, sendReply, sendText } from './faults.ts';
import { field, type Fields } from './form.ts';
import { recordSubmission, type LedgerSubmission } from './ledger.ts';
import { deliverPingback, schedulePingbacks } from './pingback.ts';
import type { SubmitStep, TaskScript } from './script.ts';
import {
  accountOf,
  later,
  nextId,
  nth,
  pause,
  releaseThread,
  ruleFor,
  type Rule,
  type State,
  type Task,
} from './state.ts';

/** Answers a call of `in.php`. */
export async function handleSubmit(state: State, fields: Fields, response: ServerResponse): Promise<void> {
  const line = recordSubmission(state.ledger, fields);
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
  sendFault(response, step, failureText(wantsJson(state, fields), 'ERROR_SERVER_ERROR'));
}

interface Call {
  line: LedgerSubmission;
  fields: Fields;
  response: ServerResponse;
}

async function acceptAndAnswer(state: State, call: Call & { rule: Rule }, step: SubmitStep): Promise<void> {
  const { fields, response, rule, line } = call;
  const json = wantsJson(state, fields);
  const task = accept(state, fields, rule, line);
  await deliverEarly(state, task);
  // The reply waits, not the acceptance: whoever is killed meanwhile has a paid task and no id.
  if (step.delayMs !== undefined) await pause(state, step.delayMs);
  const text = successText(json, state.options.ids === 'integer' ? task.id : `"${task.id}"`);
  if ('fault' in step) sendFault(response, step, text);
  else sendReply(response, text, json);
  startTimeline(state, task);
}

/** Answers a call of `solve.php`, the one-shot form: the reply is the result. */
export async function handleSolve(state: State, fields: Fields, response: ServerResponse): Promise<void> {
  const line = recordSubmission(state.ledger, fields);
  const refused = refuseSubmission(state, fields);
  if (refused !== undefined) return refuse(state, { line, fields, response }, refused);
  const task = accept(state, fields, ruleFor(state, fields), line);
  const solved = new Promise<void>((resolve) => task.waiters.push(resolve));
  startTimeline(state, task);
  await solved;
  sendText(response, resultText(task, wantsJson(state, fields)));
}

/** What the task has come to, as a reply of `res.php`. */
export function resultText({ outcome }: Task, json: boolean): string {
  if (outcome === undefined) return failureText(json, 'CAPCHA_NOT_READY');
  if ('code' in outcome) return failureText(json, outcome.code);
  return successText(json, JSON.stringify(outcome.request), outcome.userAgent);
}

export function wantsJson(state: State, fields: Fields): boolean {
  const json = fields.get('json');
  return json === undefined ? state.options.jsonByDefault : json === '1';
}

function refuse(state: State, { line, fields, response }: Call, code: string): void {
  line.code = code;
  state.ledger.totals.refused += 1;
  sendText(response, failureText(wantsJson(state, fields), code));
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
    holdsThread: true,
    line,
    waiters: [],
  };
  accountOf(state, key).working += 1;
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
  task.outcome = outcomeOf(task);
  for (const step of early) await deliverPingback(state, task, step);
}

/** From the reply on: solved after a while, then polls and pingbacks tell. */
function startTimeline(state: State, task: Task): void {
  if (task.script.result === 'never') return;
  later(state, task.script.solveAfterMs ?? state.options.answerAfterMs, () => {
    task.outcome ??= outcomeOf(task);
    task.line.solvedTimeMs = Date.now();
    releaseThread(state, task);
    for (const wake of task.waiters) wake();
    schedulePingbacks(state, task);
  });
}

function outcomeOf(task: Task): NonNullable<Task['outcome']> {
  const { result } = task.script;
  if (result === undefined || result === 'never') return defaultResult(task.fields, task.id);
  if ('code' in result) return result;
  const usual = defaultResult(task.fields, task.id);
  const userAgent = result.userAgent ?? usual.userAgent;
  return { request: result.request ?? usual.request, ...(userAgent === undefined ? {} : { userAgent }) };
}
