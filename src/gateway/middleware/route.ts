/** Knows the two paths there are, `/in.php` and `/res.php`, by GET and by POST. What else is asked for is not here. */
import type { Middleware } from 'koa';
import type { GatewayState } from '../state.ts';

const ENDPOINTS: Readonly<Record<string, GatewayState['endpoint']>> = { '/in.php': 'submit', '/res.php': 'poll' };
const METHODS: readonly string[] = ['GET', 'POST'];

export const route: Middleware<GatewayState> = async (ctx, next) => {
  const endpoint = Object.hasOwn(ENDPOINTS, ctx.path) ? ENDPOINTS[ctx.path] : undefined;
  if (endpoint !== undefined && METHODS.includes(ctx.method)) {
    ctx.state.endpoint = endpoint;
    await next();
    return;
  }
  ctx.status = endpoint === undefined ? 404 : 405;
  if (endpoint !== undefined) ctx.set('Allow', METHODS.join(', '));
  ctx.body = '';
  ctx.state.result = 'unsupported';
};
