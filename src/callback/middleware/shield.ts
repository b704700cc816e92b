/**
 * Where all errors end: whatever a later middleware throws becomes a bare status, and at most the name of its class
 * is reported. Messages and stacks stay here, because they may quote the request.
 */
import type { Middleware } from 'koa';
import { nameOfError } from '../../ops/redact.ts';
import type { CallbackHooks } from '../hooks.ts';
import type { CallbackState } from '../state.ts';
import { answer } from '../state.ts';

export function shield(hooks: CallbackHooks): Middleware<CallbackState> {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      // The client went away while it was sending: nobody is left to answer, nothing was promised.
      if (ctx.req.destroyed && !ctx.req.complete) return;
      hooks.onCrash('request', nameOfError(error));
      answer(ctx, 503, 'lost');
    }
  };
}
