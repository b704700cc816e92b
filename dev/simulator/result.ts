/**
 * `res.php`: polls, the account's numbers, reports and the registration of callback hosts. A poll does not change a
 * task: it may be repeated for ever and gets the same answer, unless the switch `reading` says otherwise.
 */
import type { ServerResponse } from 'node:http';
import { refuseCaller } from './access.ts';
import { failureText, framed, successText, type Style } from './answers.ts';
import { sendFault, sendPage, sendReply, sendText } from './faults.ts';
import { field, queryFields, sentAs, type Fields } from './form.ts';
import { addHost, hostsOf, removeHosts } from './registration.ts';
import type { PollStep } from './script.ts';
import { accountOf, nowMs, pause, styleOf, taskFor, type State, type Task } from './state.ts';
import { outcomeText, solveAsked } from './submit.ts';
import type { Switches } from './switches.ts';
import { workingThreads } from './threads.ts';

export async function handleResult(state: State, sent: Fields, response: ServerResponse): Promise<void> {
  const isPoll = field(sent, 'action') === 'get';
  const { pollVerb } = state.switches;
  if (isPoll && VERBS[pollVerb]?.includes(response.req.method ?? '') === false) return sendPage(response, 405);
  await answer(state, isPoll && pollVerb === 'queryOnly' ? queryFields(response.req) : sent, response);
}

async function answer(state: State, fields: Fields, response: ServerResponse): Promise<void> {
  const style = styleOf(state, fields);
  const refused = refuseCaller(state, field(fields, 'key'), 'res');
  if (refused !== undefined) {
    recordPoll(state.tasks.get(field(fields, 'id')), response, refused);
    return sendText(response, failureText(style, refused));
  }
  const action = field(fields, 'action');
  if (action === 'get' && !fields.has('ids')) return sendPoll(state, fields, response);
  const text = (await ACTIONS[action]?.(state, fields, style)) ?? failureText(style, 'ERROR_EMPTY_ACTION');
  sendReply(response, text, style.json);
}

/** Which verbs a poll may have; where nothing is said, any. */
const VERBS: Partial<Record<Switches['pollVerb'], readonly string[]>> = { get: ['GET'], post: ['POST'] };

function recordPoll(task: Task | undefined, response: ServerResponse, answer: string): void {
  task?.line.polls.push({ timeMs: Date.now(), sent: sentAs(response.req), answer });
}

/** Undefined: there is no such action. */
type Action = (state: State, fields: Fields, style: Style) => string | undefined | Promise<string>;

/** A word: a failure where it says so, else it stands alone or in `request`. */
function wordText(style: Style, word: string): string {
  if (word.startsWith('ERROR')) return failureText(style, word);
  return style.json ? successText(style, `"${word}"`) : framed(style, word);
}

const ACTIONS: Readonly<Record<string, Action>> = {
  get: (state, fields) => manyText(state, fields),
  getbalance: (state, fields, style) => {
    state.ledger.totals.balance += 1;
    return wordText(style, String(accountOf(state, field(fields, 'key')).balance));
  },
  threadsinfo: (state, fields, style) => {
    state.ledger.totals.threadsinfo += 1;
    const account = accountOf(state, field(fields, 'key'));
    return threadsText(style, { threads: account.threads, working_threads: workingThreads(account) });
  },
  reportgood: (_state, _fields, style) => wordText(style, 'OK_REPORT_RECORDED'),
  reportbad: (_state, _fields, style) => wordText(style, 'OK_REPORT_RECORDED'),
  add_pingback: async (state, fields, style) => wordText(style, await addHost(state, fields)),
  get_pingback: (state, fields, style) => {
    const hosts = hostsOf(state, fields);
    return style.json ? successText(style, JSON.stringify(hosts)) : framed(style, ['OK', ...hosts].join('|'));
  },
  del_pingback: (state, fields, style) => {
    removeHosts(state, fields);
    return wordText(style, 'OK_PINGBACK');
  },
};

interface Threads {
  threads: number;
  working_threads: number;
}

/** JSON whatever was asked for, as the client expects it. */
function threadsText(style: Style, counts: Threads): string | undefined {
  const reply = (members: object): string => framed(style, JSON.stringify(members));
  switch (style.switches.threadsinfo) {
    case 'nested':
      return reply({ status: 1, request: counts });
    case 'strings':
      return reply({ status: 1, threads: `${counts.threads}`, working_threads: `${counts.working_threads}` });
    case 'noStatus':
      return reply(counts);
    case 'zero':
      return reply({ status: 1, threads: 0, working_threads: 0 });
    case 'unsupported':
      return undefined;
    case 'topLevel':
    default:
      return reply({ status: 1, ...counts });
  }
}

async function sendPoll(state: State, fields: Fields, response: ServerResponse): Promise<void> {
  state.ledger.totals.polls += 1;
  const style = styleOf(state, fields);
  const task = taskFor(state, fields);
  if (task === undefined || isForgotten(state, task)) {
    const word = idWord(state, field(fields, 'id'));
    recordPoll(task, response, word);
    return sendText(response, failureText(style, word));
  }
  await answerPoll(state, task, style, response);
}

function idWord({ switches }: State, id: string): string {
  return /^\d+$/.test(id) || switches.ids === 'uuid' ? 'ERROR_WRONG_CAPTCHA_ID' : 'ERROR_WRONG_ID_FORMAT';
}

async function answerPoll(state: State, task: Task, style: Style, response: ServerResponse): Promise<void> {
  const step = task.pollSteps.shift();
  if (step?.delayMs !== undefined) await pause(state, step.delayMs);
  solveAsked(state, task);
  recordPoll(task, response, pollName(task, step));
  if (step === undefined && task.outcome !== undefined) task.reads += 1;
  const text = stepText(step, style) ?? outcomeText(task, style);
  if (step !== undefined && 'fault' in step) sendFault(response, step, text);
  else sendReply(response, text, style.json);
}

const TEN_MINUTES_MS = 600_000;

/** Whether the result was given out as often, or kept as long, as it is (switch `reading`). */
function isForgotten(state: State, { reads, solvedMs }: Task): boolean {
  const { reading } = state.switches;
  if (reading === 'once') return reads > 0;
  return reading === 'tenMinutes' && solvedMs !== undefined && nowMs(state) - solvedMs > TEN_MINUTES_MS;
}

function stepText(step: PollStep | undefined, style: Style): string | undefined {
  if (step === undefined || 'fault' in step) return undefined;
  return failureText(style, 'code' in step ? step.code : 'CAPCHA_NOT_READY');
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
  const style = { json: false, switches: state.switches, words: state.options.words };
  const answers = field(fields, 'ids')
    .split(',')
    .map((id) => {
      const task = state.tasks.get(id);
      return task === undefined ? 'ERROR_WRONG_CAPTCHA_ID' : outcomeText(task, style).replace(/^OK\|/, '');
    });
  return answers.join('|');
}
