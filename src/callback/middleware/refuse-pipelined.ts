/**
 * Works on one request of a connection at a time: one that came before the earlier one's answer is refused, and the
 * connection closed. No client of this protocol pipelines, and proxies do not either; who does could hold thousands of
 * requests through one connection. Runs behind authentication, so that what is counted as lost was a callback.
 */
import type { Middleware } from 'koa';
import { isPipelined } from '../../ops/connections.ts';
import type { CallbackState } from '../state.ts';
import { answer } from '../state.ts';

export const refusePipelined: Middleware<CallbackState> = async (ctx, next) => {
  if (!isPipelined(ctx.req)) return next();
  ctx.set('Connection', 'close');
  return answer(ctx, 503, 'lost');
};
