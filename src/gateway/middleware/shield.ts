/**
 * The one road for errors: whatever a later middleware throws becomes the family's word for a fault of the server, and
 * at most the name of its class is reported. Messages and stacks stay here, because they may quote the request.
 */
import type { Middleware } from 'koa';
import { nameOfError } from '../../ops/redact.ts';
import type { GatewayHooks } from '../hooks.ts';
import { answerWord, type GatewayState } from '../state.ts';

export function shield(hooks: GatewayHooks): Middleware<GatewayState> {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      // The client went away while it was sending: nobody is left to answer, nothing was promised.
      if (ctx.req.destroyed && !ctx.req.complete) return;
      hooks.onCrash('request', nameOfError(error));
      answerWord(ctx, 'ERROR_INTERNAL_SERVER_ERROR', 'error');
    }
  };
}
