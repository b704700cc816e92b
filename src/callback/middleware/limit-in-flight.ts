/**
 * Bounds the requests that are worked on at once, before anything is spent on them. Only authentic callbacks take time,
 * so strangers cannot fill the bound. Nothing took the callback that is refused here: it counts as lost, and the poll
 * fallback finds its result.
 */
import type { Middleware } from 'koa';
import type { Limits } from '../limits.ts';
import type { CallbackState } from '../state.ts';
import { answer } from '../state.ts';

export function limitInFlight(limits: Limits): Middleware<CallbackState> {
  let inFlight = 0;
  return async (ctx, next) => {
    if (inFlight >= limits.requestsInFlight) {
      ctx.set('Connection', 'close');
      return answer(ctx, 503, 'lost');
    }
    inFlight++;
    try {
      await next();
    } finally {
      inFlight--;
    }
  };
}
