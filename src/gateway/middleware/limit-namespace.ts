/**
 * Keeps one namespace from holding what is there for all: its requests beyond its share are answered at once, as if there
 * was nothing to wait for. A solution that is there is told all the same.
 */
import type { Middleware } from 'koa';
import { answerWord, type GatewayState } from '../state.ts';
import type { Limits } from '../limits.ts';

export function limitNamespace({ requestsOfNamespace }: Limits): Middleware<GatewayState> {
  const inFlight = new Map<string, number>();
  return async (ctx, next) => {
    const { namespace } = ctx.state;
    const count = (inFlight.get(namespace) ?? 0) + 1;
    ctx.state.isCrowded = count > requestsOfNamespace;
    if (ctx.state.isCrowded && ctx.state.endpoint === 'submit') {
      return answerWord(ctx, 'ERROR_NO_SLOT_AVAILABLE', 'no_slot', 'too many requests of this namespace at once');
    }
    inFlight.set(namespace, count);
    try {
      await next();
    } finally {
      const left = (inFlight.get(namespace) ?? 1) - 1;
      if (left === 0) inFlight.delete(namespace);
      else inFlight.set(namespace, left);
    }
  };
}
