/**
 * What the middlewares of one request hand on to each other, in `ctx.state`, and the ways to answer: with status 200,
 * as the family has it, whatever the answer. In which order the middlewares come stands in `server.ts` (`createApp`).
 */
import type { ParameterizedContext } from 'koa';
import { answerText, type Answer } from '../core/gateway/answers.ts';
import type { FormFields, Refusal } from '../core/gateway/submission.ts';
import type { LabelsOf } from '../ops/metrics.ts';

type Labels = LabelsOf<'captcha_operator_gateway_requests_total'>;
export type Endpoint = Labels['endpoint'];
export type Result = Labels['result'];

export interface GatewayState {
  /** What is asked; set by `route`, and for `res.php` again by its action. */
  endpoint: Endpoint;
  /** Query and body together. Set by `readFields`. */
  fields: FormFields;
  /** Whose key it is. Set by `authenticate`: from here on the request is ours. */
  namespace: string;
  /** Its namespace has more than its share of requests under way. Set by `limitNamespace`. */
  isCrowded: boolean;
  result: Result;
}

export type GatewayContext = ParameterizedContext<GatewayState>;

export function answer(ctx: GatewayContext, text: string, result: Result): void {
  ctx.status = 200;
  ctx.set('Content-Type', text.startsWith('{') ? 'application/json; charset=utf-8' : 'text/plain; charset=utf-8');
  ctx.set('Cache-Control', 'no-store');
  if (ctx.state.fields.get('header_acao') === '1') ctx.set('Access-Control-Allow-Origin', '*');
  ctx.body = text;
  ctx.state.result = result;
}

export function wantsJSON(ctx: GatewayContext): boolean {
  return ctx.state.fields.get('json') === '1';
}

/** A word in place of what was asked for; `text` is for people, and holds nothing of the request but names. */
export function answerWord(ctx: GatewayContext, word: string, result: Result, text?: string): void {
  const said: Answer = { kind: 'word', word, ...(text === undefined ? {} : { text }) };
  answer(ctx, answerText(said, wantsJSON(ctx)), result);
}

export function answerRefusal(ctx: GatewayContext, { word, text }: Refusal): void {
  answerWord(ctx, word, 'refused', text);
}

/** Aborts when the client goes away before it was answered. */
export function departureOf(ctx: GatewayContext): AbortSignal {
  const gone = new AbortController();
  ctx.res.once('close', () => {
    if (!ctx.res.writableFinished) gone.abort();
  });
  return gone.signal;
}
