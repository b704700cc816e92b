/**
 * Counts each request by its one result, and measures those for a callback path. First in the chain, so that it sees
 * what every other middleware answered; a request whose client left before its end has no result.
 */
import type { Middleware } from 'koa';
import type { CallbackHooks } from '../hooks.ts';
import type { CallbackState } from '../state.ts';

export function observe(hooks: CallbackHooks): Middleware<CallbackState> {
  return async (ctx, next) => {
    const startMs = performance.now();
    await next();
    if (ctx.state.result === undefined) return;
    if (ctx.state.result !== 'later') hooks.onResult(ctx.state.result);
    if (ctx.state.result !== 'misrouted') hooks.onAnswered(performance.now() - startMs);
  };
}
