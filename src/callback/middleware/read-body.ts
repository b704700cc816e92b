/**
 * Reads the body, up to its limit, as bytes. Compressed bodies are refused: a few hundred bytes could unfold to any
 * size. A body that is too large closes the connection, because what follows it on the wire was never read.
 */
import type { Middleware } from 'koa';
import { collectBody } from '../../ops/request-body.ts';
import type { Limits } from '../limits.ts';
import type { PollRequests } from '../poll-requests.ts';
import type { CallbackState } from '../state.ts';
import { answer } from '../state.ts';

export function readBody(limits: Limits, pollRequests: PollRequests): Middleware<CallbackState> {
  return async (ctx, next) => {
    const { req } = ctx;
    if (req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined) return next();
    const coding = req.headers['content-encoding'] ?? 'identity';
    const body = coding === 'identity' ? await collectBody(req, limits.bodyBytes) : undefined;
    if (body !== undefined) {
      ctx.state.body = body;
      return next();
    }
    ctx.set('Connection', 'close');
    answer(ctx, coding === 'identity' ? 413 : 400, 'invalid');
    return pollRequests.request(ctx.state.token, ctx.state.claims!);
  };
}
