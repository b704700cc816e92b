/** Bounds the requests that are worked on at once: one more is answered as by a provider whose threads are all busy. */
import type { Middleware } from 'koa';
import { answerWord, type GatewayState } from '../state.ts';
import type { Limits } from '../limits.ts';

export function limitInFlight({ requestsInFlight }: Limits): Middleware<GatewayState> {
  let inFlight = 0;
  return async (ctx, next) => {
    if (inFlight >= requestsInFlight) {
      ctx.set('Connection', 'close');
      return answerWord(ctx, busyWord(ctx.state.endpoint), 'error');
    }
    inFlight++;
    try {
      await next();
    } finally {
      inFlight--;
    }
  };
}

/** Who polls goes on polling. */
function busyWord(endpoint: GatewayState['endpoint']): string {
  return endpoint === 'submit' ? 'ERROR_NO_SLOT_AVAILABLE' : 'CAPCHA_NOT_READY';
}
