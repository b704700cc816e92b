/**
 * Measures each request for a callback path and counts its one result. First in the chain, so that it sees what every
 * other middleware answered; requests that were no callback at all have no result and are not counted.
 */
import type { Middleware } from 'koa';
import type { CallbackHooks } from '../hooks.ts';
import type { CallbackState } from '../state.ts';

export function observe(hooks: CallbackHooks): Middleware<CallbackState> {
  return async (ctx, next) => {
    const startMs = performance.now();
    await next();
    if (ctx.state.result === undefined) return;
    hooks.onResult(ctx.state.result);
    hooks.onAnswered(performance.now() - startMs);
  };
}
