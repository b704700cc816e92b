/**
 * Counts and measures each request by what was asked and what was answered. First in the chain, so that it sees what
 * every other middleware answered.
 */
import type { Middleware } from 'koa';
import type { GatewayHooks } from '../hooks.ts';
import type { GatewayState } from '../state.ts';

export function observe(hooks: GatewayHooks): Middleware<GatewayState> {
  return async (ctx, next) => {
    const startMs = performance.now();
    ctx.state.endpoint = 'other';
    ctx.state.result = 'error';
    ctx.state.fields = new Map();
    await next();
    hooks.onAnswered(ctx.state.endpoint, ctx.state.result, performance.now() - startMs);
  };
}
