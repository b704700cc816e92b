/**
 * Knows the one path there is, `/v1/callback/<token>`, and takes token and query out of the request target as they
 * were sent. No router library here: those decode parameters, and then `%2E` and `.` would be the same token.
 */
import type { Middleware } from 'koa';
import { CALLBACK_PATH } from '../../core/token.ts';
import type { CallbackState } from '../state.ts';
import { answer } from '../state.ts';

export const route: Middleware<CallbackState> = async (ctx, next) => {
  const target = ctx.req.url ?? '';
  if (!target.startsWith(CALLBACK_PATH)) return answer(ctx, 404, 'misrouted');
  const question = target.indexOf('?');
  const end = question === -1 ? target.length : question;
  ctx.state.token = target.slice(CALLBACK_PATH.length, end);
  ctx.state.query = target.slice(end + 1);
  await next();
};
