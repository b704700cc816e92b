/**
 * `res.php`: polls, the account's numbers, reports and pingback registration. A poll never changes a task: it may be
 * repeated for ever and gets the same answer.
 */
import type { ServerResponse } from 'node:http';
import { refuseCaller } from './access.ts';
import { failureText, successText } from './answers.ts';
import { sendFault, sendReply, sendText } from './faults.ts';
import { field, type Fields } from './form.ts';
import type { PollStep } from './script.ts';
import { accountOf, pause, type State, type Task } from './state.ts';
import { resultText, wantsJson } from './submit.ts';

export async function handleResult(state: State, fields: Fields, response: ServerResponse): Promise<void> {
  const json = wantsJson(state, fields);
  const refused = refuseCaller(state, field(fields, 'key'), 'res');
  if (refused !== undefined) {
    state.tasks.get(field(fields, 'id'))?.line.polls.push({ timeMs: Date.now(), answer: refused });
    return sendText(response, failureText(json, refused));
  }
  const action = field(fields, 'action');
  if (action === 'get' && !fields.has('ids')) return sendPoll(state, fields, response);
  const text = ACTIONS[action]?.(state, fields, json) ?? failureText(json, 'ERROR_EMPTY_ACTION');
  sendReply(response, text, json);
}

type Action = (state: State, fields: Fields, json: boolean) => string;

const say =
  (word: string): Action =>
  (_state, _fields, json) =>
    json ? successText(true, `"${word}"`) : word;

const ACTIONS: Readonly<Record<string, Action>> = {
  get: (state, fields) => manyText(state, fields),
  getbalance: (state, fields, json) => {
    state.ledger.totals.balance += 1;
    const balance = String(accountOf(state, field(fields, 'key')).balance);
    return json ? successText(true, `"${balance}"`) : balance;
  },
  threadsinfo: (state, fields) => {
    state.ledger.totals.threadsinfo += 1;
    const { threads, working } = accountOf(state, field(fields, 'key'));
    return JSON.stringify({ status: 1, request: { threads, working_threads: working } });
  },
  reportgood: say('OK_REPORT_RECORDED'),
  reportbad: say('OK_REPORT_RECORDED'),
  add_pingback: say('OK_PINGBACK'),
  get_pingback: say('OK_PINGBACK'),
  del_pingback: say('OK_PINGBACK'),
};

async function sendPoll(state: State, fields: Fields, response: ServerResponse): Promise<void> {
  state.ledger.totals.polls += 1;
  const json = wantsJson(state, fields);
  const id = field(fields, 'id');
  const task = state.tasks.get(id);
  if (task === undefined || task.key !== fields.get('key')) {
    return sendText(response, failureText(json, /^\d+$/.test(id) ? 'ERROR_WRONG_CAPTCHA_ID' : 'ERROR_WRONG_ID_FORMAT'));
  }
  const step = task.pollSteps.shift();
  if (step?.delayMs !== undefined) await pause(state, step.delayMs);
  task.line.polls.push({ timeMs: Date.now(), answer: pollName(task, step) });
  const text = stepText(step, json) ?? resultText(task, json);
  if (step !== undefined && 'fault' in step) sendFault(response, step, text);
  else sendReply(response, text, json);
}

function stepText(step: PollStep | undefined, json: boolean): string | undefined {
  if (step === undefined || 'fault' in step) return undefined;
  return failureText(json, 'code' in step ? step.code : 'CAPCHA_NOT_READY');
}

function pollName(task: Task, step: PollStep | undefined): string {
  if (step !== undefined && 'fault' in step) return `fault:${step.fault}`;
  if (step !== undefined && 'code' in step) return step.code;
  if (task.outcome === undefined || step !== undefined) return 'pending';
  return 'code' in task.outcome ? task.outcome.code : 'solved';
}

/** `ids=1,2,3`: the answers in order, joined by bars. */
function manyText(state: State, fields: Fields): string {
  state.ledger.totals.polls += 1;
  const answers = field(fields, 'ids')
    .split(',')
    .map((id) => {
      const task = state.tasks.get(id);
      return task === undefined ? 'ERROR_WRONG_CAPTCHA_ID' : resultText(task, false).replace(/^OK\|/, '');
    });
  return answers.join('|');
}
