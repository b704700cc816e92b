/**
 * `res.php`: what became of a task, how many may run, and what else clients ask before they start and after they end.
 * What the gateway does not know (a balance, whether a report does anything) it does not invent.
 */
import type { Middleware } from 'koa';
import { answersText, answerText, NOT_READY, threadsText, WRONG_ID, type Answer } from '../../core/gateway/answers.ts';
import { belongsTo } from '../../core/gateway/ids.ts';
import type { Limits } from '../limits.ts';
import {
  answer,
  answerWord,
  departureOf,
  wantsJSON,
  type GatewayContext,
  type GatewayState,
  type Result,
} from '../state.ts';
import type { GatewayTasks } from '../tasks.ts';

export interface ResultOptions {
  tasks: Pick<GatewayTasks, 'answerOf' | 'openIn'>;
  maxOpenTasks: number;
  limits: Limits;
  /** Aborted when the process stops: nobody is held back then. */
  stopping: AbortSignal;
}

type Action = (ctx: GatewayContext, options: ResultOptions) => Promise<void> | void;

const ACTIONS: Readonly<Record<string, { endpoint: GatewayState['endpoint']; run: Action }>> = {
  get: {
    endpoint: 'poll',
    run: (ctx, options) => (ctx.state.fields.has('ids') ? tellMany(ctx, options) : tell(ctx, options)),
  },
  threadsinfo: {
    endpoint: 'account',
    run: (ctx, { tasks, maxOpenTasks }) =>
      answer(ctx, threadsText(maxOpenTasks, tasks.openIn(ctx.state.namespace)), 'told'),
  },
  // No word of the family says "unknown": a number would be a lie that programs decide by.
  getbalance: { endpoint: 'account', run: (ctx) => answerWord(ctx, 'ERROR_METHOD_CALL', 'unsupported', NO_BALANCE) },
  reportgood: { endpoint: 'report', run: report },
  reportbad: { endpoint: 'report', run: report },
};

const NO_BALANCE = "getbalance: the gateway does not know the account's balance";

export function result(options: ResultOptions): Middleware<GatewayState> {
  return async (ctx) => {
    const name = ctx.state.fields.get('action') ?? '';
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    ctx.state.endpoint = action?.endpoint ?? 'other';
    if (action !== undefined) return action.run(ctx, options);
    if (name === '') return answerWord(ctx, 'ERROR_EMPTY_ACTION', 'refused');
    return answerWord(ctx, 'ERROR_METHOD_CALL', 'unsupported', 'action: not known here');
  };
}

async function tell(ctx: GatewayContext, options: ResultOptions): Promise<void> {
  const id = ctx.state.fields.get('id') ?? '';
  const holdMs = holdOf(ctx, options);
  if (holdMs === undefined) return answerWord(ctx, 'ERROR_BAD_PARAMETERS', 'refused', 'wait: not a number of seconds');
  const signal = AbortSignal.any([departureOf(ctx), options.stopping]);
  const found = await answerFor(id, ctx, options, { holdMs, signal });
  return answer(ctx, answerText(found, wantsJSON(ctx)), resultOf(found));
}

/** `wait=`: milliseconds; undefined where it is no number. */
function holdOf(ctx: GatewayContext, { limits }: ResultOptions): number | undefined {
  const wait = ctx.state.fields.get('wait') ?? '0';
  if (!/^\d{1,6}$/.test(wait)) return undefined;
  return ctx.state.isCrowded ? 0 : Math.min(Number(wait) * 1_000, limits.pollHoldMs);
}

async function tellMany(ctx: GatewayContext, options: ResultOptions): Promise<void> {
  const ids = (ctx.state.fields.get('ids') ?? '').split(',').map((id) => id.trim());
  const { ids: most } = options.limits;
  if (ids.length > most) return answerWord(ctx, 'ERROR_BAD_PARAMETERS', 'refused', `ids: more than ${most}`);
  const hold = { holdMs: 0, signal: options.stopping };
  const answers = await Promise.all(ids.map((id) => answerFor(id, ctx, options, hold)));
  const isPending = answers.every((one) => resultOf(one) === 'pending');
  return answer(ctx, answersText(answers, wantsJSON(ctx)), isPending ? 'pending' : 'solved');
}

type Hold = Parameters<GatewayTasks['answerOf']>[2];

/** An id that cannot be of this namespace is answered as one that is not there, by nobody but us. */
async function answerFor(id: string, ctx: GatewayContext, { tasks }: ResultOptions, hold: Hold): Promise<Answer> {
  const { namespace } = ctx.state;
  if (!/^\d{1,20}$/.test(id)) return { kind: 'word', word: 'ERROR_WRONG_ID_FORMAT' };
  if (!belongsTo(namespace, id)) return { kind: 'word', word: WRONG_ID };
  return tasks.answerOf(namespace, id, hold);
}

function resultOf(found: Answer): Result {
  if (found.kind === 'solved') return 'solved';
  if (found.word === NOT_READY) return 'pending';
  return found.word === WRONG_ID || found.word === 'ERROR_WRONG_ID_FORMAT' ? 'unknown_id' : 'failed';
}

/** The operator tells the provider nothing about answers, and clients go on by this word. */
function report(ctx: GatewayContext): void {
  const id = ctx.state.fields.get('id') ?? '';
  if (!belongsTo(ctx.state.namespace, id)) return answerWord(ctx, WRONG_ID, 'unknown_id');
  return answerWord(ctx, 'REPORT_NOT_RECORDED', 'not_recorded', 'the operator reports no answers to the provider');
}
