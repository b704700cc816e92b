/**
 * The end of the chain: parses the authentic callback and hands it to the intake. 200 only when the intake says that
 * it is durable. A callback that has to be refused makes its task due for a poll instead of being lost.
 */
import type { Middleware } from 'koa';
import { parseCallback } from '../../core/callback/parse.ts';
import type { RawCallback } from '../../core/callback/parse.ts';
import type { Intake } from '../intake.ts';
import type { PollRequests } from '../poll-requests.ts';
import type { CallbackContext, CallbackState } from '../state.ts';
import { answer } from '../state.ts';

export function receive(intake: Intake, pollRequests: PollRequests): Middleware<CallbackState> {
  return async (ctx) => {
    const { token, claims } = ctx.state;
    const raw = rawCallbackOf(ctx);
    const parsed = parseCallback(raw);
    if (!parsed.ok) {
      answer(ctx, parsed.status, 'invalid');
      return pollRequests.request(token, claims!);
    }
    const result = await intake.take({ token, claims: claims!, callback: parsed.callback, receivedTime: Date.now() });
    return answer(ctx, result === 'lost' || result === 'later' ? 503 : 200, result);
  };
}

function rawCallbackOf(ctx: CallbackContext): RawCallback {
  const { query, body } = ctx.state;
  const contentType = ctx.req.headers['content-type'];
  return {
    method: ctx.req.method === 'POST' ? 'POST' : 'GET',
    query,
    ...(contentType === undefined ? {} : { contentType }),
    ...(body === undefined ? {} : { body }),
  };
}
