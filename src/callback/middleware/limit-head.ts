/**
 * Refuses requests that are too large in their head, or of another method than GET and POST. Runs behind
 * authentication: a refused request of ours makes its task due for a poll. (Node's parser stops at the sum of both
 * limits, before any of our code runs.)
 */
import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import type { Limits } from '../limits.ts';
import type { PollRequests } from '../poll-requests.ts';
import type { CallbackState } from '../state.ts';
import { answer } from '../state.ts';

export function limitHead(limits: Limits, pollRequests: PollRequests): Middleware<CallbackState> {
  return async (ctx, next) => {
    const status = headFault(ctx.req, limits);
    if (status === undefined) return next();
    if (status === 405) ctx.set('Allow', 'GET, POST');
    answer(ctx, status, 'invalid');
    return pollRequests.request(ctx.state.token, ctx.state.claims!);
  };
}

function headFault(request: IncomingMessage, limits: Limits): number | undefined {
  if (request.method !== 'GET' && request.method !== 'POST') return 405;
  // " HTTP/1.1", the two spaces and the line's end.
  const lineBytes = request.method.length + (request.url?.length ?? 0) + 12;
  if (lineBytes > limits.requestLineBytes) return 414;
  let headerBytes = 0;
  for (const text of request.rawHeaders) headerBytes += text.length + 2;
  return headerBytes > limits.headerBytes ? 431 : undefined;
}
